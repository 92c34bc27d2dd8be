"""The visors of a hypervisor: `skywire cli visor hv ls`. Source: hypervisor.md §8."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress, is_missing, node_options
from skywire.config.values import Duration
from skywire.errors import Refused

if TYPE_CHECKING:
    from skywire.visor.client import RemoteVisor
    from skywire.visor.types import LoadStats
    from skywire.visor.types_managed import HVVisorEntry, HVVisorTree

COLUMNS = ("PK", "LABEL", "VERSION", "UPTIME", "TP", "APPS", "IP", "CC", "STATUS")
LOAD_COLUMNS = ("LOAD", "MEM%", "DISK%")
MAX_STATUS = 25  # characters of an error


@click.command("ls", epilog="Examples: skywire cli visor hv ls, skywire cli visor hv ls --load")
@click.option("--flat", is_flag=True, help="One table, not one for each hypervisor.")
@click.option("--load", is_flag=True, help="How busy the machines are, too.")
@node_options
@output.json_option(shape="skywire.visor.types_managed:HVVisorTree")
def list_visors(node: NodeAddress, flat: bool, load: bool, as_json: bool) -> None:
    """List the visors that are connected to the hypervisor, and those of hypervisors among them.

    In JSON with --flat: a list of visors. The load is there whenever a visor reports it.
    """
    from skywire.visor.types import to_json

    if flat:
        entries = node.run(_entries)
        text = _table(entries, load) if entries else "No visors connected."
        output.emit(to_json(entries), as_json=as_json, text=text)
        return
    found = node.run(_tree)
    output.emit(to_json(found), as_json=as_json, text=_sections(found, load))


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


def _sections(tree: "HVVisorTree", load: bool) -> str:
    lines: list[str] = []
    for section in tree.sections:
        if section.via_chain:
            lines += ["", *(f"    {key}" for key in section.via_chain)]
            lines.append(f"└── {section.hypervisor_pk}")
        else:
            lines += [*([""] if lines else []), str(section.hypervisor_pk)]
        if section.sub_error:
            lines.append(f"  (sub-hypervisor query error: {section.sub_error})")
        elif section.visors:
            lines.append(_table(section.visors, load))
        else:
            lines.append("  (no visors)")
    return "\n".join(lines)


def _table(entries: "Sequence[HVVisorEntry]", load: bool) -> str:
    columns = (*COLUMNS, *LOAD_COLUMNS) if load else COLUMNS
    return output.render(output.Table(columns, [_cells(one, load) for one in entries]))


def _cells(one: "HVVisorEntry", load: bool) -> list[object]:
    cells: list[object] = [
        one.pk,
        one.hostname,
        one.version,
        Duration(int(one.uptime_seconds)) if one.uptime_seconds else None,
        one.transports,
        one.apps,
        one.public_ip,
        one.country_code,
        _status(one),
    ]
    return [*cells, *load_cells(one.load)] if load else cells


def _status(one: "HVVisorEntry") -> str:
    if one.error:
        return one.error if len(one.error) <= MAX_STATUS else one.error[:MAX_STATUS] + "..."
    if one.is_local:
        return "local"
    return "ok" if one.online else "offline"


def load_cells(load: "LoadStats | None") -> tuple[str, str, str]:
    """LOAD, MEM% and DISK%, as the reference shows them."""
    if load is None:
        return "-", "-", "-"
    cores = f"/{load.cpu_cores}" if load.cpu_cores > 0 else ""
    memory, disk = f"{load.mem_used_percent:.0f}%", f"{load.disk_used_percent:.0f}%"
    return f"{load.load1:.2f}{cores}", memory, disk
