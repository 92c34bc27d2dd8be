"""Manual pages, written from the commands themselves: `skywire doc man DIR`."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from skywire import __version__
from skywire.cli.docs import EXIT_CODES, root_context, walk
from skywire.cli.lazy import LazyGroup, one_line

SECTION = 1


@click.command(epilog="Example: skywire doc man /usr/local/share/man/man1")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def man(context: click.Context, folder: Path) -> None:
    """Write a manual page for each command into a directory."""
    folder.mkdir(parents=True, exist_ok=True)
    root = context.find_root().command
    for page in walk(root_context(root)):
        path = folder / f"{_name(page.command_path)}.{SECTION}"
        path.write_text(manual_page(page), encoding="utf-8")


def manual_page(context: click.Context) -> str:
    """In the language of man(7)."""
    command = context.command
    name = _name(context.command_path)
    paragraphs = _paragraphs(command.help or "")
    lines = [
        f'.TH "{name.upper()}" "{SECTION}" "" "skywire {__version__}" "Skywire"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(one_line(command).rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fB{_escaped(context.command_path)}\\fR "
        + _escaped(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *paragraphs,
        *_options(context),
        *_commands(context),
    ]
    if command.epilog:
        lines += [".SH EXAMPLES", *_examples(command.epilog)]
    lines += [".SH EXIT STATUS", _escaped(EXIT_CODES)]
    if context.parent is not None:
        lines += [
            ".SH SEE ALSO",
            f"\\fB{_escaped(_name(context.parent.command_path))}\\fR({SECTION})",
        ]
    return "\n".join(lines) + "\n"


def _name(path: str) -> str:
    return path.replace(" ", "-")


def _paragraphs(text: str) -> Iterator[str]:
    """A block behind "\\b" keeps its lines, as in our help."""
    for number, block in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        kept = block.startswith("\b\n")
        lines = [_escaped(line.strip()) for line in block.removeprefix("\b\n").splitlines()]
        yield "\n.br\n".join(lines) if kept else " ".join(lines)


def _options(context: click.Context) -> Iterator[str]:
    records = [
        record
        for parameter in context.command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None and record[1]
    ]
    if records:
        yield ".SH OPTIONS"
    for flags, text in records:
        yield from (".TP", f"\\fB{_escaped(flags)}\\fR", _escaped(" ".join(text.split())))


def _commands(context: click.Context) -> Iterator[str]:
    group = context.command
    if not isinstance(group, LazyGroup):
        return
    yield ".SH COMMANDS"
    for name in sorted(group.lazy):
        entry = group.lazy[name]
        if not entry.hidden:
            page = f"{_name(context.command_path)}-{name}"
            yield from (".TP", f"\\fB{_escaped(page)}\\fR({SECTION})", _escaped(one_line(entry)))


def _examples(epilog: str) -> Iterator[str]:
    for example in re.sub(r"^Examples?: ", "", epilog).split(", skywire "):
        yield from (".PP", f"\\fB{_escaped('skywire ' + example.removeprefix('skywire '))}\\fR")


def _escaped(text: str) -> str:
    """No character of it is taken for a command of man(7)."""
    shown = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown
