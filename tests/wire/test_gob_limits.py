"""Limits, malformed values and broken streams."""

import pytest

from skywire.errors import RemoteProtocolError
from skywire.wire import gob, gob_decode, gob_wire
from skywire.wire.gob_types import (
    ANY,
    BOOL,
    BYTES,
    INT,
    INTERFACE,
    STRING,
    UINT,
    UINT8,
    Array,
    GoType,
    Map,
    Slice,
)

from .gob_kit import (
    BOX_DEFINITION,
    POINT,
    POINT_DEFINITION,
    Box,
    Point,
    Tree,
    decoder,
    int_,
    message,
    slice_definition,
    struct_definition,
    text,
    uint,
)


def broken(stream: gob.Decoder, match: str, t: GoType = ANY) -> None:
    """The stream is refused, now and later."""
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=match) as caught:
            stream.next(t)
        assert not isinstance(caught.value, gob.UndecodableValue)


def test_a_message_over_the_limit_is_refused_before_it_arrives() -> None:
    assert decoder(message(bytes(100)), max_message=100).skip()
    broken(decoder(uint(101), max_message=100), "message of 101 bytes, expected 1 to 100")
    broken(decoder(b"\xf8" + b"\xff" * 8), "message of 18446744073709551615 bytes")


def test_a_split_value_over_the_limit_is_refused() -> None:
    long = text("string") + int_(6) + message(b"\0", text("s" * 80))
    stream = decoder(
        message(slice_definition(64, 8)),
        message(int_(64), b"\0", uint(3), long, text("P"), POINT_DEFINITION),
        message(POINT, long),
        max_message=130,
    )
    broken(stream, "a value of more than 130 bytes")


def test_an_integer_of_nine_bytes_is_refused() -> None:
    broken(decoder(b"\xf7" + bytes(9)), "9 bytes")
    with pytest.raises(RemoteProtocolError, match="9 bytes"):
        gob.decode(UINT, message(b"\x06\0\xf7" + bytes(9)))


def test_an_empty_message_is_refused() -> None:
    broken(decoder(b"\0"), "message of 0 bytes")


def test_a_definition_of_a_reserved_or_known_id_is_refused() -> None:
    broken(decoder(message(struct_definition(63, ("X", 2)))), "reserved type id 63")
    twice = message(struct_definition(64, ("X", 2)))
    broken(decoder(twice, twice), "duplicate definition of type id 64")


def test_the_number_of_definitions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gob_decode, "MAX_DEFINITIONS", 3)
    four = [message(slice_definition(64 + n, 2)) for n in range(4)]
    assert decoder(*four[:3], gob.encode(INT, 1)).next(INT) == 1
    broken(decoder(*four), "more than 3 type definitions")


def test_the_fields_of_a_definition_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gob_wire, "MAX_FIELDS", 2)
    fields = [(f"F{n}", 2) for n in range(3)]
    assert decoder(message(struct_definition(64, *fields[:2]))).next(ANY) is gob.NEED_DATA
    broken(decoder(message(struct_definition(64, *fields))), "struct of 3 fields, at most 2")


def test_names_are_limited() -> None:
    name = "N" * (gob_wire.MAX_NAME + 1)
    broken(decoder(message(struct_definition(64, (name, 2)))), "name of 1025 bytes")
    with pytest.raises(gob.UndecodableValue, match="type name of 1025 bytes"):
        decoder(BOX_DEFINITION, message(int_(64), b"\1", text(name), b"\0")).next(Box)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"\0", "unknown kind -1"),
        (b"\x08\0\0", "unknown kind 7"),
        (b"\2\3\0\0\0", "unknown field 2"),
        (b"\2\1\3\0\0\0\0", "unknown common field 2"),
        (b"\2\1\0\1\4\0\1\0", "more than one kind"),
        (b"\2\1\0\1\4\0\0\0", "1 bytes behind a type definition"),
        (b"\1\2\4\1\1\0\0", "array of length -1"),
        (b"\3\2\1\3\0\0\0", "unknown part 2"),
        (b"\3\2\5\0", "struct of 5 fields"),
        (b"\2\1", "ends early"),
    ],
)
def test_a_malformed_definition_is_refused(body: bytes, match: str) -> None:
    broken(decoder(message(int_(-64), body)), match)


def test_a_type_that_was_not_defined_costs_only_the_value() -> None:
    stream = decoder(message(int_(64), b"\0"), message(slice_definition(65, 64)))
    stream.receive_data(message(int_(65), b"\0\0") + gob.encode(INT, 5))
    for _ in range(2):
        with pytest.raises(gob.UndecodableValue, match="type id 64 was not defined"):
            stream.next(ANY)
    assert stream.next(INT) == 5


