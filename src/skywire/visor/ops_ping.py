"""How far away other visors are: pings over routes. Source: apps.md §10, visor.md §3.2."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar
from uuid import UUID as Uuid

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.dmsg import control
from skywire.errors import InvalidValue, NotSupported, SkywireError, Unavailable
from skywire.operations import operation
from skywire.ports import DMSG_CONTROL
from skywire.transport.service_directory import ServiceDirectory
from skywire.visor.pings import Step
from skywire.wire.gob_types import (
    DURATION,
    FLOAT,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    UUID,
    Go,
    Slice,
)

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

TYPE_LIMIT = 3.0  # seconds to learn of what type a far transport is
DMSG_LIMIT = 12.0  # seconds for a dmsg ping, the dial included
LIST_LIMIT = 15.0  # seconds for the list of public visors
TEST_LIMIT = 120.0  # seconds for one visor of a test
MAX_TESTED = 50  # visors of one test


@dataclass(slots=True)
class PingConfig:
    """`tries` 0 is one; `size` in KiB, 0 the smallest message; `public_visors` of a test."""

    GO_NAME: ClassVar[str] = "PingConfig"
    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    tries: Annotated[int, Go("Tries", INT)] = 0
    size: Annotated[int, Go("PcktSize", INT)] = 0
    public_visors: Annotated[int, Go("PubVisCount", INT)] = 0


@dataclass(slots=True)
class VisorTest:
    """Times are texts in ms, as Go has them; `status` is "Success", or what went wrong."""

    GO_NAME: ClassVar[str] = "TestResult"
    pk: Annotated[str, Go("PK", STRING)] = ""
    max: Annotated[str, Go("Max", STRING)] = ""
    min: Annotated[str, Go("Min", STRING)] = ""
    mean: Annotated[str, Go("Mean", STRING)] = ""
    status: Annotated[str, Go("Status", STRING)] = ""


@dataclass(slots=True)
class TracePingIn:
    """Ours. `via`: a visor over which the route must lead, or the null key."""

    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    via: Annotated[PubKey, Go("Via", PUBKEY)] = NULL_KEY
    tries: Annotated[int, Go("Tries", INT)] = 0
    size: Annotated[int, Go("PcktSize", INT)] = 0


@dataclass(slots=True)
class PingHop:
    """Ours: a transport of a route. Latencies are there and back; negative: not known.

    `latency_ms` is of this transport alone and `age_s` old; for one of ours it is its own figure,
    for another one the difference of two round trips, taken for this answer. `round_trip_ms` is
    from us to the far end of this hop.
    """

    GO_NAME: ClassVar[str] = "PingHop"
    tp_id: Annotated[Uuid, Go("TpID", UUID)] = NULL_UUID
    from_pk: Annotated[PubKey, Go("From", PUBKEY)] = NULL_KEY
    to_pk: Annotated[PubKey, Go("To", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("TpType", STRING)] = ""
    latency_ms: Annotated[float, Go("LatencyMS", FLOAT)] = 0.0
    age_s: Annotated[float, Go("LatencyAge", FLOAT)] = 0.0
    round_trip_ms: Annotated[float, Go("RoundTripMS", FLOAT)] = 0.0


@dataclass(slots=True)
class PingTrace:
    """Ours: `taken` is ns of each message."""

    GO_NAME: ClassVar[str] = "PingTrace"
    taken: Annotated[list[int], Go("Taken", Slice(DURATION))] = field(default_factory=list)
    hops: Annotated[list[PingHop], Go("Hops", Slice(PingHop))] = field(default_factory=list)


@operation(rpc="DialPing")
async def dial_ping(visor: "Visor", request: PingConfig) -> None:
    """Have a route to another visor ready, to ping it."""
    await visor.pings.dial(request.pk)


@operation(rpc="Ping")
async def ping(visor: "Visor", request: PingConfig) -> Annotated[list[int], Slice(DURATION)]:
    """How long messages take there and back over that route, in ns."""
    taken = await visor.pings.ping(request.pk, request.tries or 1, request.size)
    return [round(seconds * 1e9) for seconds in taken]


@operation(rpc="StopPing")
async def stop_ping(visor: "Visor", pk: Annotated[PubKey, PUBKEY]) -> None:
    """Close that route."""
    await visor.pings.stop(pk)


@operation(rpc="TracePing", http="POST /visors/{pk}/ping-target")
async def trace_ping(visor: "Visor", request: TracePingIn) -> PingTrace:
    """Ping a visor, and each one on the way to it; the route is closed afterwards."""
    via = None if request.via == NULL_KEY else request.via
    taken, steps = await visor.pings.trace(request.pk, request.tries or 1, request.size, via)
    types = await _types(visor, steps)
    hops, before = [], 0.0
    for step in steps:
        latency, age = -1.0, 0.0
        link = visor.transports.manager.link(step.hop.tp_id)
        if link is not None and link.latency is not None:
            latency, age = link.latency * 1000, link.latency_age or 0.0
        elif step.round_trip is not None and before >= 0:
            latency = max(0.0, step.round_trip - before) * 1000
        before = -1.0 if step.round_trip is None else step.round_trip
        hop = step.hop
        hops.append(
            PingHop(
                hop.tp_id,
                hop.from_pk,
                hop.to_pk,
                types.get(hop.tp_id, ""),
                latency,
                age,
                -1.0 if step.round_trip is None else step.round_trip * 1000,
            )
        )
    return PingTrace([round(seconds * 1e9) for seconds in taken], hops)


async def _types(visor: "Visor", steps: list[Step]) -> dict[Uuid, str]:
    """Of our transports, and of others as far as the discovery tells in time."""
    found = {link.id: link.type for link in visor.transports.links}

    async def ask(id: Uuid) -> None:
        try:
            async with asyncio.timeout(TYPE_LIMIT):
                found[id] = (await visor.transports.discovery.entry(id)).type
        except (SkywireError, TimeoutError):
            return  # it stays unknown

    async with asyncio.TaskGroup() as tasks:
        for step in steps:
            if step.hop.tp_id not in found:
                tasks.create_task(ask(step.hop.tp_id), name="transport type")
    return found


@dataclass(slots=True)
class DmsgPong:
    """Ours: over which dmsg server a visor was reached, and the round trip in ns."""

    server: Annotated[PubKey, Go("Server", PUBKEY)] = NULL_KEY
    round_trip: Annotated[int, Go("RoundTrip", DURATION)] = 0


@operation(rpc="DmsgPing", http="POST /visors/{pk}/dmsg-ping-target")
async def dmsg_ping(visor: "Visor", pk: Annotated[PubKey, PUBKEY]) -> DmsgPong:
    """How long a byte takes to another visor and back over dmsg, without a route."""
    try:
        async with asyncio.timeout(DMSG_LIMIT):
            stream = await visor.dmsg.dial(pk, DMSG_CONTROL)
            try:
                seconds = await control.ping(stream)
            finally:
                stream.abort()
    except TimeoutError:
        raise Unavailable(f"{pk}: no answer on dmsg within {DMSG_LIMIT:g} s") from None
    return DmsgPong(PubKey(bytes.fromhex(stream.server)), round(seconds * 1e9))


@operation(rpc="TestVisor")
async def test_visor(
    visor: "Visor", request: PingConfig
) -> Annotated[list[VisorTest], Slice(VisorTest)]:
    """Ping some public visors, one after the other."""
    count = request.public_visors
    if not 0 < count <= MAX_TESTED:
        raise InvalidValue(f"{count} visors to test: expected 1 to {MAX_TESTED}")
    url = visor.config.launcher.service_discovery
    if not url:
        raise NotSupported("no service discovery: the config has no launcher.service_discovery")
    try:
        async with (
            asyncio.timeout(LIST_LIMIT),
            visor.services.temporary("launcher.service_discovery", url) as session,
        ):
            keys = await ServiceDirectory(session).public_visors(count + 1)
    except TimeoutError:
        raise Unavailable(f"{url} does not answer within {LIST_LIMIT:g} s") from None
    others = [pk for pk in dict.fromkeys(keys) if pk != visor.pk][:count]
    return [await _test(visor, pk, request) for pk in others]


async def _test(visor: "Visor", pk: PubKey, request: PingConfig) -> VisorTest:
    try:
        async with asyncio.timeout(TEST_LIMIT):
            taken = await visor.pings.once(pk, request.tries or 1, request.size)
    except (SkywireError, TimeoutError) as error:
        return VisorTest(str(pk), "0", "0", "0", f"Failed: {error or 'no answer in time'}")
    mean = sum(taken) / len(taken)
    longest, shortest, usual = (f"{each * 1000:.2f}" for each in (max(taken), min(taken), mean))
    return VisorTest(str(pk), longest, shortest, usual, "Success")
