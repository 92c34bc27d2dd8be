"""Counting packets in a byte stream, and transport pings."""

from hypothesis import given
from hypothesis import strategies as st

from skywire.wire.link import (
    FIRST_PINGS,
    HEADER_SIZE,
    PING,
    PING_INTERVAL,
    PONG,
    SILENCE_LIMIT,
    Control,
    Observer,
    Pulse,
    control_packet,
)
from skywire.wire.packet import encode

PACKETS = st.lists(
    st.one_of(
        st.builds(encode, st.integers(0, 19), st.integers(0, 9), st.binary(max_size=40)),
        st.builds(control_packet, st.sampled_from([PING, PONG]), st.binary(min_size=8, max_size=8)),
    ),
    max_size=8,
)


def expected(packets: list[bytes]) -> list[Control]:
    return [
        Control(packet[0], packet[HEADER_SIZE:])
        for packet in packets
        if packet[0] in (PING, PONG) and packet[1:7] == b"\0\0\0\0\0\x08"
    ]


@given(PACKETS, st.data())
def test_any_split_finds_the_same(packets: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(packets)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=8)))
    observer, found = Observer(), []
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found += observer.receive_data(raw[begin:end])
    assert found == expected(packets)
    assert observer.packets == len(packets)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_bytes_are_followed(chunks: list[bytes]) -> None:
    whole, parts = Observer(), Observer()
    found: list[Control] = []
    for chunk in chunks:
        found += parts.receive_data(chunk)
    assert whole.receive_data(b"".join(chunks)) == found
    assert whole.packets == parts.packets


def test_a_pong_to_our_ping_is_the_latency() -> None:
    pulse = Pulse(100.0)
    assert pulse.latency is None
    ping = pulse.ping(100.0)
    assert ping is not None
    answer = Pulse(5.0).receive(Control(PING, ping[HEADER_SIZE:]), 5.0)
    assert answer is not None
    assert answer[0] == PONG
    assert pulse.receive(Control(PONG, answer[HEADER_SIZE:]), 100.25) is None
    assert pulse.latency == 0.25
    assert pulse.latency_at == 100.25


def test_a_pong_nobody_asked_for_says_nothing() -> None:
    pulse = Pulse(0.0)
    assert pulse.receive(Control(PONG, bytes(8)), 1.0) is None
    pulse.ping(1.0)
    pulse.receive(Control(PONG, b"\xff" * 8), 2.0)
    assert pulse.latency is None


def test_a_peer_that_never_answers_is_asked_a_few_times_and_never_called_silent() -> None:
    pulse = Pulse(0.0)
    times = [now for now in range(1000) if pulse.ping(float(now)) is not None]
    assert times == [0.0, PING_INTERVAL, 2 * PING_INTERVAL]
    assert len(times) == FIRST_PINGS
    assert not pulse.is_silent(10_000.0)
    assert pulse.ping(10_000.0, at_once=True) is not None


def test_one_that_answered_and_falls_silent_is_noticed() -> None:
    pulse = Pulse(0.0)
    ping = pulse.ping(0.0)
    assert ping is not None
    pulse.receive(Control(PONG, ping[HEADER_SIZE:]), 0.1)
    pulse.heard = 0.1
    assert not pulse.is_silent(SILENCE_LIMIT)
    assert pulse.is_silent(SILENCE_LIMIT + 1)
