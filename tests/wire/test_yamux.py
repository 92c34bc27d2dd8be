"""yamux against the reference's frames, and under abuse."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skywire.errors import LocalProtocolError, RemoteProtocolError, Unavailable
from skywire.testing import vectors
from skywire.wire import yamux
from skywire.wire.yamux import (
    ACK,
    BACKLOG,
    DATA,
    FIN,
    GRANT_AT,
    HEADER_SIZE,
    PING,
    RST,
    SYN,
    WINDOW,
    WINDOW_UPDATE,
    State,
    Yamux,
    YamuxStream,
    pack_header,
)


class Recorder:
    """A receiver that remembers; consumes everything when `greedy`."""

    def __init__(self, stream: YamuxStream, greedy: bool = True) -> None:
        self.stream = stream
        self.greedy = greedy
        self.data = bytearray()
        self.eof = False
        self.lost = ""
        self.opened = 0
        stream.receiver = self

    def data_received(self, data: bytes | memoryview) -> None:
        self.data += data
        if self.greedy:
            self.stream.consume(len(data))

    def window_opened(self) -> None:
        self.opened += 1

    def eof_received(self) -> None:
        self.eof = True

    def stream_lost(self, reason: str) -> None:
        self.lost = reason


class End:
    """One session end; incoming streams are accepted and recorded."""

    def __init__(self, client: bool, accept: bool = True, greedy: bool = True) -> None:
        self.accept = accept
        self.greedy = greedy
        self.incoming: list[Recorder] = []
        self.touched = 0
        self.session = Yamux(client=client, now=0.0, on_stream=self._stream, on_output=self._touch)

    def _touch(self) -> None:
        self.touched += 1

    def _stream(self, stream: YamuxStream) -> None:
        self.incoming.append(Recorder(stream, self.greedy))
        if self.accept:
            stream.accept()

    def take(self) -> bytes:
        return b"".join(self.session.data_to_send())

    def feed(self, data: bytes, now: float = 0.0) -> None:
        self.session.receive_data(data, now)


def ends() -> tuple[End, End]:
    return End(client=True), End(client=False)


def settle(one: End, two: End) -> None:
    """Exchange bytes until both are silent."""
    for _ in range(100):
        a, b = one.take(), two.take()
        if not a and not b:
            return
        two.feed(a)
        one.feed(b)
    raise AssertionError("never silent")


def _frames(step: dict[str, Any]) -> str:
    return "".join(f["header"] + f.get("body", "") for f in step.get("frames", []))


def test_same_frames_as_go_for_every_operation() -> None:
    """The 22 recorded steps, replayed on both our ends in order."""
    client = End(client=True, accept=False, greedy=False)
    server = End(client=False, accept=False, greedy=False)
    steps = vectors.load("dmsg/yamux_frames")
    streams: dict[str, YamuxStream] = {}

    def opened(end: End, name: str) -> None:
        streams[name] = end.session.open()
        Recorder(streams[name])

    def refused(end: End) -> None:
        with pytest.raises(Unavailable):
            end.session.open()

    def read_all() -> None:
        server.incoming[0].stream.consume(140_005)

    big = b"A" * 140_000
    actions: list[Callable[[], object]] = [
        lambda: opened(client, "first"),
        lambda: server.incoming[0].stream.accept(),
        lambda: streams["first"].send(b"hello"),
        lambda: server.incoming[0].stream.send(b"world!"),
        lambda: streams["first"].send(big),
        read_all,
        lambda: client.session.send_ping(0.0),
        lambda: None,  # the server's answer to the ping
        lambda: None,  # the client's answer to the server's ping: sent before it is listed
        lambda: server.session.send_ping(0.0),
        lambda: opened(server, "second"),
        lambda: client.incoming[0].stream.accept(),
        lambda: streams["second"].close(),
        lambda: client.incoming[0].stream.close(),
        lambda: (opened(client, "third"), streams["third"].send(b"x")),  # type: ignore[func-returns-value]
        lambda: streams["third"].close(),
        lambda: server.incoming[1].stream.close(),
        lambda: client.session.go_away(),
        lambda: refused(server),
        lambda: opened(client, "fourth"),
        lambda: server.incoming[0].stream.close(),
        lambda: streams["first"].close(),
    ]
    assert len(steps) == len(actions)
    for step, action in zip(steps, actions, strict=True):
        action()
        wanted = _frames(step)
        writer, reader = (
            (client, server)
            if "client (dmsg" in step.get("from", "client (dmsg")
            else (server, client)
        )
        if "body_sha_note" in str(step.get("frames")):
            wanted += big.hex()
        if step["step"] == "server pings" and writer is client:
            continue  # listed before the question; checked with it
        sent = writer.take()
        assert sent.hex() == wanted, step["step"]
        reader.feed(sent)
        if step["step"] == "server pings":
            assert client.take() == pack_header(0, PING, ACK, 0, 0)


@given(st.lists(st.binary(max_size=70_000), max_size=5), st.data())
@settings(max_examples=50)
def test_any_split_delivers_the_same(writes: list[bytes], data: st.DataObject) -> None:
    client, server = ends()
    stream = client.session.open()
    Recorder(stream)
    wanted = bytearray()
    for piece in writes:
        wanted += piece[: stream.send(piece)]
    stream.close()
    raw = client.take()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        server.feed(raw[begin:end])
    assert server.incoming[0].data == wanted
    assert server.incoming[0].eof


@given(st.binary(max_size=400))
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    _, server = ends()
    try:
        server.feed(raw)
    except RemoteProtocolError:
        assert server.session.broken
        with pytest.raises(LocalProtocolError):
            server.feed(b"")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(0, 15),
            st.integers(0, 5),
            st.integers(0, 20),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_any_sequence_of_frames_is_taken_or_refused(
    frames: list[tuple[int, int, int, int, bool]],
) -> None:
    _, server = ends()
    try:
        for kind, flags, stream_id, length, close in frames:
            body = bytes(length) if kind == DATA else b""
            server.feed(pack_header(0, kind, flags, stream_id, length) + body)
            if close and server.incoming:
                server.incoming[-1].stream.close()
    except RemoteProtocolError:
        pass
    assert server.session._backlog == 0


def test_the_window_limits_the_sender_and_is_granted_in_parts() -> None:
    client, server = ends()
    stream = client.session.open()
    recorder = Recorder(stream)
    assert stream.send(bytes(WINDOW + 5)) == WINDOW
    assert stream.send(b"more") == 0
    server.greedy = False
    server.feed(client.take())
    other = server.session.streams[1]
    assert server.take() == pack_header(0, WINDOW_UPDATE, ACK, 1, 0)
    other.consume(GRANT_AT - 1)
    assert server.take() == b""
    other.consume(1)
    client.feed(server.take())
    assert recorder.opened == 1
    assert stream.send(bytes(WINDOW)) == GRANT_AT


def test_data_beyond_the_window_ends_the_session() -> None:
    _, server = ends()
    server.session._on_stream = lambda s: s.accept()
    server.feed(pack_header(0, WINDOW_UPDATE, SYN, 1, 0))
    server.take()
    with pytest.raises(RemoteProtocolError, match="1 bytes beyond its window"):
        server.feed(pack_header(0, DATA, 0, 1, WINDOW + 1))
    assert server.take() == pack_header(0, 3, 0, 0, 1)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pack_header(1, 0, 0, 1, 0), "version 1"),
        (pack_header(0, 4, 0, 1, 0), "type 4"),
        (pack_header(0, 3, 0, 0, 1), "went away with code 1"),
        (pack_header(0, 1, SYN, 2, 0), "may not open stream 2"),
        (pack_header(0, 1, SYN, 0, 0), "may not open stream 0"),
        (pack_header(0, 1, SYN, 1, 0) * 2, "already open"),
        (pack_header(0, 1, SYN, 1, 0) + pack_header(0, 1, FIN, 1, 0) * 2, "second FIN"),
        (
            pack_header(0, 1, SYN, 1, 0)
            + pack_header(0, 1, FIN, 1, 0)
            + pack_header(0, 0, 0, 1, 1)
            + b"x",
            "after FIN",
        ),
        (
            pack_header(0, 1, SYN, 1, 0) + pack_header(0, 1, 0, 1, 0xFFFFFFFF),
            "overflows",
        ),
    ],
)
def test_broken_frames_are_refused(frame: bytes, text: str) -> None:
    _, server = ends()
    with pytest.raises(RemoteProtocolError, match=text):
        server.feed(frame)


def test_frames_of_unknown_streams_are_dropped_with_their_body() -> None:
    client, server = ends()
    server.feed(pack_header(0, DATA, 0, 9, 3) + b"abc" + pack_header(0, WINDOW_UPDATE, FIN, 9, 0))
    assert server.take() == b""
    stream = client.session.open()
    Recorder(stream)
    stream.send(b"still works")
    settle(client, server)
    assert server.incoming[0].data == b"still works"


def test_a_reset_reaches_the_user_once_and_frees_the_stream() -> None:
    client, server = ends()
    stream = client.session.open()
    recorder = Recorder(stream)
    settle(client, server)
    server.incoming[0].stream.reset()
    server.incoming[0].stream.reset()
    settle(client, server)
    assert recorder.lost == "reset by the peer"
    assert not client.session.streams
    assert not server.session.streams
    assert server.incoming[0].lost == ""
    with pytest.raises(LocalProtocolError):
        stream.send(b"x")


def test_both_fins_free_the_stream() -> None:
    client, server = ends()
    stream = client.session.open()
    recorder = Recorder(stream)
    settle(client, server)
    stream.close()
    settle(client, server)
    assert server.incoming[0].eof
    assert server.incoming[0].stream.state is State.REMOTE_CLOSED
    server.incoming[0].stream.send(b"half-open")
    server.incoming[0].stream.close()
    settle(client, server)
    assert recorder.data == b"half-open"
    assert recorder.eof
    assert not client.session.streams
    assert not server.session.streams


def test_opens_wait_for_acknowledgement_up_to_the_backlog() -> None:
    client, server = ends()
    for _ in range(BACKLOG):
        client.session.open()
    with pytest.raises(Unavailable, match="256"):
        client.session.open()
    settle(client, server)
    client.session.open()


def test_a_peer_cannot_hold_more_streams_than_the_limit() -> None:
    _, server = ends()
    server.session._on_stream = lambda s: s.accept()
    opened = b"".join(
        pack_header(0, WINDOW_UPDATE, SYN, 2 * i + 1, 0) for i in range(yamux.MAX_STREAMS)
    )
    server.feed(opened)
    server.take()
    late = 2 * yamux.MAX_STREAMS + 1
    server.feed(pack_header(0, WINDOW_UPDATE, SYN, late, 0))
    assert server.take() == pack_header(0, WINDOW_UPDATE, RST, late, 0)


def test_a_flood_of_pings_is_refused() -> None:
    _, server = ends()
    with pytest.raises(RemoteProtocolError, match="flood"):
        server.feed(pack_header(0, PING, SYN, 0, 1) * 10_000)


def test_keep_alive_asks_every_30_s_and_gives_up_after_10() -> None:
    client, server = ends()
    assert client.session.next_timer() == 30.0
    client.session.handle_timer(30.0)
    server.feed(client.take())
    client.feed(server.take(), now=30.25)
    assert client.session.round_trip == 0.25
    assert client.session.next_timer() == 60.0
    client.session.handle_timer(60.0)
    assert client.session.next_timer() == 70.0
    with pytest.raises(RemoteProtocolError, match="no answer"):
        client.session.handle_timer(70.0)
    assert client.session.broken


def test_a_half_closed_stream_is_reset_after_5_minutes() -> None:
    client, server = ends()
    stream = client.session.open()
    settle(client, server)
    stream.close()
    client.take()
    now = 30.0
    while stream.state is not State.CLOSED and now < 1000:
        client.session.handle_timer(now)
        client.feed(server.take(), now)
        server.feed(client.take(), now)
        client.feed(server.take(), now)
        now += 30.0
    assert 330.0 <= now <= 390.0


def test_the_end_of_the_session_reaches_every_stream() -> None:
    client, _ = ends()
    recorders = [Recorder(client.session.open()) for _ in range(3)]
    client.session.terminate("connection lost")
    client.session.terminate("again")
    assert [r.lost for r in recorders] == ["connection lost"] * 3
    with pytest.raises(Unavailable):
        client.session.open()


def test_output_is_announced_once_per_batch() -> None:
    client, _ = ends()
    stream = client.session.open()
    stream.send(b"a")
    stream.send(b"b")
    assert client.touched == 1
    client.take()
    stream.send(b"c")
    assert client.touched == 2


def test_a_frame_with_room_for_its_header_goes_out_in_one_piece() -> None:
    client, _ = ends()
    stream = client.session.open()
    client.take()
    assert stream.send_framed(bytearray(HEADER_SIZE) + b"abc") == 3
    (piece,) = client.session.data_to_send()
    assert bytes(piece) == pack_header(0, DATA, 0, 1, 3) + b"abc"
    stream.send_window = 2
    assert stream.send_framed(bytearray(HEADER_SIZE) + b"abc") == 2
