"""Go types as gob sees them, and how our classes name their Go fields. Source: gob.md §1, §2.

A Go type is described by one of:

    BOOL INT UINT FLOAT STRING BYTES …   the basic types; all integer widths share one wire form,
                                         the width only sets the range that is checked
    Slice(t)  Array(t, n)  Map(k, v)     list; list (`bytes` when t is UINT8); dict
    a dataclass                          a Go struct; its fields say which Go field they are
    Pointer(t)                           t or None; flattened on the wire
    Marshaller(…)                        a type with its own binary form: PUBKEY, UUID, TIME
    INTERFACE                            a value that carries its type: None, bool, int, float,
                                         str, bytes, list of str, or a `Concrete`
    EMPTY                                Go `struct{}`; the value is None
    ANY                                  decode only: whatever the sender described, as plain values

Struct example (Go: `type Addr struct { PK cipher.PubKey; Port uint16 }`):

    @dataclass(slots=True)
    class Addr:
        pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
        port: Annotated[int, Go("Port", UINT16)] = 0

The Go name is `GO_NAME` ("Addr" or "dmsg.Addr") or else the class name. Fields without `Go` are
not on the wire. A field that is not on the wire means Go's zero value, so that must be the default
(None will do for a list or a dict). A recursive class writes its annotation as a string.
"""

import struct as binary
import uuid
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, partial
from typing import Annotated, Any, NamedTuple, Self, TypeAlias, get_args, get_origin, get_type_hints

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, LocalProtocolError

BOOL_ID, INT_ID, UINT_ID, FLOAT_ID, BYTES_ID, STRING_ID, COMPLEX_ID, INTERFACE_ID = range(1, 9)


@dataclass(frozen=True, slots=True, eq=False)  # one object is one type: hashed on each value
class Basic:
    """A type that needs no definition on the wire. `low`..`high`: the range of an integer."""

    go: str
    wire_id: int
    zero: Any
    low: int = 0
    high: int = 0


def _signed(go: str, bits: int) -> Basic:
    return Basic(go, INT_ID, 0, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def _unsigned(go: str, bits: int) -> Basic:
    return Basic(go, UINT_ID, 0, 0, (1 << bits) - 1)


BOOL = Basic("bool", BOOL_ID, False)
INT, INT64, DURATION = _signed("int", 64), _signed("int64", 64), _signed("time.Duration", 64)
INT32, INT16, INT8 = _signed("int32", 32), _signed("int16", 16), _signed("int8", 8)
UINT, UINT64, UINT32 = _unsigned("uint", 64), _unsigned("uint64", 64), _unsigned("uint32", 32)
UINT16, UINT8 = _unsigned("uint16", 16), _unsigned("uint8", 8)
FLOAT = Basic("float64", FLOAT_ID, 0.0)
BYTES = Basic("[]uint8", BYTES_ID, b"")
STRING = Basic("string", STRING_ID, "")
INTERFACE = Basic("interface {}", INTERFACE_ID, None)
EMPTY = Basic("struct {}", 0, None)
ANY = Basic("any", -1, None)


@dataclass(frozen=True, slots=True)
class Slice:
    elem: "GoType"
    name: str = ""  # of a named type, e.g. "routing.Path"

    def __post_init__(self) -> None:
        if self.elem == UINT8:
            raise LocalProtocolError("a slice of uint8 is BYTES in gob")


@dataclass(frozen=True, slots=True)
class Array:
    elem: "GoType"
    length: int
    name: str = ""  # of a named type, e.g. "cipher.SHA256"


@dataclass(frozen=True, slots=True)
class Map:
    key: "GoType"
    value: "GoType"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pointer:
    """None is nil. Never put None into a list: Go cannot encode a nil element."""

    target: "GoType"


@dataclass(frozen=True, slots=True, eq=False)
class Marshaller:
    """A type that writes itself. `load` raises ValueError or InvalidValue for bad bytes.

    A struct field equal to `zero` (or None) is left out.
    """

    go: str
    dump: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    zero: Any
    gob_encoder: bool = False  # wire kind 4 (GobEncoder) rather than 5 (BinaryMarshaler)


GoType: TypeAlias = Basic | Slice | Array | Map | Pointer | Marshaller | type
GoTypes: TypeAlias = GoType | tuple[GoType, ...]  # alternatives, for decoding


class Go(NamedTuple):
    """Annotation of a dataclass field: its name and type in Go."""

    name: str
    type: GoType


class Concrete(NamedTuple):
    """The contents of an interface whose type is none of Go's own: `name` as Go registered it.

    To encode, `type` describes `value`; decoded ones have no type and plain values.
    """

    name: str
    value: Any
    type: GoType = ANY


@dataclass(frozen=True, slots=True)
class StructField:
    index: int  # of the Python field, which is also its place in the constructor
    attribute: str
    name: str  # in Go
    type: GoType


@dataclass(frozen=True, slots=True)
class StructType:
    """What `struct_type` finds in a dataclass, in the order of its fields.

    A blank value is built from `defaults`, with `factories` for the places of mutable ones.
    """

    fields: tuple[StructField, ...]
    defaults: tuple[Any, ...]
    factories: tuple[tuple[int, Callable[[], Any]], ...]


@cache
def struct_type(cls: type) -> StructType:
    """Raises LocalProtocolError when `cls` does not describe a Go struct."""
    if not is_dataclass(cls):
        raise LocalProtocolError(f"{cls!r} is no Go type: expected a dataclass or a descriptor")
    hints = get_type_hints(cls, include_extras=True)
    found: list[StructField] = []
    defaults: list[Any] = []
    factories: list[tuple[int, Callable[[], Any]]] = []
    for index, field in enumerate(fields(cls)):
        where = f"{cls.__name__}.{field.name}"
        go = _annotation(hints[field.name])
        if not field.init or field.kw_only:
            raise LocalProtocolError(f"{where} must be an ordinary argument of the constructor")
        if go is not None:
            found.append(StructField(index, field.name, go.name, go.type))
        default = None if field.default is MISSING else field.default
        if field.default_factory is not MISSING:
            factories.append((index, field.default_factory))
        elif field.default is MISSING and go is not None:
            factories.append((index, partial(zero, go.type)))
        elif field.default is MISSING:
            raise LocalProtocolError(f"{where} is not on the wire and needs a default")
        elif go is not None and not _is_zero(go.type, default):
            raise LocalProtocolError(
                f"{where} has the default {default!r}, not the zero value of {spelling(go.type)}"
            )
        defaults.append(default)
    return StructType(tuple(found), tuple(defaults), tuple(factories))


def _is_zero(t: GoType, value: Any) -> bool:
    if isinstance(t, Pointer):
        return value is None or _is_zero(t.target, value)
    return value is None or (not isinstance(t, type) and bool(value == zero(t)))


def _annotation(hint: Any) -> Go | None:
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, Go):
                return extra
    return None


