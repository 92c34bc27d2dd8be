"""What a sender says about its types: gob type definitions. Source: gob.md §4.

Also the primitives that every reader starts with. All of them take the message and a position,
and return the value and the position behind it. They raise IndexError at the end of the message,
which gob.py turns into RemoteProtocolError.
"""

from dataclasses import dataclass
from typing import TypeAlias

from skywire.errors import RemoteProtocolError
from skywire.wire.gob_types import (
    BOOL_ID,
    BYTES_ID,
    COMPLEX_ID,
    FLOAT_ID,
    INT_ID,
    INTERFACE_ID,
    STRING_ID,
    UINT_ID,
)

MAX_FIELDS = 1024  # of one struct definition
MAX_NAME = 1024  # bytes of a type's or field's name

FIRST_USER_ID = 64
BASIC_NAMES = {
    BOOL_ID: "bool",
    INT_ID: "int",
    UINT_ID: "uint",
    FLOAT_ID: "float",
    BYTES_ID: "bytes",
    STRING_ID: "string",
    COMPLEX_ID: "complex",
    INTERFACE_ID: "interface",
}


def read_uint(data: bytes | bytearray, pos: int) -> tuple[int, int]:
    first = data[pos]
    if first < 128:
        return first, pos + 1
    start = pos + 1
    end = start + 256 - first
    if first < 248:
        raise RemoteProtocolError(f"gob: an unsigned integer of {256 - first} bytes, at most 8 fit")
    if end > len(data):
        raise IndexError("the message ends inside an integer")
    return int.from_bytes(data[start:end], "big"), end


def read_int(data: bytes, pos: int) -> tuple[int, int]:
    value, pos = read_uint(data, pos)
    return ~(value >> 1) if value & 1 else value >> 1, pos


def read_block(data: bytes, pos: int) -> tuple[bytes, int]:
    """A length and that many bytes."""
    size, pos = read_uint(data, pos)
    end = pos + size
    if end > len(data):
        raise RemoteProtocolError(
            f"gob: {size} bytes announced, {len(data) - pos} are left in the message"
        )
    return data[pos:end], end


@dataclass(frozen=True, slots=True)
class WireArray:
    name: str
    elem: int
    length: int

    def references(self) -> tuple[int, ...]:
        return (self.elem,)


@dataclass(frozen=True, slots=True)
class WireSlice:
    name: str
    elem: int

    def references(self) -> tuple[int, ...]:
        return (self.elem,)


@dataclass(frozen=True, slots=True)
class WireStruct:
    name: str
    fields: tuple[tuple[str, int], ...]

    def references(self) -> tuple[int, ...]:
        return tuple(wire_id for _, wire_id in self.fields)


@dataclass(frozen=True, slots=True)
class WireMap:
    name: str
    key: int
    elem: int

    def references(self) -> tuple[int, ...]:
        return (self.key, self.elem)


@dataclass(frozen=True, slots=True)
class WireMarshaller:
    """`kind` is the field number in the description: gob 4, binary 5, text 6."""

    name: str
    kind: int

    def references(self) -> tuple[int, ...]:
        return ()


WireType: TypeAlias = WireArray | WireSlice | WireStruct | WireMap | WireMarshaller
WireTypes: TypeAlias = dict[int, WireType]

# Field lists of the descriptions: what stands behind the common part.
_INT, _FIELDS = "int", "fields"
_CONTENTS: dict[int, tuple[str, ...]] = {
    0: (_INT, _INT),
    1: (_INT,),
    2: (_FIELDS,),
    3: (_INT, _INT),
    4: (),
    5: (),
    6: (),
}


