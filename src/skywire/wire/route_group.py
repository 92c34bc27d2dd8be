"""One end of a route: handshake, encryption, data, close. Source: routing.md §6.

    WAITING ── Handshake(1) ──▶ NOISE ── keys agreed ──▶ OPEN ── we close ──▶ CLOSING ──▶ CLOSED
       └────── Handshake(0), or data of a peer that knows no handshake ──▶ OPEN

Any state goes to CLOSED when the peer closes or a limit passes. Packets go in by `receive`, what
must be sent is in `output` as (type, payload), the peer's messages are in `received`.

One message of at most 4070 bytes is one noise frame, one Data packet, and one message at the peer.
"""

from enum import Enum

from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError
from skywire.wire import liveness
from skywire.wire.liveness import Liveness
from skywire.wire.noise import MAX_HANDSHAKE_MESSAGE, Handshake, Pattern
from skywire.wire.noise import State as NoiseState
from skywire.wire.noise_frames import MAX_PLAIN, OVERHEAD, Opener, Sealer
from skywire.wire.packet import CLOSE_REQUESTED, HEADER, HEADER_SIZE, PacketType

REPEAT_INTERVAL = 0.5  # seconds between the initiator's handshakes
ANSWER_AFTER = 2.0  # seconds until the responder sends its handshake unasked
HANDSHAKE_LIMIT = 10.0  # seconds for the peer's first packet
NOISE_LIMIT = 5.0  # seconds; Go: the same
CLOSE_LIMIT = 2.0  # seconds for the peer's Close; Go: the same
MAX_MESSAGE = MAX_PLAIN  # bytes of one data packet, in plain text
MAX_ERROR_TEXT = 1024  # characters that are kept

ENCRYPT = b"\x01"
CLOSE = bytes([CLOSE_REQUESTED])
FIRST_NOISE = b"\x00\x31"  # length of the first noise message: a key and a tag


class State(Enum):
    WAITING = "waiting for the peer's first packet"
    NOISE = "agreeing on keys"
    OPEN = "open"
    CLOSING = "waiting for the peer's Close"
    CLOSED = "closed"


