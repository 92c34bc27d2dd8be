"""Four frames by which two nodes tell each other who they are. Source: transport.md §3.1.

    initiator                          responder
    HELLO ───── get_nonce ───────────▶ HELLO
    NONCE ◀──── {"Nonce":[…]} ──────── CLAIM
    CLAIM ───── {"SrcAddr":…,"Sig"} ─▶ CLAIM
    DONE  ◀──── {"OK":true,…} ──────── DONE         any refused frame: FAILED, for good

Each JSON frame ends with one line feed, and its signature covers it. What follows the last frame
belongs to the next stage: it is kept in `rest`. Only the initiator's key is proven here, and
nothing binds the connection to it: the Noise handshake that follows does both.
"""

from abc import ABC, abstractmethod
from collections.abc import Container
from enum import Enum
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from skywire.crypto import curve
from skywire.crypto.keys import NULL_KEY, SIGNATURE_SIZE, PubKey, SecKey, Signature
from skywire.errors import (
    AuthenticationFailed,
    InvalidValue,
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
)
from skywire.wire import gojson

HELLO = b"get_nonce"
NONCE_SIZE = 16
TRANSPORT_PORT = 45
FIRST_PORT = 49153  # of the initiator; the counter goes up and wraps to 49152
MAX_FRAME = 4096  # bytes of a JSON frame; the largest we know has 434
NOT_LISTENING = "not listening on given port"

_Byte = Annotated[int, Meta(ge=0, le=255)]


class _Nonce(msgspec.Struct):
    nonce: Annotated[tuple[_Byte, ...], Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)] = (
        msgspec.field(name="Nonce")
    )


class _Address(msgspec.Struct):
    public_key: str
    port: Annotated[int, Meta(ge=0, le=65535)]


class _Claim(msgspec.Struct):
    source: _Address = msgspec.field(name="SrcAddr")
    target: _Address = msgspec.field(name="DstAddr")
    nonce: Annotated[tuple[_Byte, ...], Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)] = (
        msgspec.field(name="Nonce")
    )
    signature: str = msgspec.field(name="Sig")


class _Answer(msgspec.Struct):
    ok: bool = msgspec.field(name="OK")
    error: str = msgspec.field(name="ErrMsg")


_nonces = msgspec.json.Decoder(_Nonce)
_claims = msgspec.json.Decoder(_Claim)
_answers = msgspec.json.Decoder(_Answer)


T = TypeVar("T")
_ZERO = "0" * (2 * SIGNATURE_SIZE)


class _Ends(NamedTuple):
    """Who claims to talk to whom."""

    source: PubKey
    source_port: int
    target: PubKey
    target_port: int

    def claim(self, nonce: tuple[int, ...], signature: str = _ZERO) -> bytes:
        """The third frame; with the zero signature, the bytes that are signed."""
        source = _Address(self.source.hex(), self.source_port)
        target = _Address(self.target.hex(), self.target_port)
        return gojson.encode(_Claim(source, target, nonce, signature)) + b"\n"


class State(Enum):
    HELLO = "hello"
    NONCE = "nonce"
    CLAIM = "claim"
    DONE = "done"
    FAILED = "broken"


