"""What commands print: data on stdout (a table, lines or JSON), talk and errors on stderr.

A command with a result takes `@json_option` and prints it with `emit`; `--json` makes that
`{"output": …}`, the reference's envelope (cli.md §A0). It raises on failure; the root turns the
error into one line on stderr, or with `--json` into `{"error": …, "code": …}`, and an exit code:
0 success, 1 failure, 2 bad usage, 130 interrupted.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any, NamedTuple, TypeVar

import click

from skywire.errors import SkywireError

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells do
_JSON = "skywire.json"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Table(NamedTuple):
    """Cells are shown by `str`; None and "" are shown as "-"."""

    columns: Sequence[str]
    rows: Iterable[Sequence[object]]


class Failure(NamedTuple):
    message: str
    code: str
    exit_code: int


def _remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
    """`--json` counts wherever it stands, before the command's name or after it."""
    if value:
        context.meta[_JSON] = True
    return bool(context.meta.get(_JSON, False))


def json_flag() -> click.Option:
    """The `--json` of a group: kept for the command below it."""
    return click.Option(
        ["--json"], is_flag=True, expose_value=False, callback=_remember, help="Print JSON."
    )


def json_option(function: _Function) -> _Function:
    """Gives a command the argument `as_json: bool`."""
    return click.option(
        "--json", "as_json", is_flag=True, callback=_remember, help="Print JSON, for programs."
    )(function)


def emit(result: object, *, as_json: bool, text: str | Table | None = None) -> None:
    """Print the result: `text` for people (default: `str(result)`; "" prints nothing), or JSON.

    `result` is made of dicts, lists, numbers and msgspec Structs; keys and paths become strings.
    """
    if as_json:
        click.echo(to_json({"output": result}))
    elif isinstance(text, Table):
        click.echo(render(text))
    elif text != "":
        click.echo(str(result) if text is None else text)


def to_json(value: object, *, indent: int = 2) -> str:
    """`indent` -1 gives one compact line."""
    import msgspec  # not needed by `--help`

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=indent).decode()


def render(table: Table) -> str:
    """The table as text: cells are folded to fit a terminal, and never cut in a pipe or a file."""
    from rich.console import Console
    from rich.table import Table as RichTable

    terminal = sys.stdout.isatty()
    console = Console(file=StringIO(), force_terminal=terminal, width=None if terminal else 10_000)
    grid = RichTable(box=None, pad_edge=False, header_style="bold" if terminal else "")
    for name in table.columns:
        grid.add_column(name, overflow="fold")
    for row in table.rows:
        cells = ("-" if cell is None or cell == "" else str(cell) for cell in row)
        grid.add_row(*(console.render_str(cell, markup=False, highlight=False) for cell in cells))
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
    if isinstance(error, SkywireError):
        return Failure(str(error) or error.code, error.code, error.exit_code)
    if isinstance(error, click.Abort):
        code = EXIT_FAILURE if isinstance(error.__cause__, EOFError) else EXIT_INTERRUPTED
        return Failure("", "interrupted", code)
    if isinstance(error, click.UsageError):
        return Failure(_usage(error), "usage", error.exit_code)
    if isinstance(error, click.ClickException):
        return Failure(error.format_message(), "error", error.exit_code)
    if isinstance(error, TimeoutError):
        return Failure(str(error) or "timed out", "timeout", EXIT_FAILURE)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Failure(f"{place}{error.strerror or error}", "os_error", EXIT_FAILURE)
    return None


def _usage(error: click.UsageError) -> str:
    message = " ".join(error.format_message().split())  # click puts a list of choices on lines
    return message if error.ctx is None else f'{message} See "{error.ctx.command_path} --help".'


def json_wanted(arguments: Sequence[str]) -> bool:
    """From the bare arguments, for the failure may have come before they were understood."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def report(failure: Failure, *, as_json: bool) -> None:
    """Tell of a failure on stderr; an interrupted command stays silent in text mode."""
    if as_json:
        say(to_json({"error": failure.message or failure.code, "code": failure.code}, indent=-1))
    elif failure.message:
        say(f"Error: {_harmless(failure.message)}")


def _harmless(text: str) -> str:
    """A peer's words may be in it: control characters do not get to the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
