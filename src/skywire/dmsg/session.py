"""One TCP connection between a dmsg client and a server. Source: dmsg.md §3 to §5.

    HANDSHAKE (Noise XK, 5 s) ──▶ OPEN (yamux on the bare connection) ──▶ CLOSED

The XK keys seal only the request and response objects at the start of each stream. Everything
happens inside the read callback; a `Flusher` then writes once per session that has something to
send, so a relayed chunk costs no task switch and a batch one system call.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol, cast

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import RemoteProtocolError, SkywireError
from skywire.wire.dmsg import ObjectReader
from skywire.wire.noise import MAX_HANDSHAKE_MESSAGE, Handshake, Pattern, State
from skywire.wire.noise_frames import ObjectCipher
from skywire.wire.proxy_header import ProxyHeaderReader
from skywire.wire.yamux import DISCARD, Yamux, YamuxStream

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT = 5.0  # seconds for the whole handshake, either side
OBJECT_TIMEOUT = 20.0  # seconds for a request or response object to arrive
WRITE_HIGH_WATER = 256 * 1024  # bytes waiting for the kernel: above, writers wait
MAX_WRITE_BUFFER = 32 * 1024 * 1024  # bytes: a peer that reads nothing for so long is dropped
# A Go server drops a client whose first yamux byte arrives with handshake message 3 (dmsg.md §4).
# We keep silent for so long, plus the round trip, or until the server has sent something: ours
# sends a ping at once.
FIRST_BYTE_PAUSE = 0.15  # seconds
# asyncio takes a new buffer of `max_size` bytes for each read. From 128 KiB on that is mapped, cut
# and unmapped each time: three system calls, a third of what the server spends on a small message.
# So a session asks for much only while much comes.
SMALL_READ = 64 * 1024  # bytes
BIG_READ = 256 * 1024  # asyncio's own
MERGE_WITHIN = 50e-6  # seconds after a write that went out at once in which others are collected
SHRINK_UNDER = 16 * 1024  # a read of less than this is followed by small ones

_frame_length = struct.Struct(">H")


class Flusher:
    """Collects the sessions that have output and writes each once: at the end of the read
    callback that is running, or in the next turn of the loop. A single write goes out at once
    (`begin`, `end`): a key on its way must not wait for the turn; what follows closely is merged.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._dirty: list[Session] = []
        self._scheduled = False
        self.reading = False  # inside a read callback, which flushes at its end
        self._last = 0.0  # monotonic time of the last write that went out at once

    def touch(self, session: "Session") -> None:
        self._dirty.append(session)
        if not self.reading and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def begin(self) -> bool:
        """A user is about to write: whether that goes out at once, by `end`."""
        now = monotonic()
        if self.reading or self._scheduled or now - self._last < MERGE_WITHIN:
            return False
        self._last = now
        self.reading = True
        return True

    def end(self) -> None:
        self.reading = False
        self.flush()

    def flush(self) -> None:
        self._scheduled = False
        dirty, self._dirty = self._dirty, []
        for session in dirty:
            session.flush()


class SessionOwner(Protocol):
    """A dmsg client or server: told what happens to its sessions. Must not raise."""

    def session_opened(self, session: "Session") -> None: ...

    def session_lost(self, session: "Session", reason: str) -> None: ...

    def stream_opened(self, session: "Session", stream: YamuxStream) -> None: ...


