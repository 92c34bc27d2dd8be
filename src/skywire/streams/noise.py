"""Encrypts another stream: a Noise handshake, then frames. Source: transport.md §3.2, dmsg.md §3.

async with asyncio.timeout(5):
    stream = await noise_stream(raw, Pattern.KK, initiator=True, public=pk, secret=sk, remote=peer)
"""

from collections import deque

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import RemoteProtocolError, StreamClosed, StreamReset
from skywire.streams.stream import READ_SIZE, Address, Stream, WritesNow
from skywire.wire.noise import MAX_HANDSHAKE_MESSAGE, Handshake, Pattern, State
from skywire.wire.noise_frames import MAX_PLAIN, Opener, Sealer

BATCH = 16 * MAX_PLAIN  # plaintext bytes sealed at once
READ_RAW = 256 * 1024  # bytes taken from the carrier at once: whatever it has


class NoiseStream:
    """Made by `noise_stream`. Owns the stream it runs over; half-closes where that one does."""

    __slots__ = (
        "_chunks",
        "_closed",
        "_error",
        "_opener",
        "_raw",
        "_sealer",
        "_takes_now",
        "local",
        "remote",
    )

    def __init__(
        self, raw: Stream, sealer: Sealer, opener: Opener, local: Address, remote: Address
    ) -> None:
        self.local = local
        self.remote = remote
        self._raw = raw
        self._takes_now = raw if isinstance(raw, WritesNow) else None
        self._sealer = sealer
        self._opener = opener
        self._chunks: deque[bytes] = deque()  # opened, not yet read: of one read of the carrier
        self._error: StreamReset | None = None
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Encrypted bytes that were read along with the handshake. Raises RemoteProtocolError."""
        self._chunks.extend(self._opener.receive_data(data))

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            data = await self._raw.read(READ_RAW)
            if not data:
                if not self._opener.unfinished:
                    return b""
                raise self._broken("it ended in the middle of a frame")
            try:
                self.feed(data)
            except RemoteProtocolError as error:
                raise self._broken(str(error)) from error
        if self._closed:
            raise StreamClosed(f"stream to {self.remote} was closed by us")
        return self._take(max_bytes)

    def _broken(self, reason: str) -> StreamReset:
        self._error = StreamReset(f"stream to {self.remote}: {reason}")
        self._raw.abort()
        return self._error

    def _take(self, max_bytes: int) -> bytes:
        chunks = self._chunks
        parts, room = [], max_bytes
        while chunks and room:
            part = chunks.popleft()
            if len(part) > room:
                chunks.appendleft(part[room:])
                part = part[:room]
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), BATCH):
            sealed = self._sealer.seal(view[begin : begin + BATCH])
            await self._raw.write(bytes(sealed))
        if not data:
            await self._raw.write(b"")

    def write_now(self, data: bytes) -> bool:
        # Sealing uses up nonces, so first see that the stream below takes what comes out.
        if self._takes_now is None or not self._takes_now.write_now(b""):
            return False
        return self._takes_now.write_now(bytes(self._sealer.seal(data)))

    async def write_eof(self) -> None:
        await self._raw.write_eof()

    async def close(self) -> None:
        self._shut()
        await self._raw.close()

    def abort(self) -> None:
        self._shut()
        self._raw.abort()

    def _shut(self) -> None:
        self._closed = True
        self._chunks.clear()


async def noise_stream(
    raw: Stream,
    pattern: Pattern,
    *,
    initiator: bool,
    public: PubKey,
    secret: SecKey,
    remote: PubKey | None = None,
    received: bytes = b"",
    network: str = "",
) -> NoiseStream:
    """Shake hands over `raw` and return the encrypted stream; the deadline is the caller's.

    `remote` None: an XK responder learns it. `received` are bytes read from `raw` before. The
    addresses get the keys; `network` replaces theirs. Raises RemoteProtocolError
    (AuthenticationFailed: wrong key), StreamError; `raw` stays the caller's to abort then.
    """
    _, ephemeral = generate.key_pair()
    machine = Handshake(
        pattern,
        initiator=initiator,
        public=public,
        secret=secret,
        ephemeral=ephemeral,
        remote=remote,
    )
    rest = received
    while machine.state is not State.DONE:
        if machine.state is State.WRITE:
            message = machine.write_message()
            await raw.write(len(message).to_bytes(2, "big") + message)
        else:
            message, rest = await _message(raw, rest)
            machine.read_message(message)
    peer = machine.remote
    assert peer is not None, "a finished handshake knows the peer"  # noqa: S101 - a type guard
    stream = NoiseStream(
        raw,
        Sealer(machine.send_key),
        Opener(machine.receive_key),
        raw.local._replace(network=network or raw.local.network, pk=public),
        raw.remote._replace(network=network or raw.remote.network, pk=peer),
    )
    stream.feed(rest)
    return stream


async def _message(raw: Stream, data: bytes) -> tuple[bytes, bytes]:
    """One handshake message and the bytes behind it."""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        if len(data) >= 2 and int.from_bytes(data[:2], "big") > MAX_HANDSHAKE_MESSAGE:
            raise RemoteProtocolError(
                f"noise message of {int.from_bytes(data[:2], 'big')} bytes, "
                f"at most {MAX_HANDSHAKE_MESSAGE} are taken"
            )
        part = await raw.read(MAX_HANDSHAKE_MESSAGE)
        if not part:
            raise StreamReset(f"{raw.remote} ended during the noise handshake")
        data += part
    end = 2 + int.from_bytes(data[:2], "big")
    return data[2:end], data[end:]
