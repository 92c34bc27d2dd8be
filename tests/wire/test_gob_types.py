from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar
from uuid import UUID as Uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, LocalProtocolError
from skywire.wire import gob
from skywire.wire.gob_types import (
    BYTES,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    TIME,
    UINT8,
    UUID,
    ZERO_TIME,
    Array,
    Go,
    GoTime,
    GoType,
    Map,
    Pointer,
    Slice,
    bare_name,
    spelling,
    struct_type,
    zero,
)


@dataclass
class Addr:
    GO_NAME: ClassVar[str] = "dmsg.Addr"
    pk: Annotated[PubKey, Go("PK", PUBKEY)]
    names: Annotated[list[str], Go("Names", Slice(STRING))]
    note: str = "not on the wire"


@pytest.mark.parametrize(
    ("t", "printed", "bare"),
    [
        (INT, "int", ""),
        (BYTES, "[]uint8", ""),
        (PUBKEY, "cipher.PubKey", "PubKey"),
        (Addr, "dmsg.Addr", "Addr"),
        (Slice(Pointer(Addr)), "[]*dmsg.Addr", ""),
        (Array(UINT8, 32, "cipher.SHA256"), "cipher.SHA256", "SHA256"),
        (Map(PUBKEY, Array(INT, 3)), "map[cipher.PubKey][3]int", ""),
    ],
)
def test_types_print_as_in_go(t: GoType, printed: str, bare: str) -> None:
    assert (spelling(t), bare_name(t)) == (printed, bare)


def test_fields_without_default_take_the_zero_value() -> None:
    absent = gob.decode(Addr, gob.encode(Addr, Addr(NULL_KEY, [])))
    assert absent == Addr(NULL_KEY, []) == zero(Addr)
    assert absent.note == "not on the wire"


def test_a_default_that_is_not_zero_is_refused() -> None:
    """A zero field is not sent, so it would come back as the default."""

    @dataclass
    class Wrong:
        x: Annotated[int, Go("X", INT)] = 5

    with pytest.raises(LocalProtocolError, match=r"Wrong\.x has the default 5, not the zero value"):
        struct_type(Wrong)


def test_classes_that_are_no_go_struct_are_refused() -> None:
    @dataclass
    class Local:
        x: int

    @dataclass(kw_only=True)
    class Keywords:
        x: Annotated[int, Go("X", INT)] = 0

    @dataclass
    class Hidden:
        x: Annotated[int, Go("X", INT)] = field(default=0, init=False)

    for cls in (Local, Keywords, Hidden, int):
        with pytest.raises(LocalProtocolError):
            struct_type(cls)


def test_a_slice_of_uint8_must_be_called_bytes() -> None:
    with pytest.raises(LocalProtocolError, match="BYTES"):
        Slice(UINT8)


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ("010000000edeac9e40075bcd15ffff", GoTime(1_718_452_800, 123_456_789)),
        ("010000000edeac9e4000000000003c", GoTime(1_718_452_800, 0, 3600)),
        ("010000000edeac9e4000000000ff88", GoTime(1_718_452_800, 0, -7200)),
        ("020000000edeac9e400000000000011e", GoTime(1_718_452_800, 0, 90)),
        ("01000000000000000000000000ffff", ZERO_TIME),
    ],
)
def test_times_have_go_s_binary_form(raw: str, time: GoTime) -> None:
    found = GoTime.load(bytes.fromhex(raw))
    assert (found, found.dump().hex()) == (GoTime(found.seconds, *time[1:]), raw)


def test_zero_time_is_year_one() -> None:
    assert ZERO_TIME.dump().hex() == "01000000000000000000000000ffff"
    assert GoTime(0).dump().hex() == "010000000e7791f70000000000ffff"  # 1970


@pytest.mark.parametrize(
    "raw",
    ["", "01", "03" + "00" * 14, "01" + "00" * 15, "02" + "00" * 14, "01" + "00" * 8 + "ff" * 6],
)
def test_other_bytes_are_no_time(raw: str) -> None:
    with pytest.raises(InvalidValue):
        GoTime.load(bytes.fromhex(raw))


@given(st.integers(-(2**40), 2**40), st.integers(0, 10**9 - 1))
def test_times_survive_the_wire(seconds: int, nanoseconds: int) -> None:
    time = GoTime(seconds, nanoseconds)
    assert gob.decode(TIME, gob.encode(TIME, time)) == time
    assert GoTime.from_unix_ns(time.unix_ns()) == time


@pytest.mark.parametrize("zone", [-60, -1, 60 * 40000])
def test_zones_that_go_cannot_write_are_refused(zone: int) -> None:
    with pytest.raises(LocalProtocolError, match="time zone"):
        gob.encode(TIME, GoTime(0, 0, zone))


def test_marshalled_types_have_values_of_their_own() -> None:
    some = Uuid("11223344-5566-7788-99aa-bbccddeeff00")
    assert gob.decode(UUID, gob.encode(UUID, some)) == some
    assert zero(UUID) == NULL_UUID
    found: Any = gob.decode(Slice(UUID), gob.encode(Slice(UUID), [some, NULL_UUID]))
    assert found == [some, NULL_UUID]
