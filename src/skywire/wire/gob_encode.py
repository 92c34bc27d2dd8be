"""Python values to gob bytes. Source: gob.md §1-§5.

A writer appends one value to a `bytearray`; it is compiled once for each type and knows no type
ids, so all encoders share it. What a stream has defined so far lives in its `Encoder`.
"""

import struct
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from skywire.errors import LocalProtocolError, SkywireError
from skywire.wire.gob_types import (
    ANY,
    BOOL,
    BOOL_ID,
    BYTES,
    BYTES_ID,
    EMPTY,
    FLOAT,
    FLOAT_ID,
    INT,
    INT_ID,
    INTERFACE_ID,
    STRING,
    STRING_ID,
    UINT8,
    Array,
    Basic,
    Concrete,
    GoType,
    Map,
    Marshaller,
    Pointer,
    Slice,
    StructField,
    bare_name,
    spelling,
    struct_type,
)

FIRST_ID = 64  # of a type defined on a stream; the reference's first one in a fresh process

Writer: TypeAlias = Callable[[bytearray, Any, "Encoder"], None]

_DOUBLE = struct.Struct("<d")  # read as a big-endian number: the bytes are reversed
_WRONG_VALUE = (
    ArithmeticError,
    AttributeError,
    TypeError,
    ValueError,
    struct.error,
    RecursionError,
)
_SMALL = tuple(bytes((n,)) if n < 128 else bytes((0xFF, n)) for n in range(256))
_ONE_BYTE = _SMALL.__getitem__


def put_uint(out: bytearray, value: int) -> None:
    """Append `value` (0 ≤ value < 2⁶⁴) as gob uint."""
    if value < 128:
        out.append(value)
    else:
        size = (value.bit_length() + 7) >> 3
        out.append(256 - size)
        out += value.to_bytes(size, "big")


def put_int(out: bytearray, value: int) -> None:
    put_uint(out, value << 1 if value >= 0 else (~value << 1) | 1)


def put_block(out: bytearray, data: bytes | bytearray) -> None:
    """Append the length of `data` and `data`."""
    put_uint(out, len(data))
    out += data


