"""yamux: many streams over one ordered connection, with a window per stream. Source: dmsg.md §5.

`Yamux` is one end of a session, `YamuxStream` one stream of it:

    SYN_SENT ──ACK or data──▶ ESTABLISHED ──own FIN──▶ LOCAL_CLOSED ──their FIN──▶ CLOSED
    SYN_RECEIVED ──accept──▶ ESTABLISHED ──their FIN──▶ REMOTE_CLOSED ──own FIN──▶ CLOSED
    any state ──RST──▶ CLOSED

Unlike the other machines it hands what arrives to a `Receiver` per stream instead of building a
list of events: a relay forwards inside that call, with no object per frame. A data frame may reach
the receiver in several pieces; a piece is a view of the bytes given to `receive_data` and must be
used or copied before the call returns or the owner changes those bytes (ours are immutable).
"""

import struct
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from skywire.errors import LocalProtocolError, RemoteProtocolError, Unavailable

HEADER_SIZE = 12
WINDOW = 262_144  # bytes per stream and direction, initial and maximum
# A window update goes out once this much was consumed. Go waits for half a window; with a relay in
# between, whose two windows fill one after the other, a quarter moves about a tenth more, and an
# eighth keeps one stream from standing still on an event loop that writes at the end of its turn.
GRANT_AT = WINDOW // 8
BACKLOG = 256  # own streams not acknowledged yet; further opens are refused
MAX_STREAMS = 4096  # per session, both directions; a further SYN is answered RST
PING_INTERVAL = 30.0  # seconds between keep-alive pings
PING_TIMEOUT = 10.0  # seconds to the answer, else the session is dead
CLOSE_TIMEOUT = 300.0  # seconds from our FIN to theirs, else RST
MAX_CONTROL_BACKLOG = 65_536  # queued bytes of answers to pings and resets: beyond, a flood

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = range(3)

_header = struct.Struct(">BBHII")
pack_header = _header.pack


class State(Enum):
    SYN_SENT = "opened by us, not acknowledged"
    SYN_RECEIVED = "opened by the peer, not accepted"
    ESTABLISHED = "open both ways"
    LOCAL_CLOSED = "we finished"
    REMOTE_CLOSED = "the peer finished"
    CLOSED = "gone"


class Receiver(Protocol):
    """What a stream tells its user. May call methods of any stream; must not raise."""

    def data_received(self, data: bytes | memoryview) -> None: ...

    def window_opened(self) -> None:
        """The peer granted more window: `send` takes bytes again."""

    def eof_received(self) -> None:
        """The peer sent FIN; no data follows."""

    def stream_lost(self, reason: str) -> None:
        """RST, or the end of the session: nothing goes either way any more."""


class _Discard:
    """The receiver of a stream nobody has claimed, or whose user is gone."""

    def data_received(self, data: bytes | memoryview) -> None: ...

    def window_opened(self) -> None: ...

    def eof_received(self) -> None: ...

    def stream_lost(self, reason: str) -> None: ...


DISCARD: Receiver = _Discard()

_AFTER_OWN_FIN = {
    State.SYN_SENT: State.LOCAL_CLOSED,
    State.SYN_RECEIVED: State.LOCAL_CLOSED,
    State.ESTABLISHED: State.LOCAL_CLOSED,
    State.REMOTE_CLOSED: State.CLOSED,
}
_AFTER_THEIR_FIN = {
    State.SYN_SENT: State.REMOTE_CLOSED,
    State.SYN_RECEIVED: State.REMOTE_CLOSED,
    State.ESTABLISHED: State.REMOTE_CLOSED,
    State.LOCAL_CLOSED: State.CLOSED,
}
_CAN_SEND = {State.SYN_SENT, State.SYN_RECEIVED, State.ESTABLISHED, State.REMOTE_CLOSED}


