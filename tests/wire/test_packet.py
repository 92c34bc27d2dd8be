"""Packets against Go's bytes; the fast path against the plain reader; garbage."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import LocalProtocolError, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire.packet import (
    MIN_PAYLOAD,
    Packet,
    PacketReader,
    PacketType,
    Ping,
    Run,
    encode,
    parse_ping,
    ping_payload,
    pong_payload,
)

CASES = vectors.load("routing/packets")


@dataclass(slots=True)
class Way:
    next_id: int
    target: object | None
    expires: float = 10.0


@pytest.mark.parametrize("case", [c for c in CASES if "packet" in c], ids=lambda c: c["name"])
def test_same_bytes_as_go(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["packet"])
    (packet,) = PacketReader().receive_data(raw)
    assert tuple(packet) == (case["type"], case["route_id"], bytes.fromhex(case["payload"]))
    assert len(packet.payload) == case["payload_size"]
    assert packet.encode() == raw


@pytest.mark.parametrize("case", [c for c in CASES if c.get("type") == 4], ids=lambda c: c["name"])
def test_pings_as_go_writes_them(case: dict[str, Any]) -> None:
    payload = ping_payload(case["timestamp_ms"], case["throughput"])
    assert payload.hex() == case["payload"]
    assert parse_ping(payload) == Ping(case["timestamp_ms"], case["throughput"])


@pytest.mark.parametrize("case", [c for c in CASES if c.get("type") == 5], ids=lambda c: c["name"])
def test_pongs_as_go_writes_them(case: dict[str, Any]) -> None:
    assert pong_payload(case["timestamp_ms"]).hex() == case["payload"]


def test_a_payload_that_is_too_large_is_refused_as_go_does() -> None:
    (case,) = (c for c in CASES if "payload_len" in c)
    with pytest.raises(LocalProtocolError, match=case["error"]):
        encode(PacketType.DATA, 1, bytes(case["payload_len"]))
    assert len(encode(PacketType.DATA, 1, bytes(case["payload_len"] - 1))) == 7 + 65535


@pytest.mark.parametrize("size", [0, 8, 15])
def test_a_short_ping_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{size} bytes"):
        parse_ping(bytes(size))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_split_reads_the_same(raw: bytes, cuts: list[int]) -> None:
    whole = PacketReader().receive_data(raw)
    assert _split(raw, cuts) == whole
    assert b"".join(packet.encode() for packet in whole) == raw[: sum(map(_size, whole))]


def _size(packet: Packet) -> int:
    return 7 + len(packet.payload)


def _split(raw: bytes, cuts: list[int]) -> list[Packet]:
    got: list[Packet] = []
    reader, borders = PacketReader(), [0, *sorted(cuts), len(raw)]
    for begin, end in pairwise(borders):
        got += reader.receive_data(raw[begin:end])
    return got


PACKETS = st.lists(
    st.builds(Packet, st.integers(0, 9), st.integers(0, 4), st.binary(max_size=20)), max_size=20
)


@given(PACKETS, st.lists(st.integers(0, 400), max_size=3))
def test_the_fast_path_does_what_one_by_one_would(packets: list[Packet], cuts: list[int]) -> None:
    """Routes 1 and 2 go to one target, 3 to another; 4 is dead; 0 is unknown."""
    hops = {1: Way(11, "x"), 2: Way(12, "x"), 3: Way(13, "y"), 4: Way(14, "x", expires=4.0)}
    raw = b"".join(packet.encode() for packet in packets)
    got: list[tuple[object, Packet]] = []
    reader, borders = PacketReader(), [0, *sorted(cuts), max(len(raw), *cuts, 0)]
    for begin, end in pairwise(borders):
        for item in reader.route_data(raw[begin:end], hops, now=5.0):
            if isinstance(item, Run):
                got += [(item.target, p) for p in PacketReader().receive_data(bytes(item.data))]
                assert item.packets == len(PacketReader().receive_data(bytes(item.data)))
                assert {hop.target for hop in item.hops} == {item.target}
            else:
                got.append((None, item))
    wanted: list[tuple[object, Packet]] = []
    good = [p for p in packets if p.type < 7 and len(p.payload) >= MIN_PAYLOAD[p.type]]
    for packet in good:
        hop = hops.get(packet.route_id)
        if hop is None or hop.expires < 5.0 or packet.type == PacketType.CLOSE:
            wanted.append((None, packet))
        else:
            wanted.append((hop.target, packet._replace(route_id=hop.next_id)))
    assert got == wanted
    unknown = [packet for packet in packets if packet.type > 6]
    assert reader.malformed == len(packets) - len(good) - len(unknown)
    assert reader.unknown == sum(packet.route_id > 0 for packet in unknown)


def test_packets_of_one_route_are_one_run() -> None:
    raw = encode(PacketType.DATA, 1, b"abc") * 5
    (run,) = PacketReader().route_data(raw, {1: Way(9, "x")}, now=0.0)
    assert isinstance(run, Run)
    assert (run.packets, len(run.hops)) == (5, 1)
    assert bytes(run.data) == encode(PacketType.DATA, 9, b"abc") * 5
