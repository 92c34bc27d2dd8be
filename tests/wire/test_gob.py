"""How values are read and written, by example; what is refused."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import LocalProtocolError, RemoteProtocolError
from skywire.wire import gob
from skywire.wire.gob_types import (
    ANY,
    BOOL,
    BYTES,
    EMPTY,
    FLOAT,
    INT,
    INT8,
    INTERFACE,
    PUBKEY,
    STRING,
    TIME,
    UINT,
    UINT8,
    UINT16,
    UUID,
    Array,
    Concrete,
    Go,
    GoType,
    Map,
    Pointer,
    Slice,
)

from .gob_kit import KEY, Box, Newer, Other, Point, Tree, int_, message, struct_definition, uint


def test_fields_match_by_name_and_unknown_ones_are_skipped() -> None:
    newer = Newer("n", 2, {"a": 1, "b": None, "c": [b"", "x"][1]}, 1, [KEY], Point(5, 6))
    assert gob.decode(Point, gob.encode(Newer, newer)) == Point(1, 2)
    assert gob.decode(Newer, gob.encode(Point, Point(3, 4))) == Newer(x=3, y=4)


def test_structs_without_a_common_field_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="gob: type mismatch: no fields matched"):
        gob.decode(Other, gob.encode(Point, Point(1, 2)))


def test_an_empty_struct_goes_with_any_struct() -> None:
    assert gob.decode(EMPTY, gob.encode(Point, Point(1, 2))) is None
    assert gob.decode(Point, gob.encode(EMPTY, None)) == Point()


@pytest.mark.parametrize(
    ("sent", "value", "wanted"),
    [
        (INT, 1, UINT),
        (UINT, 1, INT),
        (INT, 1, STRING),
        (STRING, "x", BYTES),
        (BYTES, b"x", STRING),
        (BYTES, b"x" * 33, PUBKEY),
        (PUBKEY, KEY, BYTES),
        (PUBKEY, KEY, TIME),
        (BOOL, True, INT),
        (INT, 1, Point),
        (Point, Point(), INT),
        (Point, Point(), Slice(INT)),
        (Slice(INT), [1], Slice(UINT)),
        (Slice(INT), [1], Array(INT, 1)),
        (Array(INT, 2), [1, 2], Array(INT, 3)),
        (Array(UINT8, 2), b"ab", BYTES),
        (Map(STRING, INT), {"a": 1}, Map(STRING, UINT)),
        (INT, 1, INTERFACE),
        (INT, 1, EMPTY),
    ],
)
def test_another_kind_is_refused(sent: GoType, value: Any, wanted: GoType) -> None:
    with pytest.raises(RemoteProtocolError, match="gob: "):
        gob.decode(wanted, gob.encode(sent, value))


def test_go_texts_of_a_mismatch() -> None:
    """Callers compare them (hypervisor.md §6.3)."""
    with pytest.raises(RemoteProtocolError) as caught:
        gob.decode(UINT16, gob.encode(INT, 1))
    assert str(caught.value) == "gob: decoding into local type *uint16, received remote type int"
    with pytest.raises(RemoteProtocolError) as caught:
        gob.decode(Point, gob.encode(STRING, ""))
    assert str(caught.value) == (
        "gob: type mismatch in decoder: want struct type Point; got non-struct"
    )
    with pytest.raises(RemoteProtocolError, match=r"type Point = struct \{ X int; Y int; \}"):
        gob.decode(STRING, gob.encode(Point, Point()))


def test_alternatives_take_what_the_sender_described() -> None:
    either = (STRING, Point)
    assert gob.decode(either, gob.encode(STRING, "skychat")) == "skychat"
    assert gob.decode(either, gob.encode(Point, Point(1))) == Point(1)
    with pytest.raises(RemoteProtocolError, match="got non-struct"):
        gob.decode(either, gob.encode(INT, 1))


def test_any_reads_everything_as_plain_values() -> None:
    newer = Newer("n", 2, {"a": 1.5}, 1, [KEY], Point(5, 6))
    assert gob.decode(ANY, gob.encode(Newer, newer)) == {
        "Label": "n",
        "Y": 2,
        "Tags": {"a": 1.5},
        "X": 1,
        "Peers": [KEY],
        "Inner": {"X": 5, "Y": 6},
    }


def test_a_map_with_containers_as_keys_is_skipped_or_read_as_pairs() -> None:
    t = Map(Array(UINT8, 2), INT)
    assert gob.decode(t, gob.encode(t, {b"ab": 1})) == {b"ab": 1}
    assert gob.decode(ANY, gob.encode(t, {b"ab": 1})) == [([97, 98], 1)]
    with pytest.raises(RemoteProtocolError, match="keys are containers"):
        gob.decode(Map(Array(INT, 1), INT), gob.encode(Map(Array(INT, 1), INT), _Pairs([([1], 2)])))


class _Pairs(dict[Any, Any]):
    """A dict only in that it can be written as one."""

    def __init__(self, pairs: list[Any]) -> None:
        super().__init__({0: 0})
        self._pairs = pairs

    def items(self) -> Any:
        return self._pairs


def test_type_ids_are_those_of_the_stream_not_ours() -> None:  # trap gob 10
    data = message(struct_definition(70000, ("Y", 2), ("X", 2))) + message(
        int_(70000), b"\1", int_(7), b"\1", int_(8), b"\0"
    )
    assert gob.decode(Point, data) == Point(8, 7)


def test_the_id_inside_a_definition_is_ignored() -> None:  # trap gob 10
    data = bytes.fromhex("097f060102ff8200000025ff800021") + KEY
    assert gob.decode(PUBKEY, data) == KEY


def test_byte_arrays_are_arrays_of_uint() -> None:  # trap gob 9
    t = Array(UINT8, 3, "main.Three")
    data = gob.encode(t, b"\x00\x7f\x80")
    assert data.endswith(b"\x03\x00\x7f\xff\x80")
    assert gob.decode(t, data) == b"\x00\x7f\x80"
    assert gob.decode(Array(UINT, 3), data) == [0, 127, 128]


def test_a_zero_key_is_left_out_as_a_field_and_refused_in_a_list() -> None:  # trap gob 9
    @dataclass
    class Peer:
        pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY

    assert gob.encode(Peer, Peer()).endswith(b"\x03\xff\x80\x00")
    assert gob.decode(Peer, gob.encode(Peer, Peer())) == Peer()
    with pytest.raises(RemoteProtocolError, match="not a point of the curve"):
        gob.decode(Slice(PUBKEY), gob.encode(Slice(PUBKEY), [NULL_KEY]))


@pytest.mark.parametrize("raw", [b"", KEY[:-1], KEY + b"\0", b"\x05" + KEY[1:]])
def test_a_bad_key_is_refused(raw: bytes) -> None:
    data = bytes.fromhex("097f060102ff82000000") + message(b"\xff\x80\0", uint(len(raw)), raw)
    with pytest.raises(RemoteProtocolError, match=r"bad cipher\.PubKey"):
        gob.decode(PUBKEY, data)
    with pytest.raises(RemoteProtocolError, match=r"bad uuid\.UUID"):
        gob.decode(UUID, data)


def test_complex_numbers_are_passed_over() -> None:
    half = gob.encode(FLOAT, 0.5)[3:]
    assert gob.decode(ANY, message(int_(7), b"\0", half, half)) == 0.5 + 0.5j


def test_text_that_is_not_utf_8_does_not_travel_on() -> None:
    assert gob.decode(STRING, gob.encode(STRING, "a\udcff")) == "a�"  # sent as the byte ff


def test_bytes_behind_the_first_value_are_ignored() -> None:
    assert gob.decode(INT, gob.encode(INT, 5) + b"\xff\x00\x00") == 5


@pytest.mark.parametrize(
    ("t", "low", "high"), [(INT8, -128, 127), (UINT16, 0, 65535), (INT, -(2**63), 2**63 - 1)]
)
def test_integers_keep_to_the_width_of_our_type(t: GoType, low: int, high: int) -> None:
    wide = INT if low else UINT
    for value in (low, high):
        assert gob.decode(t, gob.encode(t, value)) == value
    for value in (low - 1, high + 1):
        with pytest.raises(LocalProtocolError, match="range"):
            gob.encode(t, value)
    if t is not INT:
        with pytest.raises(RemoteProtocolError, match="range"):
            gob.decode(t, gob.encode(wide, high + 1))


@pytest.mark.parametrize(
    ("t", "value"),
    [
        (INT, "1"),
        (INT, None),
        (STRING, b"x"),
        (STRING, 1),
        (BYTES, "x"),
        (FLOAT, "x"),
        (BOOL, None),
        (Point, None),
        (Point, Point(x="1")),  # type: ignore[arg-type]
        (Slice(INT), 5),
        (Slice(INT), ["a"]),
        (Slice(Pointer(Point)), [None]),
        (Array(UINT8, 2), b"abc"),
        (Array(INT, 2), [1]),
        (Map(STRING, INT), [1]),
        (PUBKEY, None),
        (INTERFACE, object()),
        (INTERFACE, [1, "a"]),
        (ANY, 1),
        (int, 1),
    ],
)
def test_a_value_that_is_not_of_its_type_is_our_own_fault(t: GoType, value: Any) -> None:
    encoder = gob.Encoder()
    if t != BOOL:  # any value is true or false
        with pytest.raises(LocalProtocolError):
            encoder.encode(t, value)
    assert encoder.encode(Point, Point(1)) == gob.encode(Point, Point(1))  # nothing was defined


def test_a_failed_value_leaves_no_trace_in_the_stream() -> None:
    encoder, twin = gob.Encoder(), gob.Encoder()
    assert encoder.encode(Point, Point(1)) == twin.encode(Point, Point(1))
    with pytest.raises(LocalProtocolError):
        encoder.encode_all((Newer, Newer(label="a")), (Newer, Newer(label=b"b")))  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        encoder.encode(Box, Box(Concrete("main.Other", Other(z="a"), Other)))  # type: ignore[arg-type]
    assert encoder.encode(Other, Other(1)) == twin.encode(Other, Other(1))
    assert encoder.encode(Newer, Newer(x=1)) == twin.encode(Newer, Newer(x=1))


def test_a_value_within_itself_is_refused() -> None:
    tree = Tree(1)
    tree.kids.append(tree)
    with pytest.raises(LocalProtocolError, match="recursion"):
        gob.encode(Tree, tree)
