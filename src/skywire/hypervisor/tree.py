"""The visors of a hypervisor and of those below it, by hypervisor. hypervisor.md §4.2, §7."""

import asyncio
from typing import Any

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.hypervisor.visors import Visors
from skywire.visor import managed, ops_hv, ops_info
from skywire.visor.client import VisorClient
from skywire.visor.types import Overview, Summary, to_json
from skywire.visor.types_managed import HVVisorEntry

MAX_ROWS = 1024  # of one section


async def summaries_by_hypervisor(visors: Visors, own: PubKey) -> dict[str, Any]:
    """Sections of summaries, ours first; it leaves out the visors that have one of their own."""
    rows, lists = await asyncio.gather(
        visors.summaries(), managed.sub_lists(visors, ops_hv.list_direct_visors)
    )
    keys = {str(key) for key in lists}
    ours = [row for row in rows if row["overview"]["local_pk"] not in keys]
    sections: list[dict[str, Any]] = [{"hypervisor_pk": str(own), "visors": ours}]
    below = [_section(visors, own, key, found) for key, found in lists.items()]
    return {"sections": [*sections, *await asyncio.gather(*below)]}


async def _section(
    visors: Visors, own: PubKey, key: PubKey, found: "list[HVVisorEntry] | SkywireError"
) -> dict[str, Any]:
    section: dict[str, Any] = {"hypervisor_pk": str(key), "via_chain": [str(own)], "visors": []}
    if isinstance(found, SkywireError):
        return section | {"sub_error": str(found)}
    try:
        through = visors.connected(key)
    except SkywireError as error:
        return section | {"sub_error": str(error)}
    asked = [_row(through, entry.pk) for entry in found[:MAX_ROWS]]
    section["visors"] = list(await asyncio.gather(*asked))
    return section


async def _row(through: VisorClient, pk: PubKey) -> dict[str, Any]:
    try:
        async with asyncio.timeout(managed.SUMMARY_LIMIT):
            summary = await ProxiedVisor(through, pk).call(ops_info.summary)
    except (SkywireError, TimeoutError):
        summary = Summary(overview=Overview(local_pk=pk))
    row: dict[str, Any] = to_json(summary)
    return row