class Encoder:
    """One direction of a stream: remembers which types it has defined."""

    def __init__(self) -> None:
        self._ids: dict[GoType, int] = {}
        self._names: dict[GoType, str] = {}
        self._defined: dict[GoType, None] = {}
        self._definitions = bytearray()  # messages that go ahead of the value being written
        self._ready: dict[GoType, tuple[bytes, Writer]] = {}

    def copy(self) -> "Encoder":
        """An encoder that has said the same so far."""
        twin = Encoder()
        twin._ids = self._ids.copy()
        twin._names = self._names.copy()
        twin._defined = self._defined.copy()
        twin._ready = self._ready.copy()
        return twin

    def define(self, t: GoType) -> bytes:
        """The definitions that values of `t` need and the stream lacks; to be sent now."""
        self._prepare(t)
        definitions = bytes(self._definitions)
        self._definitions.clear()
        return definitions

    def encode(self, t: GoType, value: Any) -> bytes:
        """The message of `value`, after the definitions the stream still lacks.

        Raises LocalProtocolError when `value` is no `t`; the encoder can be used on.
        """
        return self.encode_all((t, value))

    def encode_all(self, *values: tuple[GoType, Any]) -> bytes:
        """Several values in one piece: all of them, or an error and nothing has happened."""
        out = bytearray()
        known = len(self._ids), len(self._defined)
        try:
            for t, value in values:
                self._encode(out, t, value)
        except _WRONG_VALUE as error:
            self._forget(*known)
            raise LocalProtocolError(f"cannot encode as {spelling(t)}: {error}") from error
        except SkywireError:
            self._forget(*known)
            raise
        return bytes(out)

    def _encode(self, out: bytearray, t: GoType, value: Any) -> None:
        ready = self._ready.get(t)
        if ready is None:
            ready = self._prepare(t)
        head, writer = ready
        body = bytearray(head)
        writer(body, value, self)
        if self._definitions:
            out += self._definitions
            self._definitions.clear()
        put_uint(out, len(body))
        out += body

    def _prepare(self, t: GoType) -> tuple[bytes, Writer]:
        """What comes before each value of `t` in its message, and its writer."""
        writer = writer_for(t)
        target = _pointed_at(t)
        head = bytearray()
        put_int(head, self.type_id(t))
        if target != EMPTY and not isinstance(target, type):
            head.append(0)
        ready = self._ready[t] = bytes(head), writer
        return ready

    def _forget(self, ids: int, defined: int) -> None:
        for table, length in ((self._ids, ids), (self._defined, defined)):
            for t in list(table)[length:]:
                del table[t]
        self._definitions.clear()
        self._ready = {t: r for t, r in self._ready.items() if self._known(t)}

    def _known(self, t: GoType) -> bool:
        target = _pointed_at(t)
        return (isinstance(target, Basic) and target != EMPTY) or target in self._defined

    def type_id(self, t: GoType) -> int:
        """The id of `t`; a new type is defined ahead of the value being written."""
        t = _pointed_at(t)
        found = self._allocate(t, bare_name(t))
        self._define(t)
        return found

    def _allocate(self, t: GoType, name: str) -> int:
        """A struct takes its id before its fields, other types after their elements."""
        t = _pointed_at(t)
        if isinstance(t, Basic) and t != EMPTY:
            return t.wire_id
        if t in self._ids:
            return self._ids[t]
        match t:
            case Array(elem=elem) | Slice(elem=elem):
                self._allocate(elem, bare_name(elem))
            case Map(key=key, value=value):
                self._allocate(key, "")
                self._allocate(value, "")
        if t not in self._ids:  # a recursive type has got its id on the way
            self._ids[t] = FIRST_ID + len(self._ids)
            self._names[t] = name
            for field in _fields(t):
                target = _pointed_at(field.type)
                self._allocate(target, bare_name(target) or spelling(target))
        return self._ids[t]

    def _define(self, t: GoType) -> None:
        """Depth first: the type, then its fields, element, or key and element."""
        t = _pointed_at(t)
        if t not in self._ids or t in self._defined:
            return
        self._defined[t] = None
        body = bytearray()
        put_int(body, -self._ids[t])
        self._put_definition(body, t)
        put_block(self._definitions, body)
        match t:
            case Array(elem=elem) | Slice(elem=elem):
                self._define(elem)
            case Map(key=key, value=value):
                self._define(key)
                self._define(value)
        for field in _fields(t):
            self._define(field.type)

    def _put_definition(self, out: bytearray, t: GoType) -> None:
        match t:
            case Array(elem=elem, length=length):
                self._put_common(out, 1, t)
                self._put_id(out, elem)
                if length:
                    out.append(1)
                    put_int(out, length)
            case Slice(elem=elem):
                self._put_common(out, 2, t)
                self._put_id(out, elem)
            case Map(key=key, value=value):
                self._put_common(out, 4, t)
                self._put_id(out, key)
                self._put_id(out, value)
            case Marshaller(gob_encoder=gob_encoder):
                self._put_common(out, 5 if gob_encoder else 6, t)
            case _:
                self._put_common(out, 3, t)
                fields = _fields(t)
                if fields:
                    out.append(1)
                    put_uint(out, len(fields))
                for field in fields:
                    out.append(1)
                    put_block(out, field.name.encode())
                    self._put_id(out, field.type)
                    out.append(0)
        out += b"\0\0"

    def _put_common(self, out: bytearray, kind: int, t: GoType) -> None:
        out += bytes((kind, 1))
        if name := self._names[t]:
            out.append(1)
            put_block(out, name.encode())
        out.append(1 if name else 2)
        put_int(out, self._ids[t])
        out.append(0)

    def _put_id(self, out: bytearray, t: GoType) -> None:
        out.append(1)
        put_int(out, self._allocate(t, ""))


def _pointed_at(t: GoType) -> GoType:
    while isinstance(t, Pointer):
        t = t.target
    return t


def _fields(t: GoType) -> tuple[StructField, ...]:
    return struct_type(t).fields if isinstance(t, type) else ()


# --- writers ---------------------------------------------------------------------------------


@cache
def writer_for(t: GoType) -> Writer:
    """The writer of `t`. Raises LocalProtocolError when `t` cannot be encoded."""
    match t:
        case Basic():
            if t == ANY:
                raise LocalProtocolError("ANY is for decoding only")
            return _integer_writer(t) if t.high else _BASIC_WRITERS[t.wire_id]
        case Marshaller(dump=dump):
            return _marshaller_writer(dump)
        case Pointer(target=target):
            return writer_for(target)
        case Array(elem=elem, length=length):
            return _byte_array_writer(length) if elem == UINT8 else _array_writer(elem, length)
        case Slice(elem=elem):
            return _slice_writer(elem)
        case Map(key=key, value=value):
            return _map_writer(key, value)
    return _struct_writer(t)


def _write_bool(out: bytearray, value: Any, _: Encoder) -> None:
    out.append(1 if value else 0)


def _write_float(out: bytearray, value: float, _: Encoder) -> None:
    put_uint(out, int.from_bytes(_DOUBLE.pack(value), "big"))


def _write_bytes(out: bytearray, value: bytes | None, _: Encoder) -> None:
    put_block(out, value or b"")


def _write_string(out: bytearray, value: str, _: Encoder) -> None:
    put_block(out, value.encode("utf-8", "surrogateescape"))  # our own arguments may hold any byte


def _write_empty(out: bytearray, _value: Any, _: Encoder) -> None:
    out.append(0)


