"""The signed objects that open a dmsg stream, the error codes, the address text.

    object = signature(65) ‖ gob of one value         hash = SHA-256(object)

Source: dmsg.md §6, §7. Objects travel sealed by the session (`noise_frames.ObjectCipher`).
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Annotated, cast

from skywire.crypto import curve
from skywire.crypto.keys import NULL_KEY, SIGNATURE_SIZE, PubKey, SecKey
from skywire.errors import AuthenticationFailed, InvalidValue, Refused, RemoteProtocolError
from skywire.wire import gob
from skywire.wire.gob_types import BOOL, BYTES, INT64, PUBKEY, UINT8, UINT16, Array, Go
from skywire.wire.noise_frames import MAX_OBJECT_LENGTH, MIN_LENGTH

EPHEMERAL_PORT = "~"  # how port 0 prints


class Code(IntEnum):
    """dmsg error codes; only response objects put them on the wire. Source: dmsg.md §6."""

    ENTRY_NOT_FOUND = 100
    ENTRY_NOT_SERVER = 101
    ENTRY_NOT_CLIENT = 102
    ENTRY_WITHOUT_SERVERS = 103
    ENTITY_CLOSED = 200
    SESSION_CLOSED = 201
    CANNOT_CONNECT = 202
    EXTRA_BYTES = 203
    REQUEST_SIGNATURE = 300
    REQUEST_TIMESTAMP = 301
    REQUEST_SOURCE_KEY = 302
    REQUEST_DESTINATION_KEY = 303
    REQUEST_SOURCE_PORT = 304
    REQUEST_DESTINATION_PORT = 305
    NO_LISTENER = 306
    NO_NEXT_SESSION = 307
    RESPONSE_SIGNATURE = 350
    RESPONSE_HASH = 351
    RESPONSE_REJECTED = 352
    OBJECT_INVALID = 370
    PORT_OCCUPIED = 400
    LISTENER_FULL = 401


CODE_TEXTS = {
    Code.ENTRY_NOT_FOUND: "entry is not found in discovery",
    Code.ENTRY_NOT_SERVER: "entry is not of server in discovery",
    Code.ENTRY_NOT_CLIENT: "entry is not of client in discovery",
    Code.ENTRY_WITHOUT_SERVERS: "client entry in discovery has no delegated servers",
    Code.ENTITY_CLOSED: "local entity closed",
    Code.SESSION_CLOSED: "local session closed",
    Code.CANNOT_CONNECT: "cannot connect to delegated server",
    Code.EXTRA_BYTES: "extra bytes received during session handshake",
    Code.REQUEST_SIGNATURE: "request has invalid signature",
    Code.REQUEST_TIMESTAMP: "request timestamp should be higher than last",
    Code.REQUEST_SOURCE_KEY: "request has invalid source public key",
    Code.REQUEST_DESTINATION_KEY: "request has invalid destination public key",
    Code.REQUEST_SOURCE_PORT: "request has invalid source port",
    Code.REQUEST_DESTINATION_PORT: "request has invalid destination port",
    Code.NO_LISTENER: "request has no associated listener",
    Code.NO_NEXT_SESSION: ("request cannot be forwarded because the next session is non-existent"),
    Code.RESPONSE_SIGNATURE: "response has invalid signature",
    Code.RESPONSE_HASH: "response has invalid hash of associated request",
    Code.RESPONSE_REJECTED: "response rejected associated request without reason",
    Code.OBJECT_INVALID: "signed object is invalid",
    Code.PORT_OCCUPIED: "port already occupied",
    Code.LISTENER_FULL: "listener accept chan maxed",
}
TEMPORARY = frozenset({Code.NO_LISTENER, Code.LISTENER_FULL})


def error_text(code: Code, cause: object = "") -> str:
    """The text Go prints: `dmsg error 306 - request has no associated listener`."""
    return f"dmsg error {code.value} - {CODE_TEXTS[code]}" + (f": {cause}" if cause else "")


def refusal(code: Code, cause: object = "") -> Refused:
    """An error to raise; its `reason` is the code."""
    return Refused(error_text(code, cause), reason=code)


def code_of(error: Refused) -> Code:
    """The code of an error that `refusal` made."""
    return error.reason if isinstance(error.reason, Code) else Code.RESPONSE_REJECTED


@dataclass(slots=True)
class Addr:
    """A dmsg address as gob knows it."""

    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    port: Annotated[int, Go("Port", UINT16)] = 0

    def __str__(self) -> str:
        return f"{self.pk.hex()}:{self.port or EPHEMERAL_PORT}"


# As Go's scanner reads an unsigned number: a prefix counts, what follows it does not.
_PORT = re.compile(r"\+?(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(\d+))")


def _parse_port(text: str) -> int:
    if text in ("", EPHEMERAL_PORT):
        return 0
    match = _PORT.match(text)
    if match is None:
        raise InvalidValue(f'invalid dmsg port "{text[:20]}": expected integer')
    sixteen, two, eight, ten = match.groups()
    if ten is not None and ten.startswith("0"):
        ten = "0"  # "080" is an octal 0 followed by something else
    port = next(int(t, b) for t, b in ((sixteen, 16), (two, 2), (eight, 8), (ten, 10)) if t)
    if port > 65535:
        raise InvalidValue(f"invalid dmsg port {port}: unsigned integer overflow, at most 65535")
    return port


def parse_address(text: str) -> Addr:
    """`<pk>`, `<pk>:<port>`, `<pk>:~`; no key means the null key. Raises InvalidValue.

    Reads whatever the reference reads (`dmsg_addr_text.json`): blanks around the parts, ports as
    0x50 or with something behind them.
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) > 2:
        raise InvalidValue(f'invalid dmsg address "{text[:90]}": expected <public key>:<port>')
    if text == "":
        raise InvalidValue("invalid dmsg address: empty, expected <public key>:<port>")
    pk = PubKey.parse(parts[0]) if parts[0] else NULL_KEY
    return Addr(pk, _parse_port(parts[1]) if len(parts) == 2 else 0)


