"""Port forwarding: the JSON objects with which a connection begins. Source: apps.md §9.

    port 57  server 00, client {"port":N}, server {} or {"error":"…"}, then bytes both ways
    port 47  client {"port":N}, server {} or {"error":"…"}, then HTTP; nodes of 2024

An object has no frame (json_object.py); what follows it belongs to the connection.
"""

from typing import TypeVar

import msgspec

from skywire.errors import RemoteProtocolError

READY = b"\0"
MAX_REASON = 300  # characters of a peer's error that we pass on
OK = b"{}"

NOT_WHITELISTED = "not whitelisted"
UNKNOWN_PEER = "cannot verify peer"


def not_registered(port: int) -> str:
    return f"port :{port} not registered"


def not_dialled(port: int) -> str:
    return f"failed to dial port {port}"


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
    """Why the server refuses, made harmless; "" when it does not. Raises RemoteProtocolError."""
    reason = _decode(raw, _Answer).error[:MAX_REASON]
    return "".join(char if char.isprintable() else "?" for char in reason)


_Object = TypeVar("_Object")


def _decode(raw: bytes, kind: type[_Object]) -> _Object:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"forwarding: no such object is expected: {error}") from error
