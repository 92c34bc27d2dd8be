"""The resolver's side of a visor's UDP session. Source: transport.md §5.3.

    HANDSHAKE ──identity proven──▶ ADDRESSES ──its addresses──▶ BOUND ──"delBind"──▶ OVER

Messages and times go in, what to do comes out. Times are seconds on one monotonic clock.
"""

from enum import Enum

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.wire.handshake import Responder
from skywire.wire.handshake import State as HandshakeState
from skywire.wire.resolver import (
    DELETE_BINDING,
    HEARTBEAT,
    MAX_MESSAGE,
    LocalAddresses,
    parse_addresses,
)

OPENING_LIMIT = 10.0  # seconds for handshake and addresses
SILENCE_LIMIT = 60.0  # seconds without a heartbeat; ours, the reference has no limit
PORT = 0  # which the visor names as its target's


class State(Enum):
    HANDSHAKE = "handshake"
    ADDRESSES = "addresses"
    BOUND = "bound"
    OVER = "over"


class Action(Enum):
    """What the owner has to do."""

    NOTHING = "nothing"
    SEND = "send"  # `ResolverSession.answer`
    BIND = "bind"  # `remote` at its address, with `addresses`; also renews
    UNBIND = "unbind"


class ResolverSession:
    """`nonce` is 16 random bytes. `remote` is the visor's proven key, from ADDRESSES on."""

    def __init__(self, nonce: bytes, now: float) -> None:
        self.state = State.HANDSHAKE
        self.answer = b""
        self.addresses = LocalAddresses("", ())
        self._received = b""
        self._handshake = Responder(nonce, ports=(PORT,))
        self._deadline = now + OPENING_LIMIT

    @property
    def remote(self) -> PubKey:
        return self._handshake.remote

    def next_timer(self) -> float:
        """When to give the session up unless a message comes."""
        return self._deadline

    def receive_message(self, data: bytes, now: float) -> Action:
        """Raises RemoteProtocolError for what no visor sends: end the session."""
        if self.state is State.HANDSHAKE:
            self.answer = self._handshake.receive_data(data)
            if self._handshake.state is HandshakeState.DONE:
                self.state = State.ADDRESSES
            return Action.SEND if self.answer else Action.NOTHING
        if self.state is State.ADDRESSES:
            self._received += self._handshake.rest + data
            self._handshake.rest = b""
            if len(self._received) < MAX_MESSAGE and not self._received.rstrip().endswith(b"}"):
                return Action.NOTHING  # KCP cuts what is longer than a segment
            try:
                self.addresses = parse_addresses(self._received)
            except InvalidValue as error:
                raise RemoteProtocolError(f"{self.remote}: {error}") from error
            self.state = State.BOUND
            self._deadline = now + SILENCE_LIMIT
            return Action.BIND
        if self.state is State.BOUND and data == HEARTBEAT:
            self._deadline = now + SILENCE_LIMIT
            return Action.BIND
        if self.state is State.BOUND and data == DELETE_BINDING:
            self.state = State.OVER
            return Action.UNBIND
        raise RemoteProtocolError(
            f"{self.remote}: message {data[:20]!r}, expected {HEARTBEAT!r} or {DELETE_BINDING!r}"
        )