class YamuxStream:
    """One stream. `send_window`: how many bytes the peer still takes."""

    __slots__ = (
        "_acknowledged",
        "_consumed",
        "_room",
        "id",
        "receiver",
        "send_window",
        "session",
        "state",
    )

    def __init__(self, session: "Yamux", stream_id: int, state: State) -> None:
        self.session = session
        self.id = stream_id
        self.state = state
        self.receiver: Receiver = DISCARD
        self.send_window = WINDOW
        self._consumed = 0  # taken by the user, not granted again yet
        self._room = WINDOW  # what the peer may still send
        self._acknowledged = state is not State.SYN_SENT

    @property
    def can_send(self) -> bool:
        return self.state in _CAN_SEND

    def accept(self) -> None:
        """Acknowledge an incoming stream. Nothing is sent when the peer has already finished."""
        if self.state is State.SYN_RECEIVED:
            self.state = State.ESTABLISHED
            self.session._control(WINDOW_UPDATE, ACK, self.id, 0)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Queue one data frame of what the window allows; returns how many bytes were taken.

        `data` is not copied: it must not change afterwards.
        """
        if self.state not in _CAN_SEND:
            raise LocalProtocolError(f"yamux: cannot send, the stream is {self.state.value}")
        size = len(data)
        if size > self.send_window:
            size = self.send_window
            data = memoryview(data)[:size]
        if size:
            self.send_window -= size
            self.session._queue(pack_header(0, DATA, 0, self.id, size), data)
        return size

    def send_framed(self, buffer: bytearray) -> int:
        """As `send`, of `buffer[HEADER_SIZE:]`, whose first bytes are room for the header.

        Saves one piece per frame; `buffer` is changed and handed over.
        """
        size = len(buffer) - HEADER_SIZE
        if self.state not in _CAN_SEND or size > self.send_window:
            return self.send(memoryview(buffer)[HEADER_SIZE:])
        self.send_window -= size
        _header.pack_into(buffer, 0, 0, DATA, 0, self.id, size)
        self.session._queue(buffer)
        return size

    def consume(self, count: int) -> None:
        """`count` received bytes were taken by the user: the peer may send as many more."""
        self._consumed += count
        if self._consumed >= GRANT_AT:
            if self.state not in (State.REMOTE_CLOSED, State.CLOSED):
                self._room += self._consumed
                self.session._control(WINDOW_UPDATE, 0, self.id, self._consumed)
            self._consumed = 0

    def close(self) -> None:
        """Send FIN: we are finished; the peer may still send. Idempotent."""
        after = _AFTER_OWN_FIN.get(self.state)
        if after is not None:
            if self.state is State.SYN_RECEIVED:
                self.accept()
            self.session._control(WINDOW_UPDATE, FIN, self.id, 0)
            self._become(after)

    def reset(self) -> None:
        """Send RST: the stream is gone for both sides. Idempotent; the receiver is not called."""
        if self.state is not State.CLOSED:
            self.session._control(WINDOW_UPDATE, RST, self.id, 0)
            self.receiver = DISCARD
            self._become(State.CLOSED)

    def _become(self, state: State) -> None:
        self.state = state
        if state is State.LOCAL_CLOSED:
            self.session._half_closed[self.id] = None
        elif state is State.CLOSED:
            self.session._forget(self)

    def _acknowledge(self) -> None:
        if not self._acknowledged:
            self._acknowledged = True
            self.session._backlog -= 1
            if self.state is State.SYN_SENT:
                self.state = State.ESTABLISHED

    def _lose(self, reason: str) -> None:
        receiver, self.receiver = self.receiver, DISCARD
        self._become(State.CLOSED)
        receiver.stream_lost(reason)


class Yamux:
    """One end of a session. `client` ends use odd stream ids.

    `on_stream(stream)` announces a stream the peer opened: set its `receiver`, then `accept` (or
    `reset`) it. `on_output()` is called when the first byte is queued after `data_to_send`.
    """

    __slots__ = (
        "_backlog",
        "_body_left",
        "_body_stream",
        "_control_bytes",
        "_half_closed",
        "_next_id",
        "_next_ping",
        "_on_output",
        "_on_stream",
        "_out",
        "_peer_parity",
        "_ping_id",
        "_ping_sent",
        "_rest",
        "_went_away",
        "broken",
        "round_trip",
        "streams",
    )

    def __init__(
        self,
        *,
        client: bool,
        now: float,
        on_stream: Callable[[YamuxStream], None],
        on_output: Callable[[], None],
    ) -> None:
        self.streams: dict[int, YamuxStream] = {}
        self.broken = False
        self.round_trip: float | None = None  # seconds, of the last answered ping
        self._on_stream = on_stream
        self._on_output = on_output
        self._next_id = 1 if client else 2
        self._peer_parity = 0 if client else 1
        self._out: list[bytes | bytearray | memoryview] = []
        self._control_bytes = 0
        self._rest = b""  # of a header
        self._body_left = 0
        self._body_stream: YamuxStream | None = None
        self._backlog = 0  # own streams waiting for ACK
        self._half_closed: dict[int, float | None] = {}  # stream id → when to reset it
        self._went_away = False
        self._next_ping = now + PING_INTERVAL
        self._ping_id = 0
        self._ping_sent: float | None = None

    # What goes out

    def open(self) -> YamuxStream:
        """A new stream; data may be sent at once. Raises Unavailable when a limit is reached."""
        if self.broken or self._went_away:
            raise Unavailable("yamux: the peer does not accept streams any more")
        if self._backlog >= BACKLOG or len(self.streams) >= MAX_STREAMS:
            raise Unavailable(f"yamux: {self._backlog} opened streams are not acknowledged yet")
        stream = YamuxStream(self, self._next_id, State.SYN_SENT)
        self._next_id += 2
        self._backlog += 1
        self.streams[stream.id] = stream
        self._control(WINDOW_UPDATE, SYN, stream.id, 0)
        return stream

    def send_ping(self, now: float) -> None:
        """Ask for a sign of life; `handle_timer` raises when it does not come."""
        if self._ping_sent is None:
            self._ping_sent = now
            self._control(PING, SYN, 0, self._ping_id)

    def go_away(self, reason: int = NORMAL) -> None:
        self._control(GO_AWAY, 0, 0, reason)

    def data_to_send(self) -> list[bytes | bytearray | memoryview]:
        """Take everything queued, in order."""
        out, self._out = self._out, []
        self._control_bytes = 0
        return out

    def _queue(self, *pieces: bytes | bytearray | memoryview) -> None:
        if not self._out:
            self._on_output()
        self._out.extend(pieces)

    def _control(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        self._control_bytes += HEADER_SIZE
        self._queue(pack_header(0, kind, flags, stream_id, length))

    def _forget(self, stream: YamuxStream) -> None:
        stream._acknowledge()
        self.streams.pop(stream.id, None)
        self._half_closed.pop(stream.id, None)
        if stream is self._body_stream:
            self._body_stream = None

    # Time

    def next_timer(self) -> float:
        """When to call `handle_timer`."""
        return self._next_ping if self._ping_sent is None else self._ping_sent + PING_TIMEOUT

    def handle_timer(self, now: float) -> None:
        """Keep-alive, half-closed streams. Raises RemoteProtocolError when the peer is silent."""
        if self._ping_sent is not None:
            if now >= self._ping_sent + PING_TIMEOUT:
                self.broken = True
                raise RemoteProtocolError(f"no answer to a ping for {PING_TIMEOUT:.0f} s")
        elif now >= self._next_ping:
            self._next_ping = now + PING_INTERVAL
            self.send_ping(now)
            for stream_id, deadline in list(self._half_closed.items()):
                if deadline is None:
                    self._half_closed[stream_id] = now + CLOSE_TIMEOUT
                elif now >= deadline:
                    self.streams[stream_id].reset()

    # What comes in

    def receive_data(self, data: bytes, now: float) -> None:
        """Any number of bytes. Raises RemoteProtocolError; then the session must be closed."""
        if self.broken:
            raise LocalProtocolError("yamux: the session is broken")
        try:
            self._receive(data, now)
        except RemoteProtocolError:
            self.broken = True
            self.go_away(PROTOCOL_ERROR)
            raise

    def _receive(self, data: bytes, now: float) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        view = memoryview(data)
        size = len(data)
        position = 0
        while position < size:
            if self._body_left:
                end = min(position + self._body_left, size)
                self._body_left -= end - position
                if self._body_stream is not None:
                    self._body_stream.receiver.data_received(view[position:end])
                position = end
                continue
            if size - position < HEADER_SIZE:
                break
            version, kind, flags, stream_id, length = _header.unpack_from(view, position)
            position += HEADER_SIZE
            if version != 0:
                raise RemoteProtocolError(f"yamux: version {version}, expected 0")
            if kind <= WINDOW_UPDATE:
                self._stream_frame(kind, flags, stream_id, length)
            elif kind == PING:
                self._ping_frame(flags, length, now)
            elif kind == GO_AWAY:
                if length != NORMAL:
                    raise RemoteProtocolError(f"yamux: the peer went away with code {length}")
                self._went_away = True
            else:
                raise RemoteProtocolError(f"yamux: frame type {kind}, expected 0 to 3")
        if position < size:
            self._rest = data[position:]

    def _ping_frame(self, flags: int, value: int, now: float) -> None:
        if flags & SYN:
            if self._control_bytes > MAX_CONTROL_BACKLOG:
                raise RemoteProtocolError("yamux: flood of pings")
            self._control(PING, ACK, 0, value)
        elif self._ping_sent is not None and value == self._ping_id:
            self.round_trip = max(0.0, now - self._ping_sent)
            self._ping_sent = None
            self._ping_id = (self._ping_id + 1) & 0xFFFFFFFF

    def _stream_frame(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        if flags & SYN:
            self._incoming(stream_id)
        stream = self.streams.get(stream_id)
        if kind == DATA:
            self._body_left = length
            self._body_stream = stream
            if stream is not None:
                stream._room -= length
                if stream._room < 0:
                    raise RemoteProtocolError(
                        f"yamux: stream {stream_id} sent {-stream._room} bytes beyond its window"
                    )
                if stream.state in (State.REMOTE_CLOSED, State.CLOSED) and length:
                    raise RemoteProtocolError(f"yamux: data after FIN on stream {stream_id}")
        if stream is None:
            return
        if flags & RST:
            stream._lose("reset by the peer")
            return
        stream._acknowledge()
        if kind == WINDOW_UPDATE and length:
            stream.send_window += length
            if stream.send_window > 0xFFFFFFFF:
                raise RemoteProtocolError(f"yamux: window of stream {stream_id} overflows")
            stream.receiver.window_opened()
        if flags & FIN:
            after = _AFTER_THEIR_FIN.get(stream.state)
            if after is None:
                raise RemoteProtocolError(f"yamux: second FIN on stream {stream_id}")
            if kind == DATA and length:
                raise RemoteProtocolError("yamux: FIN on a data frame that has a body")
            receiver = stream.receiver
            stream._become(after)
            receiver.eof_received()

    def _incoming(self, stream_id: int) -> None:
        if stream_id == 0 or stream_id % 2 != self._peer_parity:
            raise RemoteProtocolError(f"yamux: the peer may not open stream {stream_id}")
        if stream_id in self.streams:
            raise RemoteProtocolError(f"yamux: stream {stream_id} is already open")
        if len(self.streams) >= MAX_STREAMS:
            if self._control_bytes > MAX_CONTROL_BACKLOG:
                raise RemoteProtocolError("yamux: flood of streams")
            self._control(WINDOW_UPDATE, RST, stream_id, 0)
            return
        stream = YamuxStream(self, stream_id, State.SYN_RECEIVED)
        self.streams[stream_id] = stream
        self._on_stream(stream)

    def terminate(self, reason: str) -> None:
        """The connection is gone: tell every receiver. Idempotent."""
        self.broken = True
        for stream in list(self.streams.values()):
            stream._lose(reason)
        self._out = []
