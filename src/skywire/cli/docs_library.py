"""`skywire doc library`: the reference of the Python library, from its source and docstrings."""

import ast
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from types import ModuleType

import click

import skywire
from skywire.cli.docs import output_option, write

SOURCE = Path(skywire.__file__).parent
_HEAD = """\
# The library

Written by `make docs` from the docstrings: change those, not this file. How it is used is told by
[How to use Skywire as a library](../how-to/use-as-a-library.md). All is typed; what is not here may
change.

"""
_FIXTURES = """\
## pytest fixtures

Of the plug-in `skywire.testing.pytest_plugin`, which pytest finds by itself.

"""

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@click.command(epilog="Example: skywire doc library -o library.md")
@output_option
def library(file: Path | None) -> None:
    """Print the reference of the Python library, in Markdown."""
    write(library_reference(), file)


def library_reference() -> str:
    """What `import skywire` and `skywire.testing` have, in Markdown."""
    parts = [_HEAD]
    for package in (SOURCE, SOURCE / "testing"):
        name = ".".join(package.relative_to(SOURCE.parent).parts)
        parts += [
            f"## {name}.{each.name}\n\n{_described(each)}"
            for each in _exported(package / "__init__.py")
        ]
    fixtures = ast.parse((SOURCE / "testing" / "pytest_plugin.py").read_bytes())
    parts.append(_FIXTURES)
    parts += [
        f"- `{each.name}`: {ast.get_docstring(each)}\n"
        for each in fixtures.body
        if isinstance(each, _Definition) and each.name.startswith("skywire_")
    ]
    return "".join(parts)


def _exported(package: Path) -> Iterator[_Definition]:
    """Where the names come from that a package tells type checkers about."""
    for line in ast.walk(ast.parse(package.read_bytes())):
        if isinstance(line, ast.ImportFrom) and line.module not in (None, "skywire"):
            for name in line.names:
                if name.asname:  # `import X as X` says that X is meant for others
                    yield _definition(str(line.module), name.name)


def _definition(module: str, name: str) -> _Definition:
    source = SOURCE.parent.joinpath(*module.split(".")).with_suffix(".py")
    for each in ast.parse(source.read_bytes()).body:
        if isinstance(each, _Definition) and each.name == name:
            _make_readable(each, import_module(module))
            return each
    raise LookupError(f"{source} defines no {name}")


def _make_readable(definition: _Definition, module: ModuleType) -> None:
    """No `self`, no quotes around types, and defaults by their value instead of their name."""
    for each in ast.walk(definition):
        if isinstance(each, ast.arguments):
            if each.args and each.args[0].arg in ("self", "cls"):
                del each.args[0]
            for defaults in (each.defaults, each.kw_defaults):
                for index, default in enumerate(defaults):
                    if isinstance(default, ast.Name):
                        defaults[index] = ast.Constant(getattr(module, default.id))
        elif isinstance(each, ast.arg):
            each.annotation = _unquoted(each.annotation)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            each.returns = _unquoted(each.returns)


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _described(definition: _Definition) -> str:
    if not isinstance(definition, ast.ClassDef):
        return f"{_call(definition)}{_text(definition)}"
    members = list(_members(definition))
    made = next((each for each in members if each.name == "__init__"), None)
    parts = [_bases(definition), _text(definition)]
    if made is not None and ast.get_docstring(made):
        parts += [_call(made, definition.name), _text(made)]
    for each in members:
        if not each.name.startswith("_"):
            parts += [_call(each), _text(each)]
    return "".join(parts)


def _members(definition: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for each in definition.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each


def _bases(definition: ast.ClassDef) -> str:
    names = [ast.unparse(base) for base in definition.bases]
    told = ", ".join(name for name in names if name.endswith(("Error", "Exception", "bytes")))
    return f"A kind of `{told}`.\n\n" if told else ""


def _call(definition: ast.FunctionDef | ast.AsyncFunctionDef, name: str = "") -> str:
    """As one calls it: `await dial(pk: PubKey | str, port: int) -> Connection`."""
    decorators = " ".join(ast.unparse(each) for each in definition.decorator_list)
    answer = "" if definition.returns is None or name else ast.unparse(definition.returns)
    if "property" in decorators:
        return f"```python\n{definition.name}: {answer}\n```\n\n"
    word = ""
    if isinstance(definition, ast.AsyncFunctionDef):
        yields = any(isinstance(each, ast.Yield) for each in ast.walk(definition))
        word = "async for … in " if yields else "await "
    if "contextmanager" in decorators:
        word = "async with "
    arguments, arrow = ast.unparse(definition.args), " -> " if answer else ""
    return f"```python\n{word}{name or definition.name}({arguments}){arrow}{answer}\n```\n\n"


def _text(definition: _Definition) -> str:
    text = ast.get_docstring(definition)
    return f"{cleandoc(text)}\n\n" if text else ""
