"""What commands print: data on stdout (a table, lines or JSON), talk and errors on stderr.

A command with a result takes `@json_option` and prints it with `emit`; `--json` makes that
`{"output": …}`, the reference's envelope (cli.md §A0). `--jq` filters what is in the envelope;
`--shape` tells what a script will find there. A command raises on failure; the root turns the error
into one line on stderr, or with `--json` into `{"error": …, "code": …, "hint": …}`, and an exit
code: 0 success, 1 failure, 2 bad usage, 130 interrupted. What to do about an error, its hint, is
a note of it: `error.add_note("Start one with …")`.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any, NamedTuple, TypeVar, overload

import click

from skywire.errors import SkywireError

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells do
_JSON = "skywire.json"
_JQ = "skywire.jq"
_NO_SHAPE = object()
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Table(NamedTuple):
    """Cells are shown by `str`; None and "" are shown as "-"."""

    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


class Marked(NamedTuple):
    """A cell that stands out on a terminal; elsewhere it is its text."""

    text: str
    style: str  # as rich knows it

    def __str__(self) -> str:
        return self.text


class Facts(NamedTuple):
    """One thing, line by line: a name and a value each. Values are shown as in a table."""

    pairs: Iterable[tuple[str, object]]


class Failure(NamedTuple):
    message: str
    code: str
    exit_code: int
    hint: str = ""  # whole sentences


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    """`--json` counts wherever it stands, before the command's name or after it."""
    if value:
        context.meta[_JSON] = True
    return bool(context.meta.get(_JSON, False))


def _remember_filter(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[_JSON] = True
        context.meta[_JQ] = value


def json_flags() -> list[click.Option]:
    """`--json` and `--jq` of a group: kept for the command below it."""
    return [
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_remember, help="Print JSON."
        ),
        _filter_option(hidden=True),
    ]


def _filter_option(*, hidden: bool = False) -> click.Option:
    return click.Option(
        ["--jq"],
        metavar="FILTER",
        expose_value=False,
        callback=_remember_filter,
        is_eager=True,  # before --json, whose value it changes
        hidden=hidden,
        help="Print JSON through a jq filter; texts come without quotes.",
    )


@overload
def json_option(function: _Function) -> _Function: ...


@overload
def json_option(*, shape: Any) -> Callable[[_Function], _Function]: ...


def json_option(function: Any = None, *, shape: Any = _NO_SHAPE) -> Any:
    """Gives a command the argument `as_json: bool`, and `--jq`.

    `@json_option(shape=…)` adds `--shape`; for what a shape is see `cli/shape.py`.
    """
    if function is None:
        return lambda function: _result_options(function, shape)
    return _result_options(function, shape)


def _result_options(function: Any, shape: Any) -> Any:
    options = result_options() if shape is _NO_SHAPE else result_options(shape)
    kept = getattr(function, "__click_params__", [])
    function.__click_params__ = [*kept, *reversed(options)]
    return function


def result_options(shape: Any = _NO_SHAPE) -> list[click.Option]:
    """The options of `json_option`, for a command that is put together by a program."""
    json = click.Option(
        ["--json", "as_json"], is_flag=True, callback=_remember, help="Print JSON, for programs."
    )
    options = [json, _filter_option()]
    return options if shape is _NO_SHAPE else [*options, _shape_option(shape)]