def zero(t: GoType) -> Any:
    """The zero value of `t` as a receiver sees it: empty list for a nil slice, None for nil."""
    match t:
        case Basic() | Marshaller():
            return t.zero
        case Slice():
            return []
        case Map():
            return {}
        case Pointer():
            return None
        case Array(elem=elem, length=length):
            return bytes(length) if elem == UINT8 else [zero(elem) for _ in range(length)]
    layout = struct_type(t)
    values = [*layout.defaults]
    for index, make in layout.factories:
        values[index] = make()
    return t(*values)


def spelling(t: GoType) -> str:
    """`t` as Go prints it, e.g. "map[string][]cipher.PubKey"."""
    match t:
        case Basic() | Marshaller():
            return t.go
        case Pointer(target=target):
            return "*" + spelling(target)
        case Slice() | Array() | Map() if t.name:
            return t.name
        case Slice(elem=elem):
            return "[]" + spelling(elem)
        case Array(elem=elem, length=length):
            return f"[{length}]{spelling(elem)}"
        case Map(key=key, value=value):
            return f"map[{spelling(key)}]{spelling(value)}"
    name: str = getattr(t, "GO_NAME", t.__name__)
    return name


def bare_name(t: GoType) -> str:
    """The name of a named type without its package; "" for others."""
    if isinstance(t, Slice | Array | Map):
        return t.name.rpartition(".")[2]
    return "" if isinstance(t, Pointer | Basic) else spelling(t).rpartition(".")[2]


_TIME = binary.Struct("!Bqih")
_YEAR_1 = -62_135_596_800  # Unix seconds of Go's zero time
_UTC = -1  # minutes


class GoTime(NamedTuple):
    """Go `time.Time`. `zone` is the offset in seconds, None for UTC."""

    seconds: int  # Unix
    nanoseconds: int = 0
    zone: int | None = None

    @classmethod
    def from_unix_ns(cls, nanoseconds: int) -> Self:
        return cls(*divmod(nanoseconds, 1_000_000_000))

    def unix_ns(self) -> int:
        return self.seconds * 1_000_000_000 + self.nanoseconds

    def dump(self) -> bytes:
        """Raises ValueError for a zone or a time that Go cannot write."""
        minutes, rest = (_UTC, 0) if self.zone is None else divmod(self.zone, 60)
        if self.zone is not None and (minutes == _UTC or not -0x8000 <= minutes < 0x8000):
            raise ValueError(f"a time zone of {self.zone} seconds")
        head = _TIME.pack(2 if rest else 1, self.seconds - _YEAR_1, self.nanoseconds, minutes)
        return head + bytes((rest,)) if rest else head

    @classmethod
    def load(cls, raw: bytes) -> Self:
        """Raises InvalidValue."""
        if len(raw) != _TIME.size + (raw[:1] == b"\x02") or raw[0] not in (1, 2):
            raise InvalidValue(f"a time of {len(raw)} bytes, expected version 1 or 2 of Go's form")
        _, seconds, nanoseconds, minutes = _TIME.unpack_from(raw)
        if not 0 <= nanoseconds < 1_000_000_000:
            raise InvalidValue(f"a time with {nanoseconds} nanoseconds")
        rest = int.from_bytes(raw[_TIME.size :], "big", signed=True)
        zone = None if minutes == _UTC else minutes * 60 + rest
        return cls(seconds + _YEAR_1, nanoseconds, zone)


ZERO_TIME = GoTime(_YEAR_1)


def _load_uuid(raw: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=raw)


def _dump_uuid(value: uuid.UUID) -> bytes:
    return value.bytes


NULL_UUID = uuid.UUID(int=0)
PUBKEY = Marshaller("cipher.PubKey", bytes, PubKey.validated, NULL_KEY)
UUID = Marshaller("uuid.UUID", _dump_uuid, _load_uuid, NULL_UUID)
TIME = Marshaller("time.Time", GoTime.dump, GoTime.load, ZERO_TIME, gob_encoder=True)