@dataclass(slots=True)
class StreamRequest:
    """Asks the destination for a stream, or a server for our own address (`ip_info`)."""

    timestamp: Annotated[int, Go("Timestamp", INT64)] = 0  # Unix nanoseconds
    source: Annotated[Addr, Go("SrcAddr", Addr)] = field(default_factory=Addr)
    destination: Annotated[Addr, Go("DstAddr", Addr)] = field(default_factory=Addr)
    ip_info: Annotated[bool, Go("IPinfo", BOOL)] = False
    noise_message: Annotated[bytes, Go("NoiseMsg", BYTES)] = b""


@dataclass(slots=True)
class StreamResponse:
    """The destination's answer, or the server's."""

    request_hash: Annotated[bytes, Go("ReqHash", Array(UINT8, 32, "cipher.SHA256"))] = bytes(32)
    accepted: Annotated[bool, Go("Accepted", BOOL)] = False
    ip: Annotated[bytes, Go("IP", BYTES)] = b""  # 4 or 16 bytes
    error_code: Annotated[int, Go("ErrCode", UINT16)] = 0
    noise_message: Annotated[bytes, Go("NoiseMsg", BYTES)] = b""


def sign_object(value: StreamRequest | StreamResponse, secret: SecKey) -> bytes:
    body = gob.encode(type(value), value)
    return curve.sign(body, secret) + body


def object_hash(signed: bytes) -> bytes:
    return sha256(signed).digest()


def _body(signed: bytes) -> bytes:
    if len(signed) <= SIGNATURE_SIZE:
        raise refusal(Code.OBJECT_INVALID)
    return signed[SIGNATURE_SIZE:]


def parse_request(signed: bytes) -> StreamRequest:
    """Raises Refused (370) for anything that is not a request; nothing else is checked yet."""
    try:
        return cast(StreamRequest, gob.decode(StreamRequest, _body(signed)))
    except (RemoteProtocolError, InvalidValue) as error:
        raise refusal(Code.OBJECT_INVALID, error) from error


def parse_response(signed: bytes) -> StreamResponse:
    """Raises Refused (370) for anything that is not a response; nothing else is checked yet."""
    try:
        return cast(StreamResponse, gob.decode(StreamResponse, _body(signed)))
    except (RemoteProtocolError, InvalidValue) as error:
        raise refusal(Code.OBJECT_INVALID, error) from error


def _check_signature(public: PubKey, signed: bytes, code: Code) -> None:
    try:
        curve.verify(public, signed[SIGNATURE_SIZE:], signed[:SIGNATURE_SIZE])
    except AuthenticationFailed as error:
        raise refusal(code, error) from error


def check_request(request: StreamRequest, signed: bytes, last_timestamp: int = 0) -> None:
    """The checks of dmsg.md §6, in order. Raises Refused with the code of the first failure."""
    if request.source.pk == NULL_KEY:
        raise refusal(Code.REQUEST_SOURCE_KEY)
    if request.source.port == 0:
        raise refusal(Code.REQUEST_SOURCE_PORT)
    if request.destination.pk == NULL_KEY:
        raise refusal(Code.REQUEST_DESTINATION_KEY)
    if request.destination.port == 0:
        raise refusal(Code.REQUEST_DESTINATION_PORT)
    if request.timestamp <= last_timestamp:
        raise refusal(Code.REQUEST_TIMESTAMP)
    _check_signature(request.source.pk, signed, Code.REQUEST_SIGNATURE)


def check_response(
    response: StreamResponse, signed: bytes, signer: PubKey, request_hash: bytes
) -> None:
    """Raises Refused with the code of the first failure, or with the peer's own code."""
    if response.request_hash != request_hash:
        raise refusal(Code.RESPONSE_HASH)
    _check_signature(signer, signed, Code.RESPONSE_SIGNATURE)
    if not response.accepted:
        try:
            code = Code(response.error_code)
        except ValueError:
            code = Code.RESPONSE_REJECTED
        raise refusal(code)


class ObjectReader:
    """Collects the one sealed object at the start of a stream: length(2), then that many bytes.

    A length of 0 is a ping of newer peers (dmsg.md §15).
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def receive_data(self, data: bytes | memoryview) -> tuple[bytes, bytes] | None:
        """The message (without its length; empty for a ping) and what follows it; None: not yet.

        Raises RemoteProtocolError for an impossible length.
        """
        self._buffer += data
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length = buffer[0] << 8 | buffer[1]
        if length and length < MIN_LENGTH:
            raise RemoteProtocolError(
                f"session object of {length} bytes, expected {MIN_LENGTH} to {MAX_OBJECT_LENGTH}"
            )
        if len(buffer) < 2 + length:
            if len(buffer) > 2 + MAX_OBJECT_LENGTH:
                raise RemoteProtocolError("session object is too long")
            return None
        self._buffer = b""
        return buffer[2 : 2 + length], buffer[2 + length :]
