"""The visors of this visor's hypervisor, and of theirs: found, listed, acted on. hypervisor.md §7.

    A → B → C: C is connected to B, B to A. A asks B, which asks C.

What is asked of a visor behind another hypervisor goes to that one as a method of its own, `HV…`.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, NotSupported, SkywireError
from skywire.visor.client import VisorClient
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

SUB_LIMIT = 10.0  # seconds a hypervisor may take for the list of its visors
PASS_LIMIT = 20.0  # seconds a request may take that is passed on …
ADD_LIMIT = 60.0  # … and one that opens a transport
MAX_TRANSPORTS = 1000  # told in one list: those of the visors that come first
NOT_RUNNING = "hypervisor not running"
# begin or are in the errors of visors that are no hypervisors: they are passed over
NO_HYPERVISOR = (NOT_RUNNING, "hypervisor not enabled", "can't find method", "can't find service")


class Managed(Protocol):
    """`hypervisor.visors.Visors`."""

    def online(self) -> list[PubKey]:
        """The visors that are connected to us and answer, ours not among them."""
        ...

    def connected(self, pk: PubKey) -> VisorClient:
        """One of those that are connected, or ours. Raises NotFound, Unavailable."""
        ...

    def is_connected(self, pk: PubKey) -> bool: ...

    async def direct(self) -> list[HVVisorEntry]:
        """Ours first, then those that are connected, by key; as told last, or just now."""
        ...

    async def below(self) -> list[HVSection]:
        """What the hypervisors among them told about theirs; `via_chain` begins with ours."""
        ...

    async def through(self, pk: PubKey) -> PubKey | None:
        """Which of those that are connected `pk` is behind. Raises Unavailable."""
        ...

    def passing(self, pk: PubKey) -> AbstractContextManager[None]:
        """A request for `pk` is passed on. Raises Unavailable when it goes in a circle."""
        ...

    def admit(self, keys: Iterable[PubKey]) -> None:
        """Have every visor let these open terminals, as our own hypervisors."""
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


def is_no_hypervisor(error: SkywireError) -> bool:
    """Whether a visor says so that it has no visors."""
    return any(text in str(error) for text in NO_HYPERVISOR)


async def find(visors: Managed, own: PubKey, pk: PubKey) -> Place:
    """Ours, one that is connected, or one behind one that is. Raises NotFound, Unavailable."""
    if pk == own or visors.is_connected(pk):
        return Place(visors.connected(pk), behind=False)
    through = await visors.through(pk)
    if through is None:
        raise NotFound(f"visor {pk} not reachable")
    return Place(visors.connected(through), behind=True)


def flat(direct: Sequence[HVVisorEntry], below: Sequence[HVSection]) -> list[HVVisorEntry]:
    """Each visor once; those behind another hypervisor say so."""
    entries = {entry.pk: entry for entry in direct}
    for section in below:
        key = section.hypervisor_pk
        for entry in [] if section.sub_error else section.visors:
            if entry.pk not in entries:
                entries[entry.pk] = replace(entry, proxied_via=key, is_local=False)
    return _within(list(entries.values()), MAX_TRANSPORTS)[0]


def tree(own: PubKey, direct: Sequence[HVVisorEntry], below: Sequence[HVSection]) -> HVVisorTree:
    """Our section, then those of the hypervisors below ours."""
    room, sections = MAX_TRANSPORTS, []
    for section in [HVSection(own, visors=list(direct)), *below]:
        visors, room = _within(section.visors, room)
        sections.append(replace(section, visors=visors))
    return HVVisorTree(sections)


def _within(entries: Sequence[HVVisorEntry], room: int) -> tuple[list[HVVisorEntry], int]:
    """Without the transports for which there is no room; their number stays."""
    kept = []
    for entry in entries:
        count = len(entry.transport_summaries)
        kept.append(entry if count <= room else replace(entry, transport_summaries=[]))
        room -= count if count <= room else 0
    return kept, room