def _write_interface(out: bytearray, value: Any, encoder: Encoder) -> None:
    if value is None:
        out.append(0)
        return
    name, content, t = value if isinstance(value, Concrete) else _concrete(value)
    put_block(out, name.encode())
    put_int(out, encoder.type_id(t))
    body = bytearray() if isinstance(_pointed_at(t), type) else bytearray(1)
    writer_for(t)(body, content, encoder)
    put_block(out, body)


def _concrete(value: Any) -> Concrete:
    match value:
        case bool():
            return Concrete("bool", value, BOOL)
        case int():
            return Concrete("int", value, INT)
        case float():
            return Concrete("float64", value, FLOAT)
        case str():
            return Concrete("string", value, STRING)
        case bytes() | bytearray():
            return Concrete("[]uint8", value, BYTES)
        case list() if all(isinstance(item, str) for item in value):
            return Concrete("[]string", value, Slice(STRING))
    raise LocalProtocolError(f"an interface cannot hold a {type(value).__name__}; use Concrete")


_BASIC_WRITERS: dict[int, Writer] = {
    BOOL_ID: _write_bool,
    FLOAT_ID: _write_float,
    BYTES_ID: _write_bytes,
    STRING_ID: _write_string,
    INTERFACE_ID: _write_interface,
    EMPTY.wire_id: _write_empty,
}


def _integer_writer(t: Basic) -> Writer:
    low, high, signed = t.low, t.high, t.wire_id == INT_ID

    def write(out: bytearray, value: int, _: Encoder) -> None:
        if not low <= value <= high:
            raise ValueError(f"{value} is not in the range of {t.go}")
        put_uint(out, value if not signed else value << 1 if value >= 0 else (~value << 1) | 1)

    return write


def _marshaller_writer(dump: Callable[[Any], bytes]) -> Writer:
    def write(out: bytearray, value: Any, _: Encoder) -> None:
        put_block(out, dump(value))

    return write


def _byte_array_writer(length: int) -> Writer:
    head = bytearray()
    put_uint(head, length)

    def write(out: bytearray, value: bytes, _: Encoder) -> None:
        if len(value) != length:
            raise ValueError(f"{len(value)} bytes, expected {length}")
        out += head
        out += b"".join(map(_ONE_BYTE, value))

    return write


def _array_writer(elem: GoType, length: int) -> Writer:
    write_all = _slice_writer(elem)

    def write(out: bytearray, value: list[Any], encoder: Encoder) -> None:
        if len(value) != length:
            raise ValueError(f"{len(value)} elements, expected {length}")
        write_all(out, value, encoder)

    return write


def _slice_writer(elem: GoType) -> Writer:
    writer: Writer | None = None

    def write(out: bytearray, value: list[Any] | None, encoder: Encoder) -> None:
        nonlocal writer
        if writer is None:  # not before, as `elem` may be recursive
            writer = writer_for(elem)
        put_uint(out, len(value or ()))
        for item in value or ():
            if item is None and isinstance(elem, Pointer):
                raise ValueError("a list holds None: Go cannot encode nil elements")
            writer(out, item, encoder)

    return write


def _map_writer(key: GoType, value: GoType) -> Writer:
    def write(out: bytearray, items: dict[Any, Any] | None, encoder: Encoder) -> None:
        write_key, write_value = writer_for(key), writer_for(value)
        put_uint(out, len(items or ()))
        for k, v in (items or {}).items():
            write_key(out, k, encoder)
            write_value(out, v, encoder)

    return write


_ALWAYS = object()  # a field that is never left out
_FALSY = object()  # left out when false


def _omitted_when(t: GoType) -> Any:
    """`_ALWAYS`, `_FALSY`, or the value (besides None) for which a field of `t` is left out."""
    match t:
        case Marshaller():
            return t.zero
        case Map():
            return None
        case Pointer(target=target):
            inner = _omitted_when(target)
            return None if inner is _ALWAYS else inner
        case Array():
            return _ALWAYS
        case Basic() if t == EMPTY:
            return _ALWAYS
        case Basic() if t.wire_id == INTERFACE_ID:
            return None
        case Basic() | Slice():
            return _FALSY
    return _ALWAYS


def _struct_writer(t: type) -> Writer:
    fields = struct_type(t).fields
    plan: list[tuple[int, Any, Writer]] | None = None
    if not fields:
        return _write_empty
    get = attrgetter(*(field.attribute for field in fields))
    single = len(fields) == 1

    def write(out: bytearray, value: Any, encoder: Encoder) -> None:
        nonlocal plan
        if plan is None:  # not before, as a field may be recursive
            plan = [
                (number, _omitted_when(field.type), writer_for(field.type))
                for number, field in enumerate(fields)
            ]
        last = -1
        for (number, omitted, writer), item in zip(
            plan, (get(value),) if single else get(value), strict=True
        ):
            if omitted is _FALSY:
                if not item:
                    continue
            elif omitted is not _ALWAYS and (item is None or item == omitted):
                continue
            put_uint(out, number - last)
            last = number
            writer(out, item, encoder)
        out.append(0)

    return write
