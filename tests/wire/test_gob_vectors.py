"""Byte for byte against the Go reference: gob_basic, gob_dmsg and gob_rpc."""

from typing import Any

import pytest

from skywire.testing import vectors
from skywire.wire import gob
from skywire.wire.gob_types import ANY

from .gob_schema import go_type, plain, value

CASES = [case for name in ("basic", "dmsg", "rpc") for case in vectors.load(f"dmsg/gob_{name}")]
# The reference splits the message for a type it has not defined; we define it ahead of the value.
SPLIT = ("interface registered struct", "interface error")


def name_of(case: dict[str, Any]) -> str:
    return f"{case['name']}-{case['gob'][:16]}"


def messages(case: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(go_type(m["schema"]), value(m["schema"], m["value"])) for m in case["messages"]]


def test_all_vectors_are_here() -> None:
    assert len(CASES) == 103


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_decodes_what_go_wrote(case: dict[str, Any]) -> None:
    decoder = gob.Decoder()
    decoder.receive_data(bytes.fromhex(case["gob"]))
    for t, expected in messages(case):
        found = decoder.next(t)
        nil_maps = (
            {k for k, v in vars(expected).items() if v is None} if t is type(expected) else ()
        )
        assert {**_parts(found), **dict.fromkeys(nil_maps)} == _parts(expected)
    assert decoder.next(ANY) is gob.NEED_DATA


def _parts(item: Any) -> dict[str, Any]:
    item = plain(item)
    return item if isinstance(item, dict) else {"": item}


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] not in SPLIT], ids=name_of)
def test_writes_the_same_bytes_as_go(case: dict[str, Any]) -> None:
    encoder = gob.Encoder()
    written = b"".join(encoder.encode(t, item) for t, item in messages(case))
    assert written.hex() == case["gob"]


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] in SPLIT], ids=name_of)
def test_a_type_in_an_interface_is_defined_ahead_of_the_value(case: dict[str, Any]) -> None:
    encoder, decoder = gob.Encoder(), gob.Decoder()
    for t, item in messages(case):
        decoder.receive_data(encoder.encode(t, item))
        assert plain(decoder.next(t)) == plain(item)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_one_shot_functions_agree_with_the_stream(case: dict[str, Any]) -> None:
    t, item = messages(case)[0]
    data = gob.encode(t, item)
    assert data == gob.Encoder().encode(t, item)
    decoder = gob.Decoder()
    decoder.receive_data(data)
    assert gob.decode(t, data) == decoder.next(t)