class GroupEnd:
    """One end of a route; call `start` first. Reproducible from its keys."""

    __slots__ = (
        "_deadline",
        "_epoch",
        "_handshake",
        "_initiator",
        "_introduced",
        "_noise_input",
        "_opener",
        "_plain_allowed",
        "_repeat",
        "_sealer",
        "busy",
        "encrypted",
        "ended_by_peer",
        "error",
        "liveness",
        "output",
        "received",
        "state",
    )

    def __init__(
        self,
        *,
        initiator: bool,
        public: PubKey,
        secret: SecKey,
        ephemeral: SecKey,
        remote: PubKey,
        now: float,
        epoch: float = 0.0,
        plain_allowed: bool = True,
    ) -> None:
        """`plain_allowed`: whether a peer may say that it does not encrypt."""
        self.state = State.WAITING
        self.encrypted = False
        self.ended_by_peer = False
        self.error = ""  # why it ended, when that was no orderly close; the peer's words or ours
        self.busy = False  # our application is behind with reading: set by the owner
        self.output: list[tuple[PacketType, bytes]] = []
        self.received: list[bytes] = []
        self.liveness = Liveness(now, epoch)
        self._epoch = epoch
        self._initiator = initiator
        self._introduced = False  # our handshake was sent
        self._plain_allowed = plain_allowed
        self._handshake: Handshake | None = Handshake(
            Pattern.KK,
            initiator=initiator,
            public=public,
            secret=secret,
            ephemeral=ephemeral,
            remote=remote,
        )
        self._noise_input = b""
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._deadline = now + HANDSHAKE_LIMIT
        self._repeat: float | None = now + (REPEAT_INTERVAL if initiator else ANSWER_AFTER)

    # Time

    def start(self) -> None:
        """The initiator speaks first, unless parked packets of the peer made it speak already."""
        if self._initiator:
            self._introduce()

    def _introduce(self) -> None:
        """Our handshake, ahead of anything it announces."""
        if not self._introduced:
            self._introduced = True
            self._send(PacketType.HANDSHAKE, ENCRYPT)

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None when there is nothing left to wait for."""
        if self.state is State.CLOSED:
            return None
        if self.state is State.OPEN:
            return self.liveness.next_timer()
        if self.state is State.WAITING and self._repeat is not None:
            return min(self._repeat, self._deadline)
        return self._deadline

    def handle_timer(self, now: float) -> None:
        if self.state is State.OPEN:
            self._keep_alive(now)
        elif self.state is State.CLOSED:
            return
        elif now >= self._deadline:
            self._give_up()
        elif self.state is State.WAITING and self._repeat is not None and now >= self._repeat:
            self._introduced = True
            self._send(PacketType.HANDSHAKE, ENCRYPT)
            self._repeat = now + REPEAT_INTERVAL if self._initiator else None

    def _keep_alive(self, now: float) -> None:
        ping, keep_alive = self.liveness.handle_timer(now)
        if self.liveness.state is liveness.State.LOST:
            self.fail(self.liveness.reason)
            return
        if ping is not None:
            self._send(PacketType.PING, ping)
        if keep_alive:
            self._send(PacketType.KEEP_ALIVE, b"")

    def _give_up(self) -> None:
        if self.state is State.CLOSING:
            self.state = State.CLOSED
        elif self.state is State.NOISE:
            self.fail(f"the noise handshake was not finished within {NOISE_LIMIT:.0f} s")
        else:
            self.fail(f"no handshake came within {HANDSHAKE_LIMIT:.0f} s")

    # Receiving

    def receive(self, kind: int, payload: bytes, now: float) -> None:
        """Take a packet whose payload has the size its type needs; never raises.

        A peer that breaks the protocol ends the route: see `error`.
        """
        if self.state is State.CLOSED:
            return
        self.liveness.heard(now)
        try:
            if kind == PacketType.DATA:
                self._receive_data(payload, now)
            elif kind == PacketType.HANDSHAKE:
                self._receive_handshake(payload, now)
            elif kind == PacketType.PING:
                pong = self.liveness.receive_ping(payload, now, busy=self.busy)
                self._send(PacketType.PONG, pong)
            elif kind == PacketType.PONG:
                self.liveness.receive_pong(payload, now)
            elif kind == PacketType.ERROR:
                self.error = _readable(payload)
            elif kind == PacketType.CLOSE:
                self._receive_close(payload)
        except RemoteProtocolError as error:
            self.fail(str(error))

    def receive_data(self, payloads: list[bytes], now: float) -> None:
        """As `receive` of each, for Data packets right behind each other: quicker."""
        if self.state is State.OPEN and self._opener is not None:
            payloads = [b"".join(payloads)]  # frames have their own borders
        for payload in payloads:
            self.receive(PacketType.DATA, payload, now)

    def _receive_handshake(self, payload: bytes, now: float) -> None:
        if self.state is not State.WAITING:
            return  # a repeated one
        self._introduce()
        if payload[0]:
            self._agree(now)
        else:
            self._open_plain(now)

    def _agree(self, now: float) -> None:
        self.state = State.NOISE
        self._deadline = now + NOISE_LIMIT
        self._write_noise()

    def _open_plain(self, now: float) -> None:
        if not self._plain_allowed:
            raise RemoteProtocolError("the peer does not encrypt and that is not allowed here")
        self._opened(now)

    def _opened(self, now: float) -> None:
        self.state = State.OPEN
        self._handshake = None
        self.liveness = Liveness(now, self._epoch)

    def _receive_data(self, payload: bytes, now: float) -> None:
        self.liveness.data_received(len(payload))
        if self.state is State.WAITING:
            self._introduce()
            if not self._initiator and payload.startswith(FIRST_NOISE):
                self._agree(now)  # its handshake was lost, it has got ours and encrypts
            else:
                self._open_plain(now)
        if self.state is State.NOISE:
            payload = self._read_noise(payload, now)
        if self.state is not State.OPEN or not payload:
            return
        if self._opener is not None:
            self.received += self._opener.receive_data(payload)
        else:
            self.received.append(payload)

    def _receive_close(self, payload: bytes) -> None:
        if self.state is not State.CLOSING:
            self.ended_by_peer = True
            if self.state is not State.OPEN and not self.error:
                self.error = "the peer closed the route while it was set up"
            self._send(PacketType.CLOSE, payload[:1])
        self.state = State.CLOSED

    # Noise

    def _write_noise(self) -> None:
        handshake = self._handshake
        if handshake is not None and handshake.state is NoiseState.WRITE:
            try:
                message = handshake.write_message()
            except InvalidValue as error:
                raise RemoteProtocolError(f"noise handshake: {error}") from error
            self._send(PacketType.DATA, len(message).to_bytes(2, "big") + message)

    def _read_noise(self, payload: bytes, now: float) -> bytes:
        """Feed the handshake; returns what is behind it once it is done, else nothing."""
        data = self._noise_input + payload
        handshake = self._handshake
        assert handshake is not None, "there is one in this state"  # noqa: S101 - a type guard
        size = int.from_bytes(data[:2], "big")
        if size > MAX_HANDSHAKE_MESSAGE:
            raise RemoteProtocolError(f"noise handshake: message of {size} bytes")
        if len(data) < 2 or len(data) < 2 + size:
            self._noise_input = data
            return b""
        self._noise_input = b""
        handshake.read_message(data[2 : 2 + size])
        self._write_noise()
        self._sealer = Sealer(handshake.send_key)
        self._opener = Opener(handshake.receive_key, gaps=False)
        self.encrypted = True
        self._opened(now)
        return data[2 + size :]

    # Sending

    def data_packets(self, data: memoryview, route_id: int) -> tuple[memoryview, int]:
        """Data packets with `data`, ready to be sent, and their number.

        Each call begins a new packet; each packet but the last has `MAX_MESSAGE` bytes.
        """
        if self.state is not State.OPEN:
            raise LocalProtocolError(f"cannot send data: the route is {self.state.value}")
        if self._sealer is not None:
            out = self._sealer.seal(data, gap=HEADER_SIZE)
        else:
            out = bytearray()
            for begin in range(0, len(data), MAX_MESSAGE):
                out += bytes(HEADER_SIZE) + data[begin : begin + MAX_MESSAGE]
        step = HEADER_SIZE + MAX_MESSAGE + (0 if self._sealer is None else OVERHEAD)
        size, count = len(out), 0
        for begin in range(0, size, step):
            length = min(step, size - begin) - HEADER_SIZE
            HEADER.pack_into(out, begin, PacketType.DATA, route_id, length)
            count += 1
        return memoryview(out), count

    def data_sent(self, packets: int, now: float) -> None:
        """Call after sending what `data_packets` gave; may put a ping into `output`."""
        if (ping := self.liveness.data_sent(packets, now)) is not None:
            self._send(PacketType.PING, ping)

    def caught_up(self) -> None:
        """Our application has read what came: the peer may send on."""
        self.busy = False
        if self.state is State.OPEN and (pong := self.liveness.pay()) is not None:
            self._send(PacketType.PONG, pong)

    def close(self, now: float, error: str = "") -> None:
        """Begin an orderly end; `error` is told to the peer's application."""
        if self.state in (State.CLOSING, State.CLOSED):
            return
        if error:
            self._send(PacketType.ERROR, error.encode())
        self._send(PacketType.CLOSE, CLOSE)
        self.state = State.CLOSING
        self._deadline = now + CLOSE_LIMIT

    def fail(self, reason: str) -> None:
        """End at once; the peer is told why, as far as it can be reached."""
        if self.state is State.CLOSED:
            return
        if self.state is not State.CLOSING:
            if self.state is State.OPEN:
                self._send(PacketType.ERROR, reason.encode()[:MAX_ERROR_TEXT])
            self._send(PacketType.CLOSE, CLOSE)
        self.error = self.error or reason
        self.state = State.CLOSED

    def _send(self, kind: PacketType, payload: bytes) -> None:
        self.output.append((kind, payload))


def _readable(payload: bytes) -> str:
    text = payload[: 4 * MAX_ERROR_TEXT].decode(errors="replace")[:MAX_ERROR_TEXT]
    return "".join(c if c.isprintable() else " " for c in text) or "the peer reported an error"
