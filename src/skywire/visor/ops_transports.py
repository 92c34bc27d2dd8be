"""What a visor does with its transports. Source: visor.md §3.2, hypervisor.md §6.1."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar
from uuid import UUID as Uuid

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import DialFailed, InvalidValue, NotFound, Unavailable
from skywire.operations import operation
from skywire.visor import settings, shown
from skywire.visor.types import PersistentTransport, TransportSummary
from skywire.wire.gob_types import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    UUID,
    Array,
    Go,
    Pointer,
    Slice,
)
from skywire.wire.transport import USER, Entry

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

ASK_LIMIT = 15.0  # seconds for the transport discovery
ADD_LIMIT = 20.0  # seconds, whatever time-out is asked for
MAX_LABEL = 64  # characters
MAX_PERSISTENT = 1024
NOT_FOUND = "not found"

_Told = TypeVar("_Told")


@dataclass(slots=True)
class TransportsIn:
    """Empty filters let all through."""

    GO_NAME: ClassVar[str] = "TransportsIn"
    types: Annotated[list[str], Go("FilterTypes", Slice(STRING))] = field(default_factory=list)
    keys: Annotated[list[PubKey], Go("FilterPubKeys", Slice(PUBKEY))] = field(default_factory=list)
    show_logs: Annotated[bool, Go("ShowLogs", BOOL)] = False


@dataclass(slots=True)
class AddTransportIn:
    """The last three fields are 2026's; the time-out is in ns."""

    GO_NAME: ClassVar[str] = "AddTransportIn"
    remote_pk: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("TpType", STRING)] = ""
    timeout: Annotated[int, Go("Timeout", DURATION)] = 0
    label: Annotated[str, Go("Label", STRING)] = ""
    no_register: Annotated[bool, Go("NoRegister", BOOL)] = False
    skip_latency_probe: Annotated[bool, Go("SkipLatencyProbe", BOOL)] = False


