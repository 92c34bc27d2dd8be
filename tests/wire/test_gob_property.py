"""Random types and values survive; random cuts do not matter; random bytes do no harm."""

from contextlib import suppress
from dataclasses import make_dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import RemoteProtocolError
from skywire.testing import vectors
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
    Basic,
    Go,
    GoTime,
    GoType,
    Map,
    Marshaller,
    Pointer,
    Slice,
    struct_type,
)

KEYS = [deterministic_key_pair(bytes([n]))[0] for n in range(3)]
SCALARS: list[GoType] = [BOOL, INT, INT8, UINT, UINT8, UINT16, FLOAT, STRING, BYTES]
LEAVES: list[GoType] = [*SCALARS, PUBKEY, UUID, TIME, INTERFACE, EMPTY]
MAP_KEYS: list[GoType] = [BOOL, INT, UINT16, STRING, PUBKEY, UUID, Array(UINT8, 2)]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
interfaces = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), text, st.binary(), st.lists(text)
)


@cache
def struct(members: tuple[GoType, ...]) -> type:
    return make_dataclass(
        "Struct", [(f"f{n}", Annotated[Any, Go(f"F{n}", t)]) for n, t in enumerate(members)]
    )


def containers(inner: st.SearchStrategy[GoType]) -> st.SearchStrategy[GoType]:
    elements = inner.filter(lambda t: t != UINT8)
    return st.one_of(
        elements.map(Slice),
        st.builds(Array, inner, st.integers(0, 3)),
        st.builds(Map, st.sampled_from(MAP_KEYS), inner),
        st.lists(inner, min_size=1, max_size=4).map(lambda ts: struct(tuple(ts))),
    )


types = st.recursive(st.sampled_from(LEAVES), containers, max_leaves=8)


def values(t: GoType) -> st.SearchStrategy[Any]:
    match t:
        case Basic(high=high) if high:
            return st.integers(t.low, high)
        case Basic() if t == INTERFACE:
            return interfaces
        case Basic(zero=bool()):
            return st.booleans()
        case Basic(zero=float()):
            return st.floats(allow_nan=False)
        case Basic(zero=str()):
            return text
        case Basic(zero=bytes()):
            return st.binary(max_size=300)
        case Marshaller() if t == PUBKEY:
            return st.sampled_from(KEYS)
        case Marshaller() if t == UUID:
            return st.uuids()
        case Marshaller():
            return st.builds(GoTime.from_unix_ns, st.integers(-(2**60), 2**60))
        case Slice(elem=elem):
            return st.lists(values(elem), max_size=3)
        case Array(elem=elem, length=length) if elem == UINT8:
            return st.binary(min_size=length, max_size=length)
        case Array(elem=elem, length=length):
            return st.lists(values(elem), min_size=length, max_size=length)
        case Map(key=key, value=value):
            return st.dictionaries(values(key), values(value), max_size=3)
        case type():
            return st.builds(t, *(values(member.type) for member in struct_type(t).fields))
    return st.none()  # EMPTY


@st.composite
def typed(draw: st.DrawFn) -> tuple[GoType, Any]:
    t = draw(types)
    return t, draw(values(t))


def read_all(t: Any, *pieces: bytes) -> list[Any]:
    """Every value of a stream, or why it is none; last, why the stream is broken."""
    stream, found = gob.Decoder(), list[Any]()
    for piece in pieces:
        stream.receive_data(piece)
        while True:
            try:
                value = stream.next(t)
            except gob.UndecodableValue as error:
                value = error.args
            except RemoteProtocolError as error:
                return [*found, error.args]
            if value is gob.NEED_DATA:
                break
            found.append(value)
    return found


@given(st.lists(typed(), min_size=1, max_size=3), st.data())
def test_any_values_in_any_pieces(items: list[tuple[GoType, Any]], data: st.DataObject) -> None:
    encoder, stream = gob.Encoder(), gob.Decoder()
    pending = b"".join(encoder.encode(t, value) for t, value in items)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pending)), max_size=5)))
    pieces = [pending[a:b] for a, b in pairwise([0, *cuts, len(pending)])]
    for t, value in items:
        while (found := stream.next(t)) is gob.NEED_DATA:
            stream.receive_data(pieces.pop(0))
        assert found == value
    assert stream.next(ANY) is gob.NEED_DATA
    assert not b"".join(pieces)


@given(typed())
def test_one_value_alone(item: tuple[GoType, Any]) -> None:
    t, value = item
    data = gob.encode(t, value)
    assert gob.decode(t, data) == gob.decode(Pointer(t), data) == value
    gob.decode(ANY, data)


@given(typed(), types)
def test_a_value_of_another_type_is_read_or_refused(
    item: tuple[GoType, Any], other: GoType
) -> None:
    with suppress(RemoteProtocolError):
        gob.decode(other, gob.encode(*item))


@given(st.binary(max_size=200), types)
def test_any_bytes_are_read_or_refused(raw: bytes, t: GoType) -> None:
    for wanted in (t, ANY, (t, ANY)):
        with suppress(RemoteProtocolError):
            gob.decode(wanted, raw)
        read_all(wanted, raw)


STREAMS = [bytes.fromhex(c["gob"]) for n in ("basic", "rpc") for c in vectors.load(f"dmsg/gob_{n}")]


@settings(max_examples=500)
@given(st.sampled_from(STREAMS), st.data())
def test_damaged_streams_are_read_or_refused(stream: bytes, data: st.DataObject) -> None:
    damaged = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        damaged = damaged or bytearray(1)
    cut = data.draw(st.integers(0, len(damaged)))
    whole = read_all(ANY, bytes(damaged))
    assert repr(read_all(ANY, bytes(damaged[:cut]), bytes(damaged[cut:]))) == repr(whole)  # or NaN
