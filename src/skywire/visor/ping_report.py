"""What a ping shows to people: the hops of its route and how long its messages took."""

from collections.abc import Mapping

import msgspec

from skywire.crypto.keys import PubKey
from skywire.visor.ops_ping import PingHop, PingTrace
from skywire.visor.ops_transports import TransportFigures


class HopInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies are there and back, None while unknown: `latency_ms` of this transport alone,
    `age_s` old, `round_trip_ms` from the first visor to the end of this hop."""

    start: str  # keys or names
    end: str
    transport: str
    type: str
    latency_ms: float | None
    age_s: float | None
    round_trip_ms: float | None


class PingInfo(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    target: str
    hops: list[HopInfo]
    round_trips_ms: list[float]


def report(trace: PingTrace, target: PubKey, names: Mapping[PubKey, str] | None = None) -> PingInfo:
    """`names` instead of keys."""

    def name(pk: PubKey) -> str:
        return str(pk) if names is None else names.get(pk, str(pk))

    return PingInfo(
        source=name(trace.hops[0].from_pk) if trace.hops else "",
        target=name(target),
        hops=[
            HopInfo(
                start=name(hop.from_pk),
                end=name(hop.to_pk),
                transport=str(hop.tp_id),
                type=hop.type,
                latency_ms=_known(hop, hop.latency_ms),
                age_s=_known(hop, hop.age_s),
                round_trip_ms=hop.round_trip_ms if hop.round_trip_ms >= 0 else None,
            )
            for hop in trace.hops
        ],
        round_trips_ms=[nanoseconds / 1e6 for nanoseconds in trace.taken],
    )


def _known(hop: PingHop, value: float) -> float | None:
    return value if hop.latency_ms >= 0 else None


def with_figure(hop: HopInfo, figures: list[TransportFigures]) -> HopInfo:
    """The hop with the figure that the visor it starts from has itself, if there is one."""
    for figure in figures:
        if str(figure.id) == hop.transport and figure.latency_ms > 0:
            return msgspec.structs.replace(
                hop,
                type=figure.type,
                latency_ms=figure.latency_ms,
                age_s=figure.latency_age_s,
            )
    return hop
