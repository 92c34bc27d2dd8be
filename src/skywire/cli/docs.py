"""`skywire doc commands|config`: the reference, written from the code itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect

from skywire.cli.lazy import LazyGroup
from skywire.config.model import VisorConfig

WIDTH = 88  # columns of the help texts, whatever the terminal

EXIT_CODES = """\
0 success, 1 failure, 2 bad usage, 130 interrupted. A question with yes or no ("skywire cli visor
ready") ends with 1 for no. "skywire cli pty exec" ends with the code of the remote command, and
with 124 at its time limit.\
"""

_HEAD = """\
# Command reference

Written by `make docs` from the commands themselves: change the commands, not this file.

Every command with a result takes `--json`, before its name or after it. Then the result is
`{"output": …}` on standard output, and an error `{"error": …, "code": …, "hint": …}` on standard
error. `--jq FILTER` prints what a jq filter finds in the result, texts without quotes; `--shape`
prints what the result is made of, and asks nobody.

Commands of `skywire cli` ask the visor at `localhost:3435`, or at `--rpc` (`SKYWIRE_RPC`), and wait
for `--timeout` seconds.

"""


_CONFIG_HEAD = """\
# The configuration of a node

Written by `make docs` from `skywire/config/model.py`: change that, not this file.

A JSON file, `skywire-config.json` by default, with the keys of the Go programs: the same file runs
either. A key that is missing has its default; keys not listed here are kept and not used. Durations
are texts like `"12h"`, or nanoseconds; an address is `"host:port"` or `":port"`.

| key | type | default | |
|---|---|---|---|
"""


output_option = click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output.",
)


@click.command(epilog="Example: skywire doc commands -o commands.md")
@output_option
@click.pass_context
def commands(context: click.Context, file: Path | None) -> None:
    """Print the reference of the commands, in Markdown."""
    write(command_reference(context.find_root().command), file)


@click.command(epilog="Example: skywire doc config -o configuration.md")
@output_option
def config(file: Path | None) -> None:
    """Print the reference of the configuration, in Markdown."""
    write(config_reference(), file)


def write(text: str, file: Path | None) -> None:
    """To `file`, or to standard output."""
    if file is None:
        click.echo(text, nl=False)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def config_reference() -> str:
    """A table of every key, in Markdown."""
    return _CONFIG_HEAD + "".join(_rows(VisorConfig, ""))


def _rows(struct: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct} is no Struct")
    for field in info.fields:
        description = ""
        kind = field.type
        if isinstance(kind, inspect.Metadata):
            description = (kind.extra_json_schema or {}).get("description", "")
            kind = kind.type
        section = _section(kind)
        if section is None:
            default = "" if field.required else f"`{_default(field)}`"
            yield f"| `{prefix}{field.encode_name}` | {_kind(kind)} | {default} | {description} |\n"
        else:
            yield from _rows(section, f"{prefix}{field.encode_name}.")


def _section(kind: inspect.Type) -> type[msgspec.Struct] | None:
    """The Struct of a key that is an object, or an object or null."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next((each.cls for each in options if isinstance(each, inspect.StructType)), None)


def _default(field: inspect.Field) -> str:
    value: Any = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    return msgspec.json.encode(value, enc_hook=str).decode()


def _kind(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.CustomType):
        names = {"SecKey": "64 hex digits", "PubKey": "66 hex digits", "HostPort": "address"}
        return names.get(kind.cls.__name__, kind.cls.__name__.lower())
    if isinstance(kind, inspect.ListType):
        return f"list of {_kind(kind.item_type)}"
    names = {
        "AnyType": "anything",
        "BoolType": "true/false",
        "IntType": "number",
        "StrType": "text",
        "StructType": "objects",
        "DictType": "objects",
        "LiteralType": "text",
    }
    return names[type(kind).__name__]


def command_reference(root: click.Command) -> str:
    """The help of every command that is not hidden, in Markdown."""
    context = root_context(root)
    sections = [
        f"## {each.command_path}\n\n```text\n{each.get_help()}\n```\n" for each in walk(context)
    ]
    return "\n".join([_HEAD + f"Exit codes: {EXIT_CODES}\n", *sections])


def root_context(root: click.Command) -> click.Context:
    """Of the program, for texts that do not depend on a terminal."""
    return click.Context(
        root,
        info_name=root.name or "",
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )


def walk(context: click.Context) -> Iterator[click.Context]:
    """The context of a command and of all below it that are not hidden, in order of their names."""
    yield context
    group = context.command
    if not isinstance(group, click.Group):
        return
    shown = group.shown if isinstance(group, LazyGroup) else group.list_commands
    for name in shown(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield from walk(
                click.Context(
                    command,
                    info_name=name,
                    parent=context,
                    terminal_width=context.terminal_width,
                    max_content_width=context.max_content_width,
                )
            )
