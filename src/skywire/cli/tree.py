"""`skywire tree`: every command at a glance."""

from collections.abc import Iterator
from typing import NamedTuple

import click

from skywire.cli import output
from skywire.cli.lazy import LazyGroup, one_line


class _Row(NamedTuple):
    words: tuple[str, ...]
    help: str


@click.command(epilog="Example: skywire tree cli visor")
@click.argument("words", metavar="[WORD]…", nargs=-1)
@click.option("--all", "hidden", is_flag=True, help="Old words, too, that no help shows.")
@output.json_option(shape=[{"command": str, "help": str}])
@click.pass_context
def tree(context: click.Context, words: tuple[str, ...], hidden: bool, as_json: bool) -> None:
    """Show the tree of commands, or what is below the words."""
    group = context.find_root().command
    path = [group.name or ""]
    for word in words:
        found = group.lazy.get(word) if isinstance(group, LazyGroup) else None
        if not isinstance(found, LazyGroup):
            raise click.UsageError(f'"{" ".join([*path, word])}" is no group of commands', context)
        group = found
        path.append(word)
    assert isinstance(group, LazyGroup)  # noqa: S101 - the root is one, and so are those below
    rows = list(_rows(group, (), hidden))
    result = [{"command": " ".join([*path, *row.words]), "help": row.help} for row in rows]
    lines = [("  " * (len(row.words) - 1) + row.words[-1], row.help) for row in rows]
    width = max((len(name) for name, _ in lines), default=0)
    text = "\n".join([" ".join(path), *(f"  {name:{width}}  {line}" for name, line in lines)])
    output.emit(result, as_json=as_json, text=text)


def _rows(group: LazyGroup, above: tuple[str, ...], hidden: bool) -> Iterator[_Row]:
    for name in sorted(group.lazy):
        entry = group.lazy[name]
        if entry.hidden and not hidden:
            continue
        words = (*above, name)
        yield _Row(words, one_line(entry))
        if isinstance(entry, LazyGroup):
            yield from _rows(entry, words, hidden)