def _shape_option(shape: Any) -> click.Option:
    def show(context: click.Context, _: click.Parameter, value: bool) -> None:
        from skywire.cli.shape import skeleton

        if value:
            click.echo(to_json({"output": skeleton(shape)}))
            context.exit()

    return click.Option(
        ["--shape"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print what the JSON is made of, and ask nobody.",
    )


def emit(
    result: object,
    *,
    as_json: bool,
    text: "str | Table | Facts | None" = None,
    source: object = None,
) -> None:
    """Print the result: `text` for people (default: `str(result)`; "" prints nothing), or JSON.

    `result` is made of dicts, lists, numbers and msgspec Structs; keys and paths become strings.
    `source`, where the result comes from, stands beside it in the JSON.
    """
    if _emit_filtered(result):
        return
    if as_json:
        beside = {} if source is None else {"source": source}
        click.echo(to_json({"output": result, **beside}))
    elif isinstance(text, Table):
        click.echo(render(text))
    elif isinstance(text, Facts):
        click.echo(render_facts(text))
    elif text != "":
        click.echo(str(result) if text is None else text)


def emit_line(result: object) -> None:
    """The JSON of one of many results, on a line of its own."""
    if not _emit_filtered(result):
        click.echo(to_json({"output": result}, indent=-1))


def _emit_filtered(result: object) -> bool:
    """What `--jq` makes of it; False without that option."""
    context = click.get_current_context(silent=True)
    wanted = context.meta.get(_JQ) if context is not None else None
    if wanted is None:
        return False
    from skywire.cli.jq import filtered

    for line in filtered(wanted, to_json(result, indent=-1)):
        click.echo(line)
    return True


def to_json(value: object, *, indent: int = 2) -> str:
    """`indent` -1 gives one compact line."""
    import msgspec  # not needed by `--help`

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=indent).decode()


def render(table: Table) -> str:
    """The table as text: cells are folded to fit a terminal, and never cut in a pipe or a file."""
    if sys.stdout.isatty():
        return _fitted(table)
    return _aligned([table.columns, *([_cell(cell) for cell in row] for row in table.rows)])


def render_facts(facts: Facts) -> str:
    """Names in one column, values in the next."""
    return _aligned([[name, _cell(value)] for name, value in facts.pairs])


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else harmless(str(value))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _width(text: str) -> int:
    """Columns on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # costs a command 10 ms: only for those that need it

    return cell_len(text)


def _fitted(table: Table) -> str:
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(file=StringIO(), force_terminal=True)
    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for name in table.columns:
        grid.add_column(name, overflow="fold")
    for row in table.rows:
        grid.add_row(
            *(
                console.render_str(
                    _cell(cell),
                    style=cell.style if isinstance(cell, Marked) else "",
                    markup=False,
                    highlight=False,
                )
                for cell in row
            )
        )
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def say(text: str) -> None:
    """A line for the person at the terminal; programs that read stdout never see it."""
    click.echo(text, err=True)


def describe(error: BaseException) -> Failure | None:
    """How a command's exception is told; None for one that is a bug of ours."""
    while isinstance(
        error, BaseExceptionGroup
    ):  # the first says enough; its siblings follow from it
        error = error.exceptions[0]
    hint = " ".join(getattr(error, "__notes__", ()))
    if isinstance(error, SkywireError):
        return Failure(str(error) or error.code, error.code, error.exit_code, hint)
    if isinstance(error, click.Abort):
        code = EXIT_FAILURE if isinstance(error.__cause__, EOFError) else EXIT_INTERRUPTED
        return Failure("", "interrupted", code)
    if isinstance(error, click.UsageError):
        message = " ".join(error.format_message().split())  # click puts choices on lines
        if error.ctx is not None:
            hint = f'See "{error.ctx.command_path} --help".'
        return Failure(message, "usage", error.exit_code, hint)
    if isinstance(error, click.ClickException):
        return Failure(error.format_message(), "error", error.exit_code)
    if isinstance(error, TimeoutError):
        return Failure(str(error) or "timed out", "timeout", EXIT_FAILURE, hint)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Failure(f"{place}{error.strerror or error}", "os_error", EXIT_FAILURE, hint)
    return None


def json_wanted(arguments: Sequence[str]) -> bool:
    """From the bare arguments, for the failure may have come before they were understood."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(word in ("--json", "--jq") or word.startswith("--jq=") for word in own)


def report(failure: Failure, *, as_json: bool) -> None:
    """Tell of a failure on stderr; an interrupted command stays silent in text mode."""
    if as_json:
        told = {"error": failure.message or failure.code, "code": failure.code}
        say(to_json(told | ({"hint": failure.hint} if failure.hint else {}), indent=-1))
    elif failure.message:
        message = harmless(failure.message)
        stop = "" if not failure.hint or message.endswith((".", "!", "?", ":")) else "."
        say(f"Error: {message}{stop} {failure.hint}".rstrip())


def harmless(text: str) -> str:
    """A peer's words may be in it: control characters do not get to the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
