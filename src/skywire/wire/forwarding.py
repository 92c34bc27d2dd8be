"""Port forwarding: the JSON objects with which a connection begins. Source: apps.md §9.

    port 57  server 00, client {"port":N}, server {} or {"error":"…"}, then bytes both ways
    port 47  client {"port":N}, server {} or {"error":"…"}, then HTTP; nodes of 2024

An object has no frame: it ends with its last brace, and what follows belongs to the connection.
"""

from typing import TypeVar

import msgspec

from skywire.errors import RemoteProtocolError

READY = b"\0"
MAX_OBJECT = 4096  # bytes; ours have less than 100
MAX_REASON = 300  # characters of a peer's error that we pass on
OK = b"{}"

NOT_WHITELISTED = "not whitelisted"
UNKNOWN_PEER = "cannot verify peer"

_OPEN, _CLOSE, _QUOTE, _ESCAPE = b'{}"\\'
_SPACE = b" \t\r\n"


def not_registered(port: int) -> str:
    return f"port :{port} not registered"


def not_dialled(port: int) -> str:
    return f"failed to dial port {port}"


class ObjectReader:
    """Finds the end of one JSON object in bytes that come in any pieces."""

    def __init__(self) -> None:
        self.rest = b""  # what came behind the object
        self._data = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def receive_data(self, data: bytes) -> bytes | None:
        """The object once it is whole. Raises RemoteProtocolError."""
        self._data += data
        while self._seen < len(self._data):
            byte = self._data[self._seen]
            self._seen += 1
            if self._ends(byte):
                self.rest = bytes(self._data[self._seen :])
                return bytes(self._data[: self._seen])
            if self._seen >= MAX_OBJECT:
                raise RemoteProtocolError(f"more than {MAX_OBJECT} bytes without a whole object")
        return None

    def _ends(self, byte: int) -> bool:
        if self._in_text:
            if self._escaped:
                self._escaped = False
            elif byte == _ESCAPE:
                self._escaped = True
            elif byte == _QUOTE:
                self._in_text = False
        elif byte == _OPEN:
            self._depth += 1
        elif self._depth == 0:
            if byte not in _SPACE:
                raise RemoteProtocolError(f"byte {byte:#04x} where a JSON object should begin")
        elif byte == _QUOTE:
            self._in_text = True
        elif byte == _CLOSE:
            self._depth -= 1
            return self._depth == 0
        return False


class _Hello(msgspec.Struct):
    port: int


class _Answer(msgspec.Struct):
    error: str = ""


def encode_hello(port: int) -> bytes:
    return b'{"port":%d}' % port


def parse_hello(raw: bytes) -> int:
    """The port that is asked for. Raises RemoteProtocolError."""
    port = _decode(raw, _Hello).port
    if not 0 < port < 65536:
        raise RemoteProtocolError(f"a client asks for port {port}: expected 1 to 65535")
    return port


def encode_answer(error: str = "") -> bytes:
    return msgspec.json.encode({"error": error}) if error else OK


def parse_answer(raw: bytes) -> str:
    """Why the server refuses; "" when it does not. Raises RemoteProtocolError."""
    return _decode(raw, _Answer).error[:MAX_REASON]


_Object = TypeVar("_Object")


def _decode(raw: bytes, kind: type[_Object]) -> _Object:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"forwarding: no such object is expected: {error}") from error