@pytest.mark.parametrize(
    ("t", "value", "match"),
    [
        (Slice(INT), b"\0\xfb\x7f\xff\xff\xff\xff", "ends early"),  # a count without elements
        (Map(STRING, INT), b"\0\xfb\x7f\xff\xff\xff\xff", "ends early"),
        (Array(UINT8, 4), b"\0\x05\0\0\0\0\0", "array of 5 bytes, expected 4"),
        (Array(UINT8, 1), b"\0\x01\xfe\x01\x01", "a value over 255"),
        (Array(INT, 1), b"\0\x02\0\0", "array of 2 elements, expected 1"),
        (Point, b"\x03\0\0", "field 2 of a struct of 2"),
        (Point, b"\xfe\x01\0\0", "field 255 of a struct of 2"),
        (Point, b"\1", "ends early"),
        (Point, b"\0\0", "1 bytes behind a value"),
        (BYTES, b"\0\x05ab", "5 bytes announced, 2 are left"),
        (STRING, b"\1\0", "starts with 1, expected 0"),
        (BOOL, b"\0\2", "bool of value 2"),
        (INT, b"\0\xfe\1", "ends early"),
    ],
)
def test_a_malformed_value_costs_only_the_value(t: GoType, value: bytes, match: str) -> None:
    encoder = gob.Encoder()
    definitions = encoder.define(t)
    bad = message(int_(encoder.type_id(t)), value)
    for wanted in (t, ANY):
        stream = decoder(definitions, bad, gob.encode(INT, 5))
        if wanted == t or "a value over 255" not in match:  # for ANY it is one of integers
            with pytest.raises(gob.UndecodableValue, match="gob: "):
                stream.next(wanted)
            assert stream.next(INT) == 5
    with pytest.raises(RemoteProtocolError, match=match):
        gob.decode(t, definitions + bad)


def test_values_nested_too_deep_are_refused() -> None:
    def nested(depth: int) -> Tree:
        return Tree(depth, [nested(depth - 1)] if depth > 1 else [])

    deep = nested(gob_decode.MAX_DEPTH // 2)
    assert gob.decode(Tree, gob.encode(Tree, deep)) == deep
    for t in (Tree, ANY):
        with pytest.raises(RemoteProtocolError, match="nested deeper than 64"):
            gob.decode(t, gob.encode(Tree, nested(gob_decode.MAX_DEPTH // 2 + 1)))


def test_a_bomb_of_nested_values_is_refused() -> None:
    kids = message(struct_definition(64, ("V", 2), ("Kids", 65))) + message(
        slice_definition(65, 64)
    )
    bomb = message(int_(64), b"\2\1" * 500_000)
    for t in (Tree, ANY):
        with pytest.raises(RemoteProtocolError, match="nested deeper than 64"):
            gob.decode(t, kids + bomb)
    interfaces = (b"\x01" + text("x") + int_(64) + uint(9)) * 100_000
    with pytest.raises(RemoteProtocolError, match="nested deeper than 64"):
        gob.decode(Box, BOX_DEFINITION + message(int_(64), interfaces))


def test_types_nested_too_deep_are_refused() -> None:
    chain = [message(slice_definition(64 + n, 65 + n)) for n in range(500)]
    stream = decoder(*chain, message(slice_definition(564, 2)), message(int_(64), b"\0\0"))
    with pytest.raises(gob.UndecodableValue, match="nested deeper than 64"):
        stream.next(ANY)
    assert stream.next(ANY) is gob.NEED_DATA


def test_a_type_that_contains_itself_at_once_is_refused() -> None:
    stream = decoder(message(slice_definition(64, 64)), message(int_(64), b"\0", b"\1" * 200))
    with pytest.raises(gob.UndecodableValue, match="nested deeper than 64"):
        stream.next(ANY)


@pytest.mark.parametrize("data", [b"", b"\x05", BOX_DEFINITION, gob.encode(INT, 300)[:-1]])
def test_data_without_a_complete_value_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="ends before the first value is complete"):
        gob.decode(ANY, data)


def test_what_one_stream_defines_is_unknown_to_another() -> None:
    """A nested definition must not stay behind in what `decode` remembers."""
    smuggled = message(
        int_(8), text("x"), struct_definition(70, ("X", 2)), b"\0", int_(70), b"\1\0"
    )
    with pytest.raises(RemoteProtocolError):
        gob.decode(INTERFACE, smuggled)
    with pytest.raises(RemoteProtocolError, match="type id 70 was not defined"):
        gob.decode(ANY, message(int_(70), b"\0"))
