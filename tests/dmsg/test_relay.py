"""The relay's two legs, driven without sockets: any split, any pause, bounded memory."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg import relay
from skywire.dmsg.relay import Leg, join
from skywire.wire.yamux import WINDOW, State, Yamux, YamuxStream


class Connection:
    """What a leg needs of a session; the test pauses it at will."""

    def __init__(self) -> None:
        self.paused = False
        self.parked = 0
        self.remote: PubKey = generate.key_pair()[0]
        self._calls: list[Callable[[], None]] = []

    def when_resumed(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def resume(self) -> None:
        self.paused = False
        calls, self._calls = self._calls, []
        for call in calls:
            call()


class Far:
    """A client: sends what its window allows, reads as much as the test lets it."""

    def __init__(self) -> None:
        self.to_send = b""
        self.got = bytearray()
        self.unread = 0
        self.eof = False
        self.lost = ""
        self.session = Yamux(
            client=True, now=0.0, on_stream=lambda stream: None, on_output=lambda: None
        )
        self.stream = self.session.open()
        self.stream.receiver = self

    def push(self) -> None:
        taken = self.stream.send(self.to_send) if self.to_send and self.stream.can_send else 0
        self.to_send = self.to_send[taken:]

    def read(self, count: int) -> None:
        count = min(count, self.unread)
        self.unread -= count
        self.stream.consume(count)

    def data_received(self, data: bytes | memoryview) -> None:
        self.got += data
        self.unread += len(data)
        assert self.unread <= WINDOW

    def window_opened(self) -> None:
        self.push()

    def eof_received(self) -> None:
        self.eof = True

    def stream_lost(self, reason: str) -> None:
        self.lost = reason


class Relayed:
    """Two clients, a relay in between, and the four directions of bytes."""

    def __init__(self) -> None:
        self.far = (Far(), Far())
        self.connections = (Connection(), Connection())
        self.near = tuple(self._near(index) for index in range(2))
        self.rng = random.Random(7)
        for index in range(2):
            self.near[index].receive_data(b"".join(self.far[index].session.data_to_send()), 0.0)
        self.legs = tuple(
            Leg(self.connections[i], self.near[i].streams[1])  # type: ignore[arg-type]
            for i in range(2)
        )
        join(*self.legs)

    @staticmethod
    def _near(index: int) -> Yamux:
        return Yamux(client=False, now=0.0, on_stream=YamuxStream.accept, on_output=lambda: None)

    def step(self) -> bool:
        """Move everything queued, in random pieces; False when nothing moved."""
        moved = False
        for index in range(2):
            for source, target in (
                (self.far[index].session, self.near[index]),
                (self.near[index], self.far[index].session),
            ):
                raw = b"".join(source.data_to_send())
                moved = moved or bool(raw)
                while raw:
                    cut = self.rng.randrange(1, len(raw) + 1)
                    target.receive_data(raw[:cut], 0.0)
                    raw = raw[cut:]
        return moved

    def settle(self) -> None:
        while self.step():
            pass


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 150_000), min_size=1, max_size=8),
    reads=st.lists(st.integers(0, 200_000), max_size=12),
    pauses=st.lists(st.booleans(), max_size=12),
)
def test_bytes_arrive_whole_in_order_and_bounded(
    sizes: list[int], reads: list[int], pauses: list[bool]
) -> None:
    net = Relayed()
    payload = random.Random(1).randbytes(sum(sizes))
    one, two = net.far
    one.to_send, two.to_send = payload, payload[::-1]
    one.push()
    two.push()
    for index in range(12):
        net.connections[1].paused = index < len(pauses) and pauses[index]
        net.step()
        for far in net.far:
            far.read(reads[index] if index < len(reads) else 0)
        assert all(connection.parked <= WINDOW for connection in net.connections)
        if not net.connections[1].paused:
            net.connections[1].resume()
    for connection in net.connections:
        connection.resume()
    for _ in range(2 + len(payload) // (WINDOW // 4)):
        net.settle()
        for far in net.far:
            far.read(WINDOW)
    net.settle()
    assert bytes(two.got) == payload
    assert bytes(one.got) == payload[::-1]
    assert net.connections[0].parked == net.connections[1].parked == 0


def test_the_sender_is_granted_only_what_the_next_hop_took() -> None:
    net = Relayed()
    one, two = net.far
    one.to_send = bytes(3 * WINDOW)
    one.push()
    net.settle()
    # One window went through to the reader, which reads nothing; at most one more is parked.
    assert two.unread == WINDOW
    parked = net.connections[1].parked
    assert WINDOW // 2 <= parked <= WINDOW
    assert len(one.to_send) == 2 * WINDOW - parked
    two.read(WINDOW)
    net.settle()
    assert two.unread == WINDOW
    assert net.connections[1].parked <= WINDOW


def test_a_congested_next_hop_delays_the_grant() -> None:
    net = Relayed()
    one, two = net.far
    net.connections[1].paused = True
    one.to_send = bytes(2 * WINDOW)
    one.push()
    net.settle()
    assert len(one.to_send) == WINDOW
    net.connections[1].resume()
    net.settle()
    assert not one.to_send
    assert two.unread == WINDOW


def test_what_was_sent_before_the_end_still_arrives() -> None:
    net = Relayed()
    one, two = net.far
    one.to_send = bytes(WINDOW + 1000)
    one.push()
    net.settle()
    one.push()
    one.stream.close()
    net.settle()
    assert not two.eof
    two.read(WINDOW)
    net.settle()
    two.read(WINDOW)
    net.settle()
    assert len(two.got) == WINDOW + 1000
    assert two.eof
    assert one.eof


def test_a_reset_of_either_end_resets_the_other() -> None:
    for index in range(2):
        net = Relayed()
        net.far[index].stream.reset()
        net.settle()
        assert net.far[1 - index].lost == "reset by the peer"
        assert all(leg.stream.state is State.CLOSED for leg in net.legs)


def test_the_end_of_one_session_resets_the_other_ends_stream() -> None:
    net = Relayed()
    net.near[0].terminate("connection lost")
    net.settle()
    assert net.far[1].lost == "reset by the peer"


def test_a_session_with_too_much_parked_loses_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MAX_PARKED", 1000)
    net = Relayed()
    one, _ = net.far
    one.to_send = bytes(2 * WINDOW)
    one.push()
    net.settle()
    assert one.lost == "reset by the peer"
    assert net.connections[1].parked == 0
