"""The first thing an app sends its visor, once and one way. Source: apps.md §3.1.

    u16 length (big-endian) | JSON of that length

An app that wants events names a TCP address where it answers, and the types it wants.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.wire.buffer import Buffer

KEY_SIZE = 16  # bytes of a proc key
MAX_HELLO = 4096  # bytes; the longest of Go's apps is 150
MAX_EVENT_TYPES = 16
_LENGTH = 2
_KEY = re.compile(r"[0-9a-fA-F]{32}")


class ProcKey(bytes):
    """16 bytes by which a visor and its app know each other; the app's name on the connection."""

    def __new__(cls, raw: bytes) -> "ProcKey":
        if len(raw) != KEY_SIZE:
            raise InvalidValue(f"a proc key of {len(raw)} bytes, expected {KEY_SIZE}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> "ProcKey":
        """From 32 hexadecimal digits. Raises InvalidValue, without the text: a key is a secret."""
        if not isinstance(text, str) or not _KEY.fullmatch(text):
            raise InvalidValue("a proc key is 32 hexadecimal digits")
        return cls(bytes.fromhex(text))

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return "ProcKey(hidden)"


NULL_PROC_KEY = ProcKey(bytes(KEY_SIZE))


@dataclass(frozen=True, slots=True)
class Hello:
    """`events` is empty when the app wants none; then it has no `egress_address`."""

    key: ProcKey
    egress_network: str = ""
    egress_address: str = ""
    events: frozenset[str] = field(default_factory=frozenset)

    def encode(self) -> bytes:
        """Raises InvalidValue when it would be longer than `MAX_HELLO`."""
        document: dict[str, Any] = {"proc_key": str(self.key)}
        if self.events:
            document |= {
                "egress_net": self.egress_network,
                "egress_addr": self.egress_address,
                "event_subs": dict.fromkeys(sorted(self.events), True),
            }
        body = msgspec.json.encode(document)
        if len(body) > MAX_HELLO:
            raise InvalidValue(f"an app's hello of {len(body)} bytes, expected up to {MAX_HELLO}")
        return len(body).to_bytes(_LENGTH, "big") + body


class _Document(msgspec.Struct):
    proc_key: str
    egress_net: str = ""
    egress_addr: str = ""
    event_subs: dict[str, bool] | None = None


def missing(buffer: Buffer) -> int:
    """Bytes to read next; none of the calls that follow. Raises as `receive_hello`."""
    head = buffer.peek(_LENGTH)
    if len(head) < _LENGTH:
        return _LENGTH - len(head)
    return _LENGTH + _size(head) - len(buffer)


def receive_hello(buffer: Buffer) -> Hello | None:
    """Take the hello; None until it is complete. Raises RemoteProtocolError."""
    head = buffer.peek(_LENGTH)
    if len(head) < _LENGTH:
        return None
    body = buffer.take(_size(head), skip=_LENGTH)
    return None if body is None else _parse(body)


def _size(head: bytearray) -> int:
    size = int.from_bytes(head, "big")
    if not 0 < size <= MAX_HELLO:
        raise RemoteProtocolError(f"an app's hello of {size} bytes, expected 1 to {MAX_HELLO}")
    return size


def _parse(body: bytes) -> Hello:
    try:
        document = msgspec.json.decode(body, type=_Document)
        key = ProcKey.parse(document.proc_key)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidValue) as error:
        # the text of a JSON error may quote the document, and with it the key
        why = str(error) if isinstance(error, InvalidValue) else "not the JSON that was expected"
        raise RemoteProtocolError(f"an app's hello: {why}") from None
    wanted = [name for name, on in (document.event_subs or {}).items() if on]
    if len(wanted) > MAX_EVENT_TYPES:
        raise RemoteProtocolError(
            f"an app's hello: {len(wanted)} types of events, expected up to {MAX_EVENT_TYPES}"
        )
    if not wanted or not document.egress_addr:
        return Hello(key)
    return Hello(key, document.egress_net, document.egress_addr, frozenset(wanted))
