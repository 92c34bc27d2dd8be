"""`skywire top`: the visor live, in a terminal; `--once` and `--json` give one snapshot."""

import asyncio
import sys
from typing import Any

import click

from skywire.cli import output, snapshot, top_data
from skywire.cli.node import NodeAddress, node_options
from skywire.errors import NotSupported

DEFAULT_INTERVAL, LEAST, MOST = 2.0, 0.2, 3600.0  # seconds between snapshots


@click.command(epilog="Examples: skywire top, skywire top --once, skywire top --jq .transports")
@click.option("--once", is_flag=True, help="Print one snapshot and end.")
@click.option(
    "-d", "--interval", type=click.FloatRange(LEAST, MOST), default=DEFAULT_INTERVAL,
    show_default=True, metavar="SECONDS",
    help="Time between snapshots, over which rates are measured.",
)  # fmt: skip
@node_options
@output.json_option(shape=top_data.SHAPE)
def top(node: NodeAddress, once: bool, interval: float, as_json: bool) -> None:
    """Watch the visor: transports with their traffic, routes, apps, dmsg sessions, health, load.

    \b
      1 to 5, Tab   which table         s   sort by the next column
      p             pause, go on        r   sort the other way round
      q             end

    It lives through a restart of the visor: what is shown is marked as old until it answers again.
    One snapshot, of --once and --json, takes two looks, so that there are rates; these are in
    bytes/s, times in s or ms as the names of the keys tell.
    """
    if once or as_json:
        _print(node.run(lambda visor: _twice(visor, interval)), as_json=as_json)
        return
    if not sys.stdout.isatty():
        raise click.UsageError("this is no terminal: use --once or --json")
    start(node, interval)


def start(node: NodeAddress, interval: float) -> None:
    """The live view. Raises NotSupported when textual is not installed."""
    try:
        from skywire.cli.top_app import TopApp
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("textual"):
            raise
        missing = NotSupported("skywire top needs the Python package textual")
        missing.add_note('Install it with: pip install "pyskywire[top]"; --once works without it.')
        raise missing from error
    TopApp(node, interval).run()


async def _twice(visor: Any, interval: float) -> dict[str, Any]:
    before = await snapshot.take(visor)
    await asyncio.sleep(min(interval, DEFAULT_INTERVAL))
    return top_data.about(await snapshot.take(visor), before)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    parts = ["\n".join(top_data.headline(found, short=False))]
    for view in top_data.views(found, short=False):
        rows = view.sorted(view.sort, falling=view.falling)
        if rows:
            table = output.Table(view.columns, [[cell.text for cell in row] for row in rows])
            parts.append(f"{view.name}\n{output.render(table)}")
    output.emit(found, as_json=as_json, text="\n\n".join(parts))
