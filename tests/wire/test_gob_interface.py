"""Values that carry their type, and messages split for it. Source: gob.md §5."""

from typing import Any

import pytest

from skywire.errors import RemoteProtocolError
from skywire.wire import gob, gob_decode
from skywire.wire.gob_types import (
    ANY,
    INT,
    Concrete,
)

from .gob_kit import (
    BOX_DEFINITION,
    POINT,
    POINT_DEFINITION,
    Box,
    Point,
    decoder,
    int_,
    message,
    slice_definition,
    struct_definition,
    text,
    uint,
)


def split_value() -> bytes:
    """A Box whose two Points are first defined within it, over three messages."""
    other = struct_definition(66, ("Z", 2))
    return (
        message(int_(64), b"\1", text("main.Point"), POINT_DEFINITION)
        + message(slice_definition(67, 2))  # a further definition, a message of its own
        + message(POINT, b"\1", text("main.Other"), other)
        + message(int_(66), message(b"\1", int_(9), b"\0"), b"\0")
    )


@pytest.mark.parametrize("value", [None, True, -5, 1.5, "s", b"\0b", [], ["a", ""]])
def test_interfaces_hold_values_of_go_types(value: Any) -> None:
    assert gob.decode(Box, gob.encode(Box, Box(value, value))) == Box(value, value)


def test_interfaces_hold_named_types_even_nested() -> None:
    box = Box(Concrete("main.Box", Box(Concrete("main.Point", Point(1), Point), "in"), Box), "out")
    expected = Box(Concrete("main.Box", {"V": Concrete("main.Point", {"X": 1}), "W": "in"}), "out")
    assert gob.decode(Box, gob.encode(Box, box)) == expected


def test_a_value_split_over_messages_is_read() -> None:
    data = BOX_DEFINITION + split_value() + gob.encode(INT, 5)
    expected = Box(Concrete("main.Point", {"X": 1}), Concrete("main.Other", {"Z": 9}))
    assert gob.decode(Box, data) == expected
    for cut in range(len(data)):
        pieces = decoder(data[:cut])
        early = pieces.next(Box)
        pieces.receive_data(data[cut:])
        assert (pieces.next(Box) if early is gob.NEED_DATA else early) == expected
        assert pieces.next(INT) == 5


def test_a_split_value_is_passed_over_whole_when_it_does_not_fit() -> None:
    stream = decoder(BOX_DEFINITION, split_value(), gob.encode(INT, 5), gob.encode(INT, 6))
    with pytest.raises(gob.UndecodableValue, match="no fields matched"):
        stream.next(Point)
    assert stream.next(INT) == 5
    assert stream.skip()
    assert not stream.skip()


def test_a_definition_within_a_nested_interface_is_read() -> None:
    inside = text("main.Point") + POINT_DEFINITION + uint(99) + POINT  # a length, of no use
    contents = b"\1" + inside + b"\0"
    value = message(int_(64), b"\1", text("main.Box"), int_(64), message(contents), b"\0")
    expected = Box(Concrete("main.Box", {"V": Concrete("main.Point", {"X": 1})}))
    assert gob.decode(Box, BOX_DEFINITION + value) == expected


def test_a_nested_definition_is_met_again_when_the_value_is_split_behind_it() -> None:
    inside = text("main.Point") + POINT_DEFINITION + uint(99) + POINT
    first = message(
        int_(64), b"\1", text("main.Box"), int_(64), message(b"\1" + inside + b"\0"),
        b"\1", text("main.Other"), struct_definition(66, ("Z", 2)),
    )  # fmt: skip
    rest = message(int_(66), message(b"\1", int_(9), b"\0"), b"\0")
    expected = Box(
        Concrete("main.Box", {"V": Concrete("main.Point", {"X": 1})}),
        Concrete("main.Other", {"Z": 9}),
    )
    assert gob.decode(Box, BOX_DEFINITION + first + rest) == expected


def test_an_interface_must_fill_its_length() -> None:
    value = message(int_(64), b"\1", text("int"), int_(2), uint(3), b"\0\2\0", b"\0")
    with pytest.raises(RemoteProtocolError, match="does not fill its length"):
        gob.decode(Box, BOX_DEFINITION + value)
    value = message(int_(64), b"\1", text("int"), int_(2), uint(9), b"\0\2", b"\0")
    with pytest.raises(RemoteProtocolError, match="9 bytes announced"):
        gob.decode(Box, BOX_DEFINITION + value)


def test_a_value_in_too_many_messages_is_refused() -> None:
    def part(wire_id: int) -> bytes:
        point = struct_definition(wire_id, ("X", 2))
        continued = int_(wire_id - 1) + message(b"\0") if wire_id > 65 else b""
        return message(continued, text("main.Point"), point)

    start = message(slice_definition(64, 8)) + message(int_(64), b"\0", uint(1000), part(65)[1:])
    stream = decoder(start, *(part(65 + n) for n in range(1, 10)))
    assert stream.next(ANY) is gob.NEED_DATA
    stream.receive_data(b"".join(part(65 + n) for n in range(10, gob_decode.MAX_SPLITS + 1)))
    with pytest.raises(RemoteProtocolError, match="messages"):
        stream.next(ANY)