@dataclass(slots=True)
class TransportFigures:
    """Ours: what is known of one transport, and how old that is. A figure of 0 is unknown."""

    id: Annotated[Uuid, Go("ID", UUID)] = NULL_UUID
    remote_pk: Annotated[PubKey, Go("Remote", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("Type", STRING)] = ""
    latency_ms: Annotated[float, Go("LatencyMS", FLOAT)] = 0.0
    latency_age_s: Annotated[float, Go("LatencyAge", FLOAT)] = 0.0
    bandwidth: Annotated[float, Go("Bandwidth", FLOAT)] = 0.0  # bytes/s
    bandwidth_age_s: Annotated[float, Go("BandwidthAge", FLOAT)] = 0.0
    queued: Annotated[int, Go("Queued", INT)] = 0  # bytes


@dataclass(slots=True)
class ListedTransport:
    """As the transport discovery lists it; the keys are in order."""

    GO_NAME: ClassVar[str] = "Entry"
    t_id: Annotated[Uuid, Go("ID", UUID)] = NULL_UUID
    edges: Annotated[list[PubKey], Go("Edges", Array(PUBKEY, 2))] = field(
        default_factory=lambda: [NULL_KEY, NULL_KEY]
    )
    type: Annotated[str, Go("Type", STRING)] = ""
    label: Annotated[str, Go("Label", STRING)] = ""

    @classmethod
    def of(cls, entry: Entry) -> "ListedTransport":
        return cls(entry.id, list(entry.edges), entry.type, entry.label)


Summaries = Annotated[list[TransportSummary], Slice(Pointer(TransportSummary))]


@operation(rpc="TransportTypes", http="GET /visors/{pk}/transport-types")
async def transport_types(visor: "Visor") -> list[str]:
    """The kinds of transport this visor can open now."""
    return visor.transports.types


@operation(rpc="Transports", http="GET /visors/{pk}/transports")
async def transports(visor: "Visor", request: TransportsIn) -> Summaries:
    """The transports that are up."""
    return [
        shown.transport(link, visor.pk, log=request.show_logs)
        for link in visor.transports.links
        if (not request.types or link.type in request.types)
        and (not request.keys or link.remote in request.keys)
    ]


@operation(rpc="Transport", http="GET /visors/{pk}/transports/{tid}")
async def transport(visor: "Visor", id: Annotated[Uuid, UUID]) -> TransportSummary:
    """One transport."""
    link = visor.transports.manager.link(id)
    if link is None:
        raise NotFound(NOT_FOUND)
    return shown.transport(link, visor.pk)


@operation(rpc="AddTransport", http="POST /visors/{pk}/transports")
async def add_transport(visor: "Visor", request: AddTransportIn) -> TransportSummary:
    """Open a transport to another visor; the one that is there serves, too."""
    label = request.label or USER
    if len(label) > MAX_LABEL:
        raise InvalidValue(f"label of {len(label)} characters: expected at most {MAX_LABEL}")
    manager = visor.transports.manager
    if request.type not in manager.types:
        raise InvalidValue("save transport: unknown network type")
    try:
        async with asyncio.timeout(ADD_LIMIT):
            link = await manager.save(request.remote_pk, request.type, label)
    except TimeoutError:
        raise DialFailed(f"save transport: no answer within {ADD_LIMIT:g} s") from None
    except DialFailed as error:
        raise DialFailed(f"save transport: {error}") from error
    return shown.transport(link, visor.pk)


@operation(rpc="RemoveTransport", http="DELETE /visors/{pk}/transports/{tid}")
async def remove_transport(visor: "Visor", id: Annotated[Uuid, UUID]) -> None:
    """Close a transport; one that is not there is no error, as in Go."""
    if visor.transports.manager.link(id) is not None:
        await visor.transports.manager.remove(id)


@operation(rpc="RemoveAllTransports")
async def remove_all_transports(visor: "Visor") -> None:
    """Close all transports; those that are to be kept up come back."""
    manager = visor.transports.manager
    async with asyncio.TaskGroup() as tasks:
        for link in visor.transports.links:
            if link.is_up:
                tasks.create_task(manager.remove(link.id))


@operation(rpc="TransportFigures", http="GET /visors/{pk}/transport-figures", cli="tp metrics")
async def transport_figures(visor: "Visor") -> list[TransportFigures]:
    """Latency and bandwidth of each transport, with the age of each figure."""

    return [
        TransportFigures(
            link.id,
            link.remote,
            link.type,
            (link.latency or 0.0) * 1000,
            link.latency_age or 0.0,
            link.bandwidth or 0.0,
            link.bandwidth_age or 0.0,
            link.queued,
        )
        for link in visor.transports.links
    ]


@operation(rpc="DiscoverTransportsByPK")
async def transports_of(
    visor: "Visor", pk: Annotated[PubKey, PUBKEY]
) -> Annotated[list[ListedTransport], Slice(Pointer(ListedTransport))]:
    """The transports of a visor, as the transport discovery lists them."""
    found = await _ask_discovery(visor.transports.discovery.of_edge(pk))
    return [ListedTransport.of(entry) for entry in found]


@operation(rpc="DiscoverTransportByID")
async def listed_transport(visor: "Visor", id: Annotated[Uuid, UUID]) -> ListedTransport:
    """One transport, as the transport discovery lists it."""
    return ListedTransport.of(await _ask_discovery(visor.transports.discovery.entry(id)))


async def _ask_discovery(question: Awaitable[_Told]) -> _Told:
    try:
        async with asyncio.timeout(ASK_LIMIT):
            return await question
    except TimeoutError:
        text = f"transport discovery: no answer within {ASK_LIMIT:g} s"
        raise Unavailable(text) from None


@operation(rpc="GetPersistentTransports", http="GET /visors/{pk}/persistent-transports")
async def persistent_transports(visor: "Visor") -> list[PersistentTransport]:
    """The transports that are opened again whenever they are missing."""
    return visor.persistent_transports()


@operation(rpc="SetPersistentTransports", http="PUT /visors/{pk}/persistent-transports")
async def set_persistent_transports(
    visor: "Visor", request: Annotated[list[PersistentTransport], Slice(PersistentTransport)]
) -> None:
    """Replace the list of these, in the config file, too."""
    if len(request) > MAX_PERSISTENT:
        raise InvalidValue(f"{len(request)} transports: expected at most {MAX_PERSISTENT}")
    visor.set_persistent_transports(request)


@operation(rpc="SetPublicAutoconnect", http="PUT /visors/{pk}/public-autoconnect")
async def set_public_autoconnect(visor: "Visor", wanted: bool) -> None:
    """Keep transports to some public visors, or no longer; in the config file, too."""
    await settings.set_public_autoconnect(visor, wanted)