class Session(asyncio.Protocol):
    """`initiator` is the client; it knows the server's key, the server learns the client's."""

    __slots__ = (
        "_big_reads",
        "_buffer",
        "_handshake",
        "_held",
        "_loop",
        "_owner",
        "_proxy_header",
        "_reason",
        "_resume_calls",
        "_spoken",
        "_started",
        "_timer",
        "cipher",
        "flusher",
        "initiator",
        "opened_at",
        "parked",
        "paused",
        "peer_address",
        "remote",
        "transport",
        "yamux",
    )

    def __init__(
        self,
        owner: SessionOwner,
        flusher: Flusher,
        public: PubKey,
        secret: SecKey,
        remote: PubKey | None = None,
        proxied: bool = False,
    ) -> None:
        """`remote` is the server's key at a client. `proxied`: a PROXY header comes first."""
        self._owner = owner
        self.flusher = flusher
        self._loop = asyncio.get_running_loop()
        self.initiator = remote is not None
        self.remote = remote or public  # replaced once the handshake names the client
        self._handshake: Handshake | None = Handshake(
            Pattern.XK,
            initiator=self.initiator,
            public=public,
            secret=secret,
            ephemeral=generate.key_pair()[1],
            remote=remote,
        )
        self._buffer = b""
        self._proxy_header = ProxyHeaderReader() if proxied else None
        self._held = self.initiator
        self._spoken = asyncio.Event() if self.initiator else None
        self._reason = ""
        self._resume_calls: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._started = 0.0
        self.opened_at = 0.0  # monotonic time
        self.paused = False
        self.parked = 0  # bytes a relay holds for this peer, see relay.py
        self.peer_address: tuple[str, int] = ("", 0)
        self.transport: asyncio.Transport | None = None
        self.yamux: Yamux = None  # type: ignore[assignment] # set when open
        self.cipher: ObjectCipher = None  # type: ignore[assignment] # set when open

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self.transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._read_at_most(SMALL_READ)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer_address = (peer[0], peer[1])
        self._started = monotonic()
        self._timer = self._loop.call_later(
            HANDSHAKE_TIMEOUT, self.close, f"no handshake within {HANDSHAKE_TIMEOUT:.0f} s"
        )
        if self._handshake is not None and self.initiator:
            self._write_handshake(self._handshake)

    def data_received(self, data: bytes) -> None:
        if self._big_reads:
            if len(data) < SHRINK_UNDER:
                self._read_at_most(SMALL_READ)
        elif len(data) >= SMALL_READ:
            self._read_at_most(BIG_READ)
        self.flusher.reading = True
        try:
            if self._proxy_header is not None:
                found = self._proxy_header.receive_data(data)
                if found is None:
                    return
                self._proxy_header = None
                self.peer_address = found[0] if found[0].host else self.peer_address
                data = found[1]
            if self._handshake is not None:
                self._receive_handshake(data)
            else:
                if self._held:
                    self._note_speech()
                    self._release()
                self.yamux.receive_data(data, monotonic())
        except SkywireError as error:
            self.flush()
            self.close(str(error))
        finally:
            self.flusher.reading = False
            self.flusher.flush()

    def _read_at_most(self, size: int) -> None:
        self._big_reads = size == BIG_READ
        transport = cast(Any, self.transport)
        if hasattr(transport, "max_size"):  # uvloop has one buffer for all connections instead
            transport.max_size = size

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        calls, self._resume_calls = self._resume_calls, []
        for call in calls:
            call()

    def when_resumed(self, call: Callable[[], None]) -> None:
        """Call back once the connection takes data again, or is lost."""
        self._resume_calls.append(call)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.transport = None
        reason = self._reason or (str(exc) if exc else "connection closed by the peer")
        self._note_speech()
        if self._handshake is None:
            self.yamux.terminate(reason)
        self._owner.session_lost(self, reason)
        self.resume_writing()

    def close(self, reason: str) -> None:
        """End the session now; `session_lost` follows. Idempotent."""
        if self.transport is not None and not self.transport.is_closing():
            self._reason = reason
            if self.paused:
                self.transport.abort()
            else:
                self.transport.close()

    @property
    def is_open(self) -> bool:
        return (
            self._handshake is None
            and self.transport is not None
            and not self.transport.is_closing()
            and not self.yamux.broken
        )

    async def until_spoken(self) -> None:
        """At a client: wait until the server has said anything after the handshake, or is gone."""
        if self._spoken is not None:
            await self._spoken.wait()

    def _note_speech(self) -> None:
        if self._spoken is not None:
            self._spoken.set()

    def check_alive(self) -> None:
        """Ask the peer for a sign of life now, not at the next keep-alive."""
        if self.is_open and self._timer is not None:
            self.yamux.send_ping(monotonic())
            self._timer.cancel()
            self._arm()

    # Handshake

    def _write_handshake(self, handshake: Handshake) -> None:
        message = handshake.write_message()
        if self.transport is not None:
            self.transport.write(_frame_length.pack(len(message)) + message)

    def _receive_handshake(self, data: bytes) -> None:
        buffer = self._buffer + data
        while self._handshake is not None and len(buffer) >= 2:
            (length,) = _frame_length.unpack_from(buffer)
            if not 0 < length <= MAX_HANDSHAKE_MESSAGE:
                raise RemoteProtocolError(f"handshake frame of {length} bytes")
            if len(buffer) < 2 + length:
                break
            handshake = self._handshake
            handshake.read_message(buffer[2 : 2 + length])
            buffer = buffer[2 + length :]
            if handshake.state is State.WRITE:
                self._write_handshake(handshake)
            if handshake.state is State.DONE:
                self._open(handshake)
        self._buffer = buffer if self._handshake is not None else b""
        if self._handshake is None and buffer:
            self._held = False
            self._note_speech()
            self.yamux.receive_data(buffer, monotonic())

    def _open(self, handshake: Handshake) -> None:
        now = monotonic()
        self._handshake = None
        if handshake.remote is not None:
            self.remote = handshake.remote
        self.cipher = ObjectCipher(handshake.send_key, handshake.receive_key)
        self.yamux = Yamux(
            client=self.initiator, now=now, on_stream=self._stream_opened, on_output=self._touch
        )
        self.opened_at = now
        if self._timer is not None:
            self._timer.cancel()
        self._arm()
        if self._held:
            self._loop.call_later(FIRST_BYTE_PAUSE + now - self._started, self._release)
        else:
            self.yamux.send_ping(now)
        self._owner.session_opened(self)

    def _release(self) -> None:
        self._held = False
        self.flush()

    def _stream_opened(self, stream: YamuxStream) -> None:
        self._owner.stream_opened(self, stream)

    # Output and time

    def _touch(self) -> None:
        self.flusher.touch(self)

    def flush(self) -> None:
        """Write what is queued, in one call."""
        transport = self.transport
        if self._held or self._handshake is not None or transport is None:
            return
        out = self.yamux.data_to_send()
        if not out:
            return
        transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self.paused and transport.get_write_buffer_size() > MAX_WRITE_BUFFER:
            self.close(f"the peer takes no data, {MAX_WRITE_BUFFER} bytes wait for it")

    def _arm(self) -> None:
        wait = self.yamux.next_timer() - monotonic()
        self._timer = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        try:
            self.yamux.handle_timer(monotonic())
        except RemoteProtocolError as error:
            self.close(str(error))
        else:
            self._arm()


