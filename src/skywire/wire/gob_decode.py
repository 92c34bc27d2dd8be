"""gob bytes to Python values. Source: gob.md §1-§6.

A reader `(data, pos, depth) -> (value, pos)` decodes one value from a message. It is compiled for
one pair of sender's description and local type: fields are matched by name then, so decoding a
struct is a table look-up for each field. The end of a message shows as IndexError.
"""

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from skywire.errors import RemoteProtocolError, SkywireError
from skywire.wire.gob_types import (
    ANY,
    BOOL_ID,
    BYTES_ID,
    COMPLEX_ID,
    EMPTY,
    FLOAT_ID,
    INT_ID,
    INTERFACE_ID,
    STRING_ID,
    UINT8,
    UINT_ID,
    Array,
    Basic,
    Concrete,
    GoType,
    GoTypes,
    Map,
    Marshaller,
    Pointer,
    Slice,
    spelling,
    struct_type,
)
from skywire.wire.gob_wire import (
    BASIC_NAMES,
    FIRST_USER_ID,
    MAX_NAME,
    WireArray,
    WireMap,
    WireMarshaller,
    WireSlice,
    WireStruct,
    WireType,
    WireTypes,
    describe,
    read_block,
    read_definition,
    read_int,
    read_uint,
)

MAX_DEPTH = 64  # values within values, and types within types
MAX_DEFINITIONS = 1024  # type definitions on one stream
MAX_SPLITS = 16  # messages one value may be spread over

Reader: TypeAlias = Callable[[bytes, int, int], tuple[Any, int]]

_DOUBLE = struct.Struct("<d")


class Mismatch(RemoteProtocolError):
    """The sender's type does not fit ours."""


class Split(Exception):
    """The value goes on in the next message. `position` is where the definition starts."""

    def __init__(self, position: int) -> None:
        self.position = position


def mismatch(types: WireTypes, wire_id: int, t: GoType) -> Mismatch:
    """The texts are Go's; callers of net/rpc see them."""
    if isinstance(t, type):
        return Mismatch(
            f"gob: type mismatch in decoder: want struct type {spelling(t)}; got non-struct"
        )
    remote = describe(types, wire_id)
    return Mismatch(f"gob: decoding into local type *{spelling(t)}, received remote type {remote}")


def _too_deep() -> RemoteProtocolError:
    return RemoteProtocolError(f"gob: values or types nested deeper than {MAX_DEPTH}")


