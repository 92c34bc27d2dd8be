"""The visors of this visor's hypervisor, and of theirs: found, listed, acted on. hypervisor.md §7.

    A → B → C: C is connected to B, B to A. A asks B, which asks C.

What is asked of a visor behind another hypervisor goes to that one as a method of its own, `HV…`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, NotSupported, SkywireError
from skywire.visor.client import VisorClient
from skywire.visor.types import Summary
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

log = logging.getLogger(__name__)

SUMMARY_LIMIT = 5.0  # seconds a visor may take for its summary
SUB_LIMIT = 10.0  # seconds a hypervisor may take for the list of its visors
NOT_RUNNING = "hypervisor not running"
# begin or are in the errors of visors that are no hypervisors: they are passed over
NO_HYPERVISOR = (NOT_RUNNING, "hypervisor not enabled", "can't find method", "can't find service")

_Answer = TypeVar("_Answer")
Operation = Callable[..., Awaitable[_Answer]]


class Managed(Protocol):
    """`hypervisor.visors.Visors`."""

    def online(self) -> list[PubKey]:
        """The visors that are connected to us, ours not among them."""
        ...

    def connected(self, pk: PubKey) -> VisorClient:
        """One of these, or ours. Raises NotFound, Unavailable."""
        ...


class Place(NamedTuple):
    """Where a visor is reached: by `client` itself, or `behind` the hypervisor at `client`."""

    client: VisorClient
    behind: bool


def managed(visor: "Visor") -> Managed:
    """Raises NotSupported for a visor that runs no hypervisor."""
    if visor.managed is None:
        raise NotSupported(NOT_RUNNING)
    return visor.managed


async def find(
    visors: Managed, own: PubKey, pk: PubKey, list_direct: Operation[list[HVVisorEntry]]
) -> Place:
    """Ours, one that is connected, or one behind one that is. Raises NotFound."""
    if pk == own or pk in visors.online():
        return Place(visors.connected(pk), behind=False)
    for key, entries in (await sub_lists(visors, list_direct)).items():
        if not isinstance(entries, SkywireError) and any(entry.pk == pk for entry in entries):
            return Place(visors.connected(key), behind=True)
    raise NotFound(f"visor {pk} not reachable")


SubLists = dict[PubKey, "list[HVVisorEntry] | SkywireError"]


async def sub_lists(visors: Managed, list_direct: Operation[list[HVVisorEntry]]) -> SubLists:
    """What the hypervisors among our visors list; in the order of their keys."""
    keys = sorted(visors.online())
    lists = await asyncio.gather(*(_ask(visors, key, list_direct) for key in keys))
    return {key: found for key, found in zip(keys, lists, strict=True) if found is not None}


async def _ask(
    visors: Managed, key: PubKey, list_direct: Operation[list[HVVisorEntry]]
) -> "list[HVVisorEntry] | SkywireError | None":
    """None for a visor that is no hypervisor."""
    try:
        async with asyncio.timeout(SUB_LIMIT):
            return await visors.connected(key).call(list_direct)
    except TimeoutError:
        return SkywireError(f"no answer within {SUB_LIMIT:g} s")
    except SkywireError as error:
        if any(text in str(error) for text in NO_HYPERVISOR):
            return None
        return error


async def direct_entries(
    visors: Managed, own: PubKey, summary: Operation[Summary]
) -> list[HVVisorEntry]:
    """Ours first, then those that are connected, by key."""
    keys = [own, *sorted(visors.online())]
    return list(await asyncio.gather(*(_entry(visors, key, own, summary) for key in keys)))


async def _entry(
    visors: Managed, key: PubKey, own: PubKey, summary: Operation[Summary]
) -> HVVisorEntry:
    try:
        async with asyncio.timeout(SUMMARY_LIMIT):
            found = HVVisorEntry.of(key, await visors.connected(key).call(summary))
    except TimeoutError:
        found = HVVisorEntry(key, error=f"no answer within {SUMMARY_LIMIT:g} s")
    except SkywireError as error:
        found = HVVisorEntry(key, error=str(error))
    found.is_local = key == own
    return found


def flat(direct: Sequence[HVVisorEntry], subs: SubLists) -> list[HVVisorEntry]:
    """Each visor once; those behind another hypervisor say so."""
    entries = {entry.pk: entry for entry in direct}
    for key, found in subs.items():
        for entry in [] if isinstance(found, SkywireError) else found:
            if entry.pk not in entries:
                entry.proxied_via, entry.is_local = key, False
                entries[entry.pk] = entry
    return list(entries.values())


def tree(own: PubKey, direct: Sequence[HVVisorEntry], subs: SubLists) -> HVVisorTree:
    """Our section, then one for each hypervisor among our visors."""
    sections = [HVSection(own, visors=list(direct))]
    for key, found in subs.items():
        section = HVSection(key, via_chain=[own])
        if isinstance(found, SkywireError):
            section.sub_error = str(found)
        else:
            section.visors = found
        sections.append(section)
    return HVVisorTree(sections)