def read_definition(data: bytes, pos: int) -> tuple[WireType, int]:
    """Read a `wireType` value. Raises RemoteProtocolError or IndexError."""
    delta, pos = read_uint(data, pos)
    kind = delta - 1
    if kind not in _CONTENTS:
        raise RemoteProtocolError(f"gob: type definition of unknown kind {kind}")
    name, numbers = "", [0, 0]
    fields: tuple[tuple[str, int], ...] = ()
    field = -1
    while True:
        delta, pos = read_uint(data, pos)
        if delta == 0:
            break
        field += delta
        if field == 0:
            name, pos = _read_common(data, pos)
        elif field > len(_CONTENTS[kind]):
            raise RemoteProtocolError(f"gob: type definition with unknown field {field}")
        elif _CONTENTS[kind][field - 1] is _INT:
            numbers[field - 1], pos = read_int(data, pos)
        else:
            fields, pos = _read_fields(data, pos)
    end, pos = read_uint(data, pos)
    if end != 0:
        raise RemoteProtocolError("gob: a type definition of more than one kind")
    match kind:
        case 0:
            return _array(name, *numbers), pos
        case 1:
            return WireSlice(name, numbers[0]), pos
        case 2:
            return WireStruct(name, fields), pos
        case 3:
            return WireMap(name, *numbers), pos
    return WireMarshaller(name, kind), pos


def _array(name: str, elem: int, length: int) -> WireArray:
    if length < 0:
        raise RemoteProtocolError(f"gob: array of length {length}")
    return WireArray(name, elem, length)


def _read_common(data: bytes, pos: int) -> tuple[str, int]:
    """Name and id. The id is not used: it may differ from that of the message."""
    name, field = "", -1
    while True:
        delta, pos = read_uint(data, pos)
        if delta == 0:
            return name, pos
        field += delta
        if field == 0:
            name, pos = _read_name(data, pos)
        elif field == 1:
            _, pos = read_int(data, pos)
        else:
            raise RemoteProtocolError(f"gob: type definition with unknown common field {field}")


def _read_name(data: bytes, pos: int) -> tuple[str, int]:
    raw, pos = read_block(data, pos)
    if len(raw) > MAX_NAME:
        raise RemoteProtocolError(f"gob: a name of {len(raw)} bytes, at most {MAX_NAME}")
    return raw.decode("utf-8", "replace"), pos


def _read_fields(data: bytes, pos: int) -> tuple[tuple[tuple[str, int], ...], int]:
    count, pos = read_uint(data, pos)
    if count > min(MAX_FIELDS, len(data) - pos):
        raise RemoteProtocolError(f"gob: a struct of {count} fields, at most {MAX_FIELDS}")
    fields = []
    for _ in range(count):
        name, wire_id, number = "", 0, -1
        while True:
            delta, pos = read_uint(data, pos)
            if delta == 0:
                break
            number += delta
            if number == 0:
                name, pos = _read_name(data, pos)
            elif number == 1:
                wire_id, pos = read_int(data, pos)
            else:
                raise RemoteProtocolError(f"gob: field description with unknown part {number}")
        fields.append((name, wire_id))
    return tuple(fields), pos


def describe(types: WireTypes, wire_id: int, depth: int = 0) -> str:
    """A wire type for an error text, e.g. "[]string" or "Point = struct { X int; }"."""
    if wire_id in BASIC_NAMES:
        return BASIC_NAMES[wire_id]
    if depth > 3:
        return "…"
    match types.get(wire_id):
        case WireArray(elem=elem, length=length):
            return f"[{length}]{describe(types, elem, depth + 1)}"
        case WireSlice(elem=elem):
            return "[]" + describe(types, elem, depth + 1)
        case WireMap(key=key, elem=elem):
            return f"map[{describe(types, key, depth + 1)}]{describe(types, elem, depth + 1)}"
        case WireStruct(name=name, fields=fields):
            inner = "".join(f"{n} {describe(types, i, depth + 1)}; " for n, i in fields[:16])
            return f"{name} = struct {{ {inner}}}"
        case WireMarshaller(name=name):
            return f"{name} with its own encoding"
    return f"undefined type {wire_id}"
