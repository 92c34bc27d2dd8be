"""The visor as a program: `skywire cli visor start|halt|reload|log`. Source: cli.md §A2, B5."""

import asyncio
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, node_options
from skywire.config.places import PACKAGE_CONFIG, user_config
from skywire.errors import DialFailed, NotFound, RemoteProtocolError, StreamError

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor

LOOK_AGAIN = 0.2  # seconds between questions whether the visor is back
FOLLOW = 1.0  # seconds between looks at the log
LEVELS = ("trace", "debug", "info", "warning", "error", "fatal")
ENTRY = {"time": str, "level": str, "_module": str, "msg": str, "log_line": int, "…": object}


@click.command(epilog="Example: skywire cli visor start -c skywire-config.json")
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="Config file. Default: that of the package for root, else the one in the home directory.",
)
def start(file: Path | None) -> None:
    """Run a visor in this terminal; Ctrl-C ends it.

    As "skywire visor -c FILE", with the file where an installation has it.
    """
    place = file or (PACKAGE_CONFIG if os.geteuid() == 0 else user_config())
    if not place.is_file():
        missing = NotFound(f"{place}: no such config file")
        missing.add_note('Make one with "skywire cli config gen", or name one with -c.')
        raise missing
    from skywire.cli.visor import visor

    visor.main(["-c", str(place)], "skywire visor", standalone_mode=False)


@click.command(epilog="Example: skywire cli visor halt")
@node_options
@output.json_option(shape=str)
def halt(node: NodeAddress, as_json: bool) -> None:
    """Have the visor stop; systemd, where it runs one, starts it again."""
    node.run(_halt)
    output.emit("OK", as_json=as_json, text="Visor was shut down")


async def _halt(visor: "RemoteVisor") -> None:
    from skywire.visor import ops_node

    with suppress(StreamError):  # it may be gone before it answers
        await visor.call(ops_node.shutdown)


@click.command(epilog="Example: skywire cli visor reload")
@node_options
@output.json_option(shape=str)
def reload(node: NodeAddress, as_json: bool) -> None:
    """Have the visor read its config file again and start anew; waits until it answers."""
    asyncio.run(_reload(node))
    output.emit("OK", as_json=as_json, text="Visor reloaded")


async def _reload(node: NodeAddress) -> None:
    from skywire.visor import ops_info, ops_node

    async with node.deadline():
        async with node.connect() as visor:
            before = await visor.call(ops_info.uptime)
            with suppress(StreamError):  # it may go down before it answers
                await visor.call(ops_node.reload)
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            try:
                async with node.connect() as visor:
                    if await visor.call(ops_info.uptime) < before:
                        return
            except (DialFailed, StreamError):
                continue


@click.command(epilog="Example: skywire cli visor log --follow --min-level warning")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("--min-level", type=click.Choice(LEVELS), default="trace", help="Leave out the rest.")
@click.option("--module", metavar="TEXT", default="", help="Only modules with this in their name.")
@node_options
@output.json_option(shape=[ENTRY])
def log(node: NodeAddress, follow: bool, min_level: str, module: str, as_json: bool) -> None:
    """Show the last log entries of the visor, up to 300. In JSON with --follow: one a line."""

    def wanted(entry: dict[str, Any]) -> bool:
        level = entry.get("level", "")
        known = level in LEVELS
        loud = not known or LEVELS.index(level) >= LEVELS.index(min_level)
        return loud and module in entry.get("_module", "")

    if follow:
        asyncio.run(_follow(node, wanted, as_json=as_json))
        return
    entries = [entry for entry in node.run(_entries) if wanted(entry)]
    output.emit(entries, as_json=as_json, text="\n".join(map(_line, entries)))


async def _entries(visor: "RemoteVisor") -> list[dict[str, Any]]:
    """Raises RemoteProtocolError when the visor sends something else."""
    from skywire.visor import ops_node

    text = await visor.call(ops_node.runtime_logs)
    try:
        found = json.loads(text or "[]")
    except ValueError as error:
        raise RemoteProtocolError(f"the visor's log is no JSON: {error}") from error
    return [entry for entry in found if isinstance(entry, dict)]


async def _follow(node: NodeAddress, wanted: Any, *, as_json: bool) -> None:
    """Until Ctrl-C, or until the visor does not answer any more."""
    last = 0
    async with node.connect() as visor:
        while True:
            async with node.deadline():
                entries = await _entries(visor)
            fresh = [entry for entry in entries if entry.get("log_line", 0) > last]
            last = max((entry.get("log_line", 0) for entry in entries), default=last)
            _print(filter(wanted, fresh), as_json=as_json)
            await asyncio.sleep(FOLLOW)


def _print(entries: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    for entry in entries:
        click.echo(output.to_json(entry, indent=-1) if as_json else _line(entry))


def _line(entry: dict[str, Any]) -> str:
    """As the reference prints it on a terminal (visor.md §2)."""
    rest = {
        key: value
        for key, value in entry.items()
        if key not in ("time", "level", "_module", "msg", "log_line")
    }
    more = "".join(f" {key}={value}" for key, value in rest.items())
    level = str(entry.get("level", "")).upper()
    module, message = entry.get("_module", ""), entry.get("msg", "")
    return f"[{entry.get('time', '')}] {level} [{module}]: {message}{more}"
