"""`skywire doc`: the command reference, written from the commands themselves."""

from collections.abc import Iterator
from pathlib import Path

import click

WIDTH = 88  # columns of the help texts, whatever the terminal

_HEAD = """\
# Command reference

Written by `make docs` from the commands themselves: change the commands, not this file.

Every command takes `--json`, before its name or after it. Then its result is
`{"output": …}` on standard output, and its error `{"error": …, "code": …}` on standard error.
Exit codes: 0 success, 1 failure, 2 bad usage, 130 interrupted.
"""


@click.command()
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output.",
)
@click.pass_context
def doc(context: click.Context, file: Path | None) -> None:
    """Print the command reference, in Markdown."""
    text = reference(context.find_root().command)
    if file is None:
        click.echo(text, nl=False)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def reference(root: click.Command) -> str:
    """The help of every command that is not hidden, in Markdown."""
    name = root.name or ""
    context = click.Context(
        root,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    sections = [
        f"## {each.command_path}\n\n```text\n{each.get_help()}\n```\n" for each in walk(context)
    ]
    return "\n".join([_HEAD, *sections])


def walk(context: click.Context) -> Iterator[click.Context]:
    """The context of a command and of all below it that are not hidden, in order of their names."""
    yield context
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
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