class ObjectReceiver:
    """Waits for the one object at the start of a stream, for at most `timeout` seconds.

    Calls `on_object(message, rest)` once, or `on_failure(reason)` once. The stream's receiver must
    be replaced inside `on_object`; `rest` are the bytes behind the object.
    """

    __slots__ = ("_on_failure", "_on_object", "_reader", "_timer", "stream")

    def __init__(
        self,
        stream: YamuxStream,
        on_object: Callable[[bytes, bytes], None],
        on_failure: Callable[[str], None],
        timeout: float = OBJECT_TIMEOUT,
    ) -> None:
        self.stream = stream
        self._reader = ObjectReader()
        self._on_object = on_object
        self._on_failure = on_failure
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(timeout, self._fail, f"no answer within {timeout:g} s")
        stream.receiver = self

    def cancel(self) -> None:
        """Neither callback comes any more."""
        self._timer.cancel()
        if self.stream.receiver is self:
            self.stream.receiver = DISCARD

    def _fail(self, reason: str) -> None:
        self.cancel()
        self._on_failure(reason)

    def data_received(self, data: bytes | memoryview) -> None:
        self.stream.consume(len(data))
        try:
            found = self._reader.receive_data(data)
        except RemoteProtocolError as error:
            self._fail(str(error))
            return
        if found is not None:
            self._timer.cancel()
            self._on_object(*found)

    def window_opened(self) -> None: ...

    def eof_received(self) -> None:
        self._fail("the stream was closed without an answer")

    def stream_lost(self, reason: str) -> None:
        self._fail(reason)
