import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.keys import NULL_KEY, Signature
from skywire.wire import gojson


class Inner(msgspec.Struct):
    list: tuple[int, ...] | None
    note: str = ""


class Outer(msgspec.Struct, kw_only=True):
    z: int
    text: str = ""
    inner: Inner | None = None
    a: bool = msgspec.field(default=False, name="renamed")


def test_a_struct_keeps_its_order_and_omits_what_is_empty() -> None:
    assert gojson.encode(Outer(z=0)) == b'{"z":0}'
    full = Outer(z=1, text="x", inner=Inner((), "n"), a=True)
    assert gojson.encode(full) == (
        b'{"z":1,"text":"x","inner":{"list":[],"note":"n"},"renamed":true}'
    )


def test_a_field_without_default_is_written_even_when_empty() -> None:
    assert gojson.encode(Inner(None)) == b'{"list":null}'
    assert gojson.encode(Inner((1, 2))) == b'{"list":[1,2]}'


def test_a_dict_is_a_go_map_with_sorted_keys() -> None:
    assert gojson.encode({"b": 1, "a": [], "c": {}}) == b'{"a":[],"b":1,"c":{}}'


def test_keys_and_signatures_are_hexadecimal() -> None:
    assert gojson.encode([NULL_KEY, Signature(bytes(65))]) == (
        b'["' + b"0" * 66 + b'","' + b"0" * 130 + b'"]'
    )


def test_only_quote_backslash_and_controls_are_escaped() -> None:
    text = "\"\\/\n\r\t\b\f\x00\x1f\x7f<>&\u2028é😀'"
    assert gojson.quote(text) == (
        '"\\"\\\\/\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f<>&\u2028é😀\'"'
    )


def test_html_escapes_are_what_go_does_by_default() -> None:
    assert gojson.quote("<>&\u2028\u2029é", html=True) == ('"\\u003c\\u003e\\u0026\\u2028\\u2029é"')
    assert gojson.encode({"<": ["&"]}, html=True) == b'{"\\u003c":["\\u0026"]}'


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert gojson.encode("a\ud800b") == '"a\ufffdb"'.encode()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.25e-9, "1.25e-9"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_numbers_look_as_in_go(number: float, text: str) -> None:
    assert gojson.encode(number).decode() == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object()])
def test_what_has_no_json_form_is_our_bug(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        gojson.encode(value)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_any_value_reads_back_the_same(value: Any, html: bool) -> None:
    text = gojson.encode(value, html=html).decode()
    assert _same(json.loads(text), value)
    assert "\n" not in text


def _same(loaded: Any, value: Any) -> bool:
    if isinstance(value, dict):
        assert list(loaded) == sorted(value)
        return all(_same(loaded[key], value[key]) for key in value)
    if isinstance(value, list):
        return all(map(_same, loaded, value)) and len(loaded) == len(value)
    return bool(float(loaded) == value if isinstance(value, float) else loaded == value)