class _Side(ABC):
    def __init__(self, state: State) -> None:
        self.state = state
        self.rest = b""  # received behind the last frame

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes in any pieces; return what to send now, in one write.

        Raises RemoteProtocolError (AuthenticationFailed, or Refused when the peer said no); `state`
        is FAILED then, and what `farewell` holds may still be sent.
        """
        if self.state in (State.DONE, State.FAILED):
            raise LocalProtocolError(f"handshake takes no data, it is {self.state.value}")
        before, self.state = self.state, State.FAILED
        self.rest += data
        answer, self.state = self._step(before)
        return answer

    @abstractmethod
    def _step(self, state: State) -> tuple[bytes, State]:
        """What to send after all that was received, and the state it leaves us in."""

    def _line(self, what: str) -> bytes | None:
        end = self.rest.find(b"\n", 0, MAX_FRAME)
        if end < 0:
            if len(self.rest) >= MAX_FRAME:
                raise RemoteProtocolError(f"handshake: {what} is longer than {MAX_FRAME} bytes")
            return None
        line, self.rest = self.rest[:end], self.rest[end + 1 :]
        return line


class Initiator(_Side):
    """`remote` NULL_KEY and ports 0 are what an address resolver is sent over UDP."""

    def __init__(
        self,
        public: PubKey,
        secret: SecKey,
        remote: PubKey,
        *,
        source_port: int = FIRST_PORT,
        port: int = TRANSPORT_PORT,
    ) -> None:
        super().__init__(State.HELLO)
        self._secret = secret
        self._ends = _Ends(public, source_port, remote, port)

    def start(self) -> bytes:
        """The first frame; it must go out in one write."""
        if self.state is not State.HELLO:
            raise LocalProtocolError(f"handshake was started already, it is {self.state.value}")
        self.state = State.NONCE
        return HELLO

    def _step(self, state: State) -> tuple[bytes, State]:
        if state is State.HELLO:
            raise LocalProtocolError("handshake takes no data before start()")
        if (line := self._line("an answer")) is None:
            return b"", state
        if state is State.NONCE:
            return self._claim(_decode(_nonces, line, "nonce").nonce), State.CLAIM
        answer = _decode(_answers, line, "last answer")
        if not answer.ok:
            raise Refused(f"handshake refused: {answer.error[:200]}", answer.error)
        return b"", State.DONE

    def _claim(self, nonce: tuple[int, ...]) -> bytes:
        signature = curve.sign(self._ends.claim(nonce), self._secret)
        return self._ends.claim(nonce, signature.hex())


class Responder(_Side):
    """`nonce` is 16 random bytes. Once DONE, `remote` is the key the peer has proven to have."""

    def __init__(self, nonce: bytes, *, ports: Container[int] = (TRANSPORT_PORT,)) -> None:
        super().__init__(State.HELLO)
        if len(nonce) != NONCE_SIZE:
            raise LocalProtocolError(f"nonce has {len(nonce)} bytes, expected {NONCE_SIZE}")
        self._nonce = tuple(nonce)
        self._ports = ports
        self.remote = NULL_KEY
        self.remote_port = 0
        self.target = NULL_KEY  # whom the peer thinks it is talking to; unchecked
        self.farewell = b""  # to send before closing, when the peer is refused

    def _step(self, state: State) -> tuple[bytes, State]:
        answer = b""
        if state is State.HELLO:
            if not HELLO.startswith(self.rest[: len(HELLO)]):
                begin = self.rest[: len(HELLO)]
                raise RemoteProtocolError(f"handshake starts with {begin!r}, expected {HELLO!r}")
            if len(self.rest) < len(HELLO):
                return b"", state
            self.rest = self.rest[len(HELLO) :]
            answer = gojson.encode(_Nonce(self._nonce)) + b"\n"
            if self.rest:
                raise RemoteProtocolError("handshake: the peer goes on without having the nonce")
            return answer, State.CLAIM
        if (line := self._line("claim")) is None:
            return b"", state
        self._check(_decode(_claims, line, "claim"))
        return gojson.encode(_Answer(True, "")) + b"\n", State.DONE

    def _check(self, claim: _Claim) -> None:
        if claim.nonce != self._nonce:
            raise AuthenticationFailed("handshake: the peer signed another nonce than ours")
        try:
            ends = _Ends(
                PubKey.parse(claim.source.public_key),
                claim.source.port,
                PubKey.parse_or_null(claim.target.public_key),
                claim.target.port,
            )
            signature = Signature.parse(claim.signature)
        except InvalidValue as error:
            raise RemoteProtocolError(f"handshake: {error}") from error
        curve.verify(ends.source, ends.claim(claim.nonce), signature)
        if ends.target_port not in self._ports:
            self.farewell = gojson.encode(_Answer(False, NOT_LISTENING)) + b"\n"
            raise RemoteProtocolError(f"handshake: {NOT_LISTENING} ({ends.target_port})")
        self.remote, self.remote_port, self.target = ends.source, ends.source_port, ends.target


def _decode(decoder: "msgspec.json.Decoder[T]", line: bytes, what: str) -> T:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"handshake: {what} is not as expected: {error}") from error
