"""The visors of a hypervisor: `skywire cli visor hv ls`. Source: hypervisor.md §8."""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from skywire.cli import hv_rows, output
from skywire.cli.net_probes import reason
from skywire.cli.node import NodeAddress, is_missing, node_options
from skywire.errors import Refused, SkywireError

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor
    from skywire.visor.types_managed import HVVisorEntry, HVVisorTree

WATCH, LEAST, MOST = 2.0, 0.2, 3600.0  # seconds between two lists
CLEAR = "\x1b[H\x1b[2J"


@click.command(
    "ls", epilog="Examples: skywire cli visor hv ls, skywire cli visor hv ls --load --watch"
)
@click.option("--flat", is_flag=True, help="One table, not one for each hypervisor.")
@click.option("--load", is_flag=True, help="How busy the machines are, too.")
@click.option(
    "-w", "--watch", type=click.FloatRange(LEAST, MOST), is_flag=False, flag_value=WATCH,
    metavar="[SECONDS]",
    help=f"List them again and again, every {WATCH:g} s unless told otherwise; Ctrl-C ends it.",
)  # fmt: skip
@node_options
@output.json_option(shape="skywire.visor.types_managed:HVVisorTree")
def list_visors(
    node: NodeAddress, flat: bool, load: bool, watch: float | None, as_json: bool
) -> None:
    """List the visors that are connected to the hypervisor, and those of hypervisors among them.

    \b
    In JSON with --flat: a list of visors. With --watch: one document a line.
    The load is there whenever a visor reports it:
      LOAD    processes that want to run, of the last minute, and the CPUs there are
      MEM%    memory in use, without what is only cached
      DISK%   of the root file system, as df tells
    On a terminal what is scarce is yellow, what is used up is red.
    """
    from skywire.visor.types import to_json

    if watch is not None:
        asyncio.run(_watch(node, watch, flat=flat, load=load, as_json=as_json))
        return
    found = asyncio.run(ask(node, flat=flat))
    output.emit(to_json(found), as_json=as_json, text=_text(found, load=load))


async def ask(node: NodeAddress, *, flat: bool) -> "list[HVVisorEntry] | HVVisorTree":
    """One of 2024 tells keys alone. Raises as `NodeAddress.ask`."""
    async with node.deadline(), node.connect() as visor:
        return await (_entries(visor) if flat else _tree(visor))


async def _watch(
    node: NodeAddress, interval: float, *, flat: bool, load: bool, as_json: bool
) -> None:
    """For ever; a visor that is away is asked again, but for the first time."""
    from skywire.visor.types import to_json

    found = None
    while True:
        told, lost = time.strftime("%H:%M:%S"), ""
        try:
            found = await ask(node, flat=flat)
            since = told
        except (SkywireError, TimeoutError, OSError) as error:
            if found is None:
                raise
            lost = reason(error, node.timeout)
        if as_json and lost:
            output.say(lost)
        elif as_json:
            output.emit_line(to_json(found))
        else:
            state = f"{node}, {told}" + (f": old, of {since}: {lost}" if lost else "")
            clear = CLEAR if sys.stdout.isatty() else ""
            click.echo(f"{clear}{output.harmless(state)}\n\n{_text(found, load=load)}\n")
        await asyncio.sleep(interval)


def _text(found: "list[HVVisorEntry] | HVVisorTree", *, load: bool) -> str:
    if not isinstance(found, list):
        return _sections(found, load=load)
    return _table(found, load=load) if found else "No visors connected."


async def _entries(visor: "RemoteVisor") -> "list[HVVisorEntry]":
    from skywire.visor import ops_hv

    try:
        return await visor.call(ops_hv.list_visors)
    except Refused as error:
        if not is_missing(error):
            raise
        return await _keys_alone(visor)


async def _tree(visor: "RemoteVisor") -> "HVVisorTree":
    from skywire.visor import ops_hv, ops_info
    from skywire.visor.types_managed import HVSection, HVVisorTree

    try:
        return await visor.call(ops_hv.list_visors_tree)
    except Refused as error:
        if not is_missing(error):
            raise
        own = (await visor.call(ops_info.overview)).local_pk
        return HVVisorTree([HVSection(own, visors=await _keys_alone(visor))])


async def _keys_alone(visor: "RemoteVisor") -> "list[HVVisorEntry]":
    """All that a hypervisor of 2024 tells."""
    from skywire.crypto.keys import PubKey
    from skywire.visor import ops_info
    from skywire.visor.types_managed import HVVisorEntry

    keys = await visor.call(ops_info.remote_visors)
    return [HVVisorEntry(PubKey.parse(key), online=True) for key in keys]


def _sections(tree: "HVVisorTree", *, load: bool) -> str:
    lines: list[str] = []
    for section in tree.sections:
        if section.via_chain:
            lines += ["", *(f"    {key}" for key in section.via_chain)]
            lines.append(f"└── {section.hypervisor_pk}")
        else:
            lines += [*([""] if lines else []), str(section.hypervisor_pk)]
        if section.sub_error:
            lines.append(output.harmless(f"  (sub-hypervisor query error: {section.sub_error})"))
        elif section.visors:
            lines.append(_table(section.visors, load=load))
        else:
            lines.append("  (no visors)")
    return "\n".join(lines)


def _table(entries: "Sequence[HVVisorEntry]", *, load: bool) -> str:
    rows = [hv_rows.cells(one, load=load) for one in entries]
    return output.render(output.Table(hv_rows.columns(load=load), rows))
