"""What a transport is called and who vouches for it. Source: transport.md §1, §2.

An entry names the two ends ("edges") in order, so both ends derive the same id. A signed entry has
a place for the signature of each edge; the zero signature stands for one that is missing.
"""

import uuid
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from skywire.crypto import curve
from skywire.crypto.keys import SIGNATURE_SIZE, PubKey, SecKey, Signature
from skywire.errors import AuthenticationFailed, InvalidValue
from skywire.wire import gojson

STCP = "stcp"
STCPR = "stcpr"
SUDPH = "sudph"
DMSG = "dmsg"
TYPES = (STCP, STCPR, SUDPH, DMSG)  # those we can open; others of 2026 may be listed

USER = "user"
AUTOMATIC = "automatic"  # opened by a node on its own account
SKYCOIN = "skycoin"  # opened by a transport setup node

MAX_TYPE = 32  # characters of a type; ours
MAX_DOCUMENT = 8 * 1024 * 1024  # bytes of a list of entries; one has about 260
NO_SIGNATURE = Signature(bytes(SIGNATURE_SIZE))

T = TypeVar("T")


def sort_edges(a: PubKey, b: PubKey) -> tuple[PubKey, PubKey]:
    """The smaller key, as a big-endian number, first."""
    return (a, b) if a <= b else (b, a)


def transport_id(a: PubKey, b: PubKey, kind: str) -> uuid.UUID:
    """The same whoever dialled. Its version nibble is 0."""
    first, second = sort_edges(a, b)
    raw = bytearray(sha256(bytes(16) + first + second + kind.encode()).digest()[:16])
    raw[6] &= 0x0F
    raw[8] = raw[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(raw))


class Entry(msgspec.Struct, frozen=True):
    id: uuid.UUID = msgspec.field(name="t_id")
    edges: tuple[PubKey, PubKey]
    type: str
    label: str  # not signed

    @classmethod
    def of(cls, a: PubKey, b: PubKey, kind: str, label: str = USER) -> "Entry":
        return cls(transport_id(a, b, kind), sort_edges(a, b), kind, label)

    def text(self) -> str:
        """Compact JSON, as Go writes it."""
        first, second = self.edges
        kind, label = gojson.quote(self.type, html=True), gojson.quote(self.label, html=True)
        return (
            f'{{"t_id":"{self.id}","edges":["{first.hex()}","{second.hex()}"],'
            f'"type":{kind},"label":{label}}}'
        )

    def encode(self) -> bytes:
        return self.text().encode()

    def signed_bytes(self) -> bytes:
        return self.id.bytes + self.edges[0] + self.edges[1] + self.type.encode()

    def index(self, pk: PubKey) -> int:
        """Which edge `pk` is; 0 when it is both. Raises InvalidValue when it is neither."""
        if pk not in self.edges:
            raise InvalidValue(f"{pk} is not an edge of transport {self.id}")
        return self.edges.index(pk)

    def other(self, pk: PubKey) -> PubKey:
        """The edge that is not `pk`. Raises InvalidValue when `pk` is neither."""
        return self.edges[1 - self.index(pk)]

    def check(self) -> None:
        """Raises InvalidValue unless edges are in order and the id is theirs."""
        if self.edges != sort_edges(*self.edges):
            raise InvalidValue(f"transport {self.id}: edges are not in order")
        if not self.type or len(self.type) > MAX_TYPE:
            raise InvalidValue(f'transport {self.id}: "{self.type:.40}" is no transport type')
        expected = transport_id(*self.edges, self.type)
        if self.id != expected:
            raise InvalidValue(f"transport id is {self.id}, its edges and type make {expected}")


class SignedEntry(msgspec.Struct, frozen=True):
    """`signatures[i]` is by `edges[i]`."""

    entry: Entry
    signatures: tuple[Signature, Signature] = (NO_SIGNATURE, NO_SIGNATURE)
    registered: int = 0  # Unix time; left out when 0

    def encode(self) -> bytes:
        """Compact JSON without a line feed, as Go writes it."""
        first, second = self.signatures
        registered = f',"registered":{self.registered}' if self.registered else ""
        return (
            f'{{"entry":{self.entry.text()},'
            f'"signatures":["{first.hex()}","{second.hex()}"]{registered}}}'
        ).encode()


def sign(signed: Entry | SignedEntry, sk: SecKey) -> SignedEntry:
    """With the signature of `sk` in its place. Raises InvalidValue when it is no edge's key."""
    if isinstance(signed, Entry):
        signed = SignedEntry(signed)
    signatures = list(signed.signatures)
    signature = Signature(curve.sign(signed.entry.signed_bytes(), sk))
    signatures[signed.entry.index(sk.public())] = signature
    return msgspec.structs.replace(signed, signatures=(signatures[0], signatures[1]))


def verify_edge(signed: SignedEntry, pk: PubKey) -> None:
    """Raises AuthenticationFailed unless edge `pk` has signed."""
    index = signed.entry.index(pk)
    try:
        curve.verify(pk, signed.entry.signed_bytes(), signed.signatures[index])
    except AuthenticationFailed as error:
        raise AuthenticationFailed(
            f"transport {signed.entry.id}: signature of edge {pk}: {error}"
        ) from error


def verify(signed: SignedEntry) -> None:
    """Id, order and both signatures. Raises InvalidValue, AuthenticationFailed."""
    signed.entry.check()
    for pk in signed.entry.edges:
        verify_edge(signed, pk)


def _load(kind: type, value: Any) -> Any:
    return kind.parse(value) if isinstance(value, str) else kind.parse("")  # type: ignore[attr-defined]


def _decoder(kind: type[T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(kind, dec_hook=_load)

    def decode(document: bytes) -> T:
        """Raises InvalidValue."""
        if len(document) > MAX_DOCUMENT:
            raise InvalidValue(f"{len(document)} bytes of JSON, at most {MAX_DOCUMENT} are read")
        try:
            return decoder.decode(document)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidValue(f"not a transport entry: {error}") from error

    return decode


parse_entry = _decoder(Entry)
parse_signed = _decoder(SignedEntry)
_entries = _decoder(list[Entry] | None)  # type: ignore[arg-type]
_signed_entries = _decoder(list[SignedEntry])


def parse_entries(document: bytes) -> list[Entry]:
    """An array; null is an empty one. Raises InvalidValue."""
    return list(_entries(document) or ())


def parse_signed_entries(document: bytes) -> list[SignedEntry]:
    """Raises InvalidValue."""
    return _signed_entries(document)


def encode_list(entries: Iterable[Entry | SignedEntry]) -> bytes:
    """A JSON array without a line feed."""
    return b"[" + b",".join([entry.encode() for entry in entries]) + b"]"
