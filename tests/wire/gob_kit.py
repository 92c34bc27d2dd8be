"""Go types, and gob messages built by hand, for the gob tests."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.wire import gob
from skywire.wire.gob_encode import put_block, put_int, put_uint
from skywire.wire.gob_types import (
    INT,
    INTERFACE,
    PUBKEY,
    STRING,
    Go,
    Map,
    Slice,
)

KEY = deterministic_key_pair(b"gob")[0]


@dataclass
class Point:
    x: Annotated[int, Go("X", INT)] = 0
    y: Annotated[int, Go("Y", INT)] = 0


@dataclass
class Newer:  # what a later release may make of Point
    label: Annotated[str, Go("Label", STRING)] = ""
    y: Annotated[int, Go("Y", INT)] = 0
    tags: Annotated[dict[str, Any] | None, Go("Tags", Map(STRING, INTERFACE))] = None
    x: Annotated[int, Go("X", INT)] = 0
    peers: Annotated[list[PubKey], Go("Peers", Slice(PUBKEY))] = field(default_factory=list)
    inner: Annotated[Point, Go("Inner", Point)] = field(default_factory=Point)


@dataclass
class Other:
    z: Annotated[int, Go("Z", INT)] = 0


@dataclass
class Box:
    v: Annotated[Any, Go("V", INTERFACE)] = None
    w: Annotated[Any, Go("W", INTERFACE)] = None


@dataclass
class Tree:
    v: Annotated[int, Go("V", INT)] = 0
    kids: "Annotated[list[Tree], Go('Kids', Slice(Tree))]" = field(default_factory=list)


def message(*parts: bytes) -> bytes:
    out = bytearray()
    put_block(out, b"".join(parts))
    return bytes(out)


def uint(value: int) -> bytes:
    out = bytearray()
    put_uint(out, value)
    return bytes(out)


def int_(value: int) -> bytes:
    out = bytearray()
    put_int(out, value)
    return bytes(out)


def text(value: str) -> bytes:
    return uint(len(value)) + value.encode()


def struct_definition(wire_id: int, *fields: tuple[str, int]) -> bytes:
    listed = b"".join(b"\1" + text(name) + b"\1" + int_(i) + b"\0" for name, i in fields)
    described = b"\1" + uint(len(fields)) + listed if fields else b""
    return int_(-wire_id) + b"\3\1\2" + int_(wire_id) + b"\0" + described + b"\0\0"


def slice_definition(wire_id: int, elem: int) -> bytes:
    return int_(-wire_id) + b"\2\1\2" + int_(wire_id) + b"\0\1" + int_(elem) + b"\0\0"


def decoder(*data: bytes, max_message: int = gob.MAX_MESSAGE) -> gob.Decoder:
    made = gob.Decoder(max_message)
    made.receive_data(b"".join(data))
    return made


BOX_DEFINITION = message(struct_definition(64, ("V", 8), ("W", 8)))
POINT_DEFINITION = struct_definition(65, ("X", 2), ("Y", 2))
POINT = int_(65) + message(b"\1", int_(1), b"\0")  # id, length, Point{1, 0}