class Compiler:
    """Readers for the types of one stream. `types` grows while the stream is read."""

    def __init__(self) -> None:
        self.types: WireTypes = {}
        self._plans: dict[tuple[int, GoTypes], Reader] = {}
        self._readers: dict[tuple[int, GoType], Reader | None] = {}

    def define(self, wire_id: int, wire_type: WireType) -> None:
        if wire_id < FIRST_USER_ID:
            raise RemoteProtocolError(f"gob: definition of the reserved type id {wire_id}")
        if wire_id in self.types:
            raise RemoteProtocolError(f"gob: duplicate definition of type id {wire_id}")
        if len(self.types) >= MAX_DEFINITIONS:
            raise RemoteProtocolError(f"gob: more than {MAX_DEFINITIONS} type definitions")
        self.types[wire_id] = wire_type

    def define_from(self, message: bytes) -> None:
        """`message` is a definition and nothing else."""
        wire_id, pos = read_int(message, 0)
        wire_type, pos = read_definition(message, pos)
        if pos != len(message):
            raise RemoteProtocolError(f"gob: {len(message) - pos} bytes behind a type definition")
        self.define(-wire_id, wire_type)

    def plan(self, wire_id: int, t: GoTypes) -> Reader:
        """Reads what follows the id in a message or an interface. Raises Mismatch.

        Of several types, the first that fits.
        """
        plan = self._plans.get((wire_id, t))
        if plan is None:
            plan = self._first_fit(wire_id, t) if isinstance(t, tuple) else self.reader(wire_id, t)
            if not isinstance(self.types.get(wire_id), WireStruct):
                plan = _behind_zero(plan)
            self._plans[wire_id, t] = plan
        return plan

    def known_plan(self, wire_id: int, t: GoTypes) -> Reader | None:
        """As `plan`, if that was asked for before."""
        return self._plans.get((wire_id, t))

    def _first_fit(self, wire_id: int, alternatives: tuple[GoType, ...]) -> Reader:
        reason = Mismatch("gob: no type to decode into")
        for t in alternatives:
            try:
                return self.reader(wire_id, t)
            except Mismatch as error:
                reason = error
        raise reason

    def reader(self, wire_id: int, t: GoType, depth: int = 0) -> Reader:
        """Raises Mismatch when a value of `wire_id` cannot become a `t`."""
        if depth > MAX_DEPTH:
            raise _too_deep()
        while isinstance(t, Pointer):
            t = t.target
        key = wire_id, t
        if key in self._readers:
            found = self._readers[key]
            return found if found is not None else self._later(key)
        self._readers[key] = None  # being compiled: a recursive type comes back here
        try:
            reader = self._compile(wire_id, t, depth)
        except BaseException:
            del self._readers[key]
            raise
        self._readers[key] = reader
        return reader

    def _later(self, key: tuple[int, GoType]) -> Reader:
        def read(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
            return self.reader(*key)(data, pos, depth)

        return read

    def _compile(self, wire_id: int, t: GoType, depth: int) -> Reader:
        if wire_id in BASIC_NAMES:
            if t == ANY:
                return self._interface if wire_id == INTERFACE_ID else _BASIC_READERS[wire_id]
            if not isinstance(t, Basic) or t.wire_id != wire_id:
                return self._no(wire_id, t)
            if t.high:
                return _integer_reader(t)
            return self._interface if wire_id == INTERFACE_ID else _BASIC_READERS[wire_id]
        wire = self.types.get(wire_id)
        match wire:
            case None:
                raise RemoteProtocolError(f"gob: type id {wire_id} was not defined")
            case WireStruct():
                return self._struct(wire, wire_id, t, depth)
            case WireMarshaller():
                if t == ANY:
                    return _read_bytes
                if not isinstance(t, Marshaller) or t.gob_encoder != (wire.kind == 4):
                    return self._no(wire_id, t)
                return _marshaller_reader(t)
            case WireArray(elem=elem, length=length):
                return self._array(elem, length, wire_id, t, depth)
            case WireSlice(elem=elem):
                if not isinstance(t, Slice) and t != ANY:
                    return self._no(wire_id, t)
                inner = t.elem if isinstance(t, Slice) else ANY
                return _list_reader(self.reader(elem, inner, depth + 1), None)
            case WireMap(key=key, elem=elem):
                if not isinstance(t, Map) and t != ANY:
                    return self._no(wire_id, t)
                keys, values = (t.key, t.value) if isinstance(t, Map) else (ANY, ANY)
                return _map_reader(
                    self.reader(key, keys, depth + 1),
                    self.reader(elem, values, depth + 1),
                    plain=t == ANY,
                )

    def _interface(self, data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        """A reader. Contents become plain values, or `Concrete` when the type is none of Go's."""
        if depth >= MAX_DEPTH:
            raise _too_deep()
        raw, pos = read_block(data, pos)
        if not raw:
            return None, pos
        if len(raw) > MAX_NAME:
            raise RemoteProtocolError(f"gob: a type name of {len(raw)} bytes, at most {MAX_NAME}")
        start = pos
        wire_id, pos = read_int(data, pos)
        while wire_id < 0:  # definitions stand between the name and the id
            wire_type, pos = read_definition(data, pos)
            if pos == len(data):
                raise Split(start)
            if self.types.get(-wire_id) != wire_type:  # known when a split began the value anew
                self.define(-wire_id, wire_type)
            _, pos = read_uint(data, pos)  # the length of what goes on here, of no use
            start = pos
            wire_id, pos = read_int(data, pos)
        size, pos = read_uint(data, pos)
        end = pos + size
        if end > len(data):
            raise RemoteProtocolError(f"gob: {size} bytes announced, {len(data) - pos} are left")
        value, pos = self.plan(wire_id, ANY)(data, pos, depth + 1)
        if pos != end:
            raise RemoteProtocolError("gob: an interface value that does not fill its length")
        name = raw.decode("utf-8", "replace")
        return (value if name in _PLAIN_NAMES else Concrete(name, value)), pos

    def _no(self, wire_id: int, t: GoType) -> Reader:
        raise mismatch(self.types, wire_id, t)

    def _array(self, elem: int, length: int, wire_id: int, t: GoType, depth: int) -> Reader:
        if t == ANY:
            return _list_reader(self.reader(elem, ANY, depth + 1), length)
        if not isinstance(t, Array) or t.length != length:
            return self._no(wire_id, t)
        if t.elem == UINT8 and elem == UINT_ID:
            return _byte_array_reader(length)
        return _list_reader(self.reader(elem, t.elem, depth + 1), length)

    def _struct(self, wire: WireStruct, wire_id: int, t: GoType, depth: int) -> Reader:
        if t == ANY:
            return _dict_reader(
                [(name, self.reader(field, ANY, depth + 1)) for name, field in wire.fields]
            )
        if t == EMPTY:
            skip = self.reader(wire_id, ANY, depth + 1)
            return lambda data, pos, level: (None, skip(data, pos, level)[1])
        if not isinstance(t, type):
            return self._no(wire_id, t)
        ours = {field.name: field for field in struct_type(t).fields}
        table: list[tuple[int, Reader]] = []
        for name, field_id in wire.fields:
            field = ours.get(name)
            if field is None:
                table.append((-1, self.reader(field_id, ANY, depth + 1)))
            else:
                table.append((field.index, self.reader(field_id, field.type, depth + 1)))
        if ours and wire.fields and all(index < 0 for index, _ in table):
            raise Mismatch(
                "gob: type mismatch: no fields matched compiling decoder for " + spelling(t)
            )
        return _struct_reader(t, table)


def _behind_zero(reader: Reader) -> Reader:
    def read(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        if data[pos] != 0:
            raise RemoteProtocolError(f"gob: a value that starts with {data[pos]}, expected 0")
        return reader(data, pos + 1, depth)

    return read


# --- readers -----------------------------------------------------------------------------------


def _read_bool(data: bytes, pos: int, _: int) -> tuple[bool, int]:
    value = data[pos]
    if value > 1:
        raise RemoteProtocolError(f"gob: a bool of value {value}")
    return value == 1, pos + 1


def _read_int(data: bytes, pos: int, _: int) -> tuple[int, int]:
    return read_int(data, pos)


def _read_uint(data: bytes, pos: int, _: int) -> tuple[int, int]:
    return read_uint(data, pos)


def _read_float(data: bytes, pos: int, _: int) -> tuple[float, int]:
    bits, pos = read_uint(data, pos)
    value: float = _DOUBLE.unpack(bits.to_bytes(8, "big"))[0]
    return value, pos


def _read_complex(data: bytes, pos: int, depth: int) -> tuple[complex, int]:
    real, pos = _read_float(data, pos, depth)
    imaginary, pos = _read_float(data, pos, depth)
    return complex(real, imaginary), pos


def _read_bytes(data: bytes, pos: int, _: int) -> tuple[bytes, int]:
    return read_block(data, pos)


def _read_string(data: bytes, pos: int, _: int) -> tuple[str, int]:
    raw, pos = read_block(data, pos)
    return raw.decode("utf-8", "replace"), pos  # Go does not check; nor may bad bytes travel on


_BASIC_READERS: dict[int, Reader] = {
    BOOL_ID: _read_bool,
    INT_ID: _read_int,
    UINT_ID: _read_uint,
    FLOAT_ID: _read_float,
    BYTES_ID: _read_bytes,
    STRING_ID: _read_string,
    COMPLEX_ID: _read_complex,
}


def _integer_reader(t: Basic) -> Reader:
    low, high, signed, name = t.low, t.high, t.wire_id == INT_ID, t.go

    def read(data: bytes, pos: int, _: int) -> tuple[int, int]:
        value = data[pos]
        if value < 128:
            pos += 1
        else:
            value, pos = read_uint(data, pos)
        if signed:
            value = ~(value >> 1) if value & 1 else value >> 1
        if not low <= value <= high:
            raise RemoteProtocolError(f"gob: {value} is not in the range of {name}")
        return value, pos

    return read


def _marshaller_reader(t: Marshaller) -> Reader:
    load, name = t.load, t.go

    def read(data: bytes, pos: int, _: int) -> tuple[Any, int]:
        raw, pos = read_block(data, pos)
        try:
            return load(raw), pos
        except (SkywireError, ValueError) as error:
            raise RemoteProtocolError(f"gob: bad {name}: {error}") from error

    return read


def _byte_array_reader(length: int) -> Reader:
    def read(data: bytes, pos: int, _: int) -> tuple[bytes, int]:
        count, pos = read_uint(data, pos)
        if count != length:
            raise RemoteProtocolError(f"gob: an array of {count} bytes, expected {length}")
        out = bytearray()
        for _ in range(length):
            value = data[pos]
            if value < 128:
                pos += 1
            elif value == 0xFF:
                value = data[pos + 1]
                pos += 2
            else:
                raise RemoteProtocolError("gob: an array of bytes holds a value over 255")
            out.append(value)
        return bytes(out), pos

    return read


def _list_reader(reader: Reader, length: int | None) -> Reader:
    """Each element takes at least one byte: a false count ends at the end of the message."""

    def read(data: bytes, pos: int, depth: int) -> tuple[list[Any], int]:
        if depth >= MAX_DEPTH:
            raise _too_deep()
        count, pos = read_uint(data, pos)
        if length is not None and count != length:
            raise RemoteProtocolError(f"gob: an array of {count} elements, expected {length}")
        depth += 1
        items = []
        for _ in range(count):
            item, pos = reader(data, pos, depth)
            items.append(item)
        return items, pos

    return read


def _map_reader(read_key: Reader, read_value: Reader, *, plain: bool) -> Reader:
    """With `plain`, a map with containers as keys becomes a list of pairs."""

    def read(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        if depth >= MAX_DEPTH:
            raise _too_deep()
        count, pos = read_uint(data, pos)
        depth += 1
        items: list[tuple[Any, Any]] = []
        for _ in range(count):
            key, pos = read_key(data, pos, depth)
            value, pos = read_value(data, pos, depth)
            items.append((key, value))
        try:
            return dict(items), pos
        except TypeError as error:
            if plain:
                return items, pos
            raise RemoteProtocolError("gob: a map whose keys are containers") from error

    return read


def _dict_reader(table: list[tuple[str, Reader]]) -> Reader:
    def read(data: bytes, pos: int, depth: int) -> tuple[dict[str, Any], int]:
        if depth >= MAX_DEPTH:
            raise _too_deep()
        depth += 1
        values: dict[str, Any] = {}
        number = -1
        while True:
            delta, pos = read_uint(data, pos)
            if delta == 0:
                return values, pos
            number += delta
            if number >= len(table):
                raise RemoteProtocolError(f"gob: field {number} of a struct of {len(table)}")
            name, reader = table[number]
            values[name], pos = reader(data, pos, depth)

    return read


def _struct_reader(cls: type, table: list[tuple[int, Reader]]) -> Reader:
    layout = struct_type(cls)
    defaults, factories, size = layout.defaults, layout.factories, len(table)

    def read(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        if depth >= MAX_DEPTH:
            raise _too_deep()
        depth += 1
        values = [*defaults]
        for index, make in factories:
            values[index] = make()
        number = -1
        while True:
            delta = data[pos]
            if delta == 0:
                return cls(*values), pos + 1
            if delta < 128:
                pos += 1
            else:
                delta, pos = read_uint(data, pos)
            number += delta
            if number >= size:
                raise RemoteProtocolError(f"gob: field {number} of a struct of {size} fields")
            index, reader = table[number]
            if index >= 0:
                values[index], pos = reader(data, pos, depth)
            else:
                _, pos = reader(data, pos, depth)

    return read


_NUMBERS = "int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 float32 float64"
_PLAIN_NAMES = {"bool", "string", "[]uint8", "[]string", *_NUMBERS.split()}
