"""The hello of a pty connection, against the answers of a real visor."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue
from skywire.testing import vectors
from skywire.wire.pty_mux import MAX_URI, encode_request, parse_target

CONTROL = {"dmsgpty/pty", "dmsgpty/whitelist", "dmsgpty/proxy"}


def test_the_request_is_a_length_and_the_uri() -> None:
    assert encode_request("dmsgpty/pty").hex() == "0b646d73677074792f707479"
    assert encode_request("") == b"\0"
    assert encode_request("x" * MAX_URI)[:1] == b"\xff"


def test_a_uri_that_does_not_fit() -> None:
    for uri in ("x" * (MAX_URI + 1), "ü" * 128):
        with pytest.raises(InvalidValue, match="request URI cannot be larger than 255 bytes"):
            encode_request(uri)


CASES = [one for one in vectors.load("pty/mux") if one["where"] == "control socket"]


@pytest.mark.parametrize("vector", CASES, ids=lambda one: one["request"] or "empty")
def test_the_same_uris_as_go_find_a_service(vector: dict[str, Any]) -> None:
    target = parse_target(vector["request"].encode())
    found = target is not None and target.path in CONTROL
    assert found == (vector["answer"] != "01")


@pytest.mark.parametrize("uri", ["dmsgpty/pty\n", "dmsgpty/pty#%z", "dmsgpty/%g0", "dmsgpty/p ty"])
def test_uris_that_name_nothing(uri: str) -> None:
    target = parse_target(uri.encode())
    assert target is None or target.path not in CONTROL


def test_the_query_gives_first_values() -> None:
    target = parse_target(b"/dmsgpty/proxy?pk=ab&port=22&pk=cd&x&=&%zz=1#frag")
    assert target is not None
    assert target.path == "dmsgpty/proxy"
    assert (target.query["pk"], target.query["port"]) == ("ab", "22")


@given(st.binary(max_size=MAX_URI))
def test_any_bytes_are_a_target_or_none(raw: bytes) -> None:
    parse_target(raw)


@given(st.sampled_from(sorted(CONTROL)), st.binary(max_size=20))
def test_bytes_behind_the_path_match_only_as_a_query_or_fragment(uri: str, tail: bytes) -> None:
    target = parse_target(uri.encode() + tail)
    if target is not None and target.path == uri and tail:
        assert tail[:1] in (b"?", b"#")
