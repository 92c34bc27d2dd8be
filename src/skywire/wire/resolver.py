"""What visors and the address resolver tell each other. Source: services.md §4, transport.md §5.3.

visor ──▶ resolver   POST /bind/stcpr and the first UDP message: `LocalAddresses`
visor ◀── resolver   GET /resolve/…: `Binding`; by UDP, when somebody wants to dial: `Push`
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue
from skywire.wire import gojson

STCPR = "stcpr"
SUDPH = "sudph"
HEARTBEAT = b"heartbeat"  # every 10 s
DELETE_BINDING = b"delBind"
MAX_MESSAGE = 4096  # bytes of one UDP message, and of what is bound
MAX_ADDRESSES = 64  # of one visor
MAX_TEXT = 64  # characters of an address or a port


class LocalAddresses(msgspec.Struct, frozen=True):
    """Where a visor listens: the port as decimal text, and its own IP addresses."""

    port: str
    addresses: tuple[str, ...]


class Binding(msgspec.Struct, frozen=True):
    """Where a visor can be reached. `remote_addr` is as the resolver saw it: an IP, for sudph with
    the port. `is_local`: caller and visor share a public address."""

    remote_addr: str
    is_local: bool = False
    port: str = ""
    addresses: tuple[str, ...] = ()

    def encode(self) -> bytes:
        return gojson.encode(self)


class Push(msgspec.Struct, frozen=True):
    """`pk` is about to dial us, from `address` ("ip:port")."""

    pk: str = msgspec.field(name="PK")
    address: str = msgspec.field(name="Addr")

    def encode(self) -> bytes:
        return gojson.encode(self)

    @property
    def key(self) -> PubKey:
        """NULL_KEY when the text is no key."""
        try:
            return PubKey.parse(self.pk)
        except InvalidValue:
            return NULL_KEY


_T = TypeVar("_T", LocalAddresses, Binding, Push)


def _decode(kind: type[_T], data: bytes) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"{data[:80]!r} is no {kind.__name__}: {error}") from error


def parse_addresses(data: bytes) -> LocalAddresses:
    """Raises InvalidValue, also for more than a visor can have."""
    if len(data) > MAX_MESSAGE:
        raise InvalidValue(f"{len(data)} bytes of addresses, expected at most {MAX_MESSAGE}")
    parsed = _decode(LocalAddresses, data)
    _check(parsed.addresses, parsed.port)
    return parsed


def _check(addresses: Sequence[str], *texts: str) -> None:
    if len(addresses) > MAX_ADDRESSES:
        raise InvalidValue(f"{len(addresses)} addresses, expected at most {MAX_ADDRESSES}")
    if any(len(text) > MAX_TEXT for text in (*texts, *addresses)):
        raise InvalidValue(f"an address or port is longer than {MAX_TEXT} characters")


def parse_binding(data: bytes) -> Binding:
    """Raises InvalidValue, also for more than a visor can have."""
    parsed = _decode(Binding, data)
    _check(parsed.addresses, parsed.port, parsed.remote_addr)
    return parsed


def parse_push(data: bytes) -> Push:
    """Raises InvalidValue."""
    return _decode(Push, data)
