"""Signed objects, error codes and addresses against the reference's records."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto import curve, generate
from skywire.crypto.keys import NULL_KEY, PubKey, SecKey
from skywire.errors import InvalidValue, Refused, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import gob
from skywire.wire.dmsg import (
    TEMPORARY,
    Addr,
    Code,
    ObjectReader,
    StreamRequest,
    StreamResponse,
    check_request,
    check_response,
    error_text,
    object_hash,
    parse_address,
    parse_request,
    parse_response,
    sign_object,
)

OBJECTS = vectors.load("dmsg/stream_objects")
REQUESTS = [case for case in OBJECTS if case["type"] == "StreamRequest"]
RESPONSES = [case for case in OBJECTS if case["type"] == "StreamResponse"]


def _addr(value: dict[str, Any]) -> Addr:
    raw = bytes.fromhex(value["PK"])
    return Addr(PubKey(raw), value["Port"])


def _request(value: dict[str, Any]) -> StreamRequest:
    return StreamRequest(
        timestamp=value["Timestamp"],
        source=_addr(value["SrcAddr"]),
        destination=_addr(value["DstAddr"]),
        ip_info=value["IPinfo"],
        noise_message=bytes.fromhex(value["NoiseMsg"] or ""),
    )


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: c["note"])
def test_requests_have_the_same_bytes_and_outcome_as_in_go(case: dict[str, Any]) -> None:
    value = _request(case["value"])
    assert gob.encode(StreamRequest, value).hex() == case["gob"]
    signed = bytes.fromhex(case["signed_object"])
    assert object_hash(signed).hex() == case["hash"]
    parsed = parse_request(signed)
    assert parsed == value
    if case["verify_error"] is None:
        check_request(parsed, signed, case["last_timestamp"])
    else:
        with pytest.raises(Refused) as refused:
            check_request(parsed, signed, case["last_timestamp"])
        assert str(refused.value) == case["verify_error"]


@pytest.mark.parametrize("case", RESPONSES, ids=lambda c: c["note"])
def test_responses_have_the_same_bytes_and_outcome_as_in_go(case: dict[str, Any]) -> None:
    signed = bytes.fromhex(case["signed_object"])
    parsed = parse_response(signed)
    encoder = gob.Encoder()
    encoder.define(StreamRequest)  # the recording process had used these type ids before
    assert encoder.encode(StreamResponse, parsed).hex() == case["gob"]
    value = case["value"]
    assert parsed.accepted == value["Accepted"]
    assert list(parsed.request_hash) == value["ReqHash"]
    request = bytes.fromhex(case["request"])
    signer = parse_request(request).destination.pk
    if case["verify_error"] is None:
        check_response(parsed, signed, signer, object_hash(request))
    else:
        with pytest.raises(Refused) as refused:
            check_response(parsed, signed, signer, object_hash(request))
        assert str(refused.value) == case["verify_error"]


def test_our_objects_verify_and_any_changed_byte_is_refused() -> None:
    pk, sk = generate.key_pair()
    other, _ = generate.key_pair()
    signed = sign_object(StreamRequest(1, Addr(pk, 1), Addr(other, 2)), sk)
    check_request(parse_request(signed), signed)
    for index in (0, 32, 64, 70, len(signed) - 2):
        broken = bytearray(signed)
        broken[index] ^= 0x01
        with pytest.raises(Refused):
            check_request(parse_request(bytes(broken)), bytes(broken))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="370"):
        parse_request(raw)
    with pytest.raises(Refused, match="370"):
        parse_response(raw)


@given(st.binary(max_size=200))
def test_any_bytes_with_a_good_signature_are_refused_or_checked(body: bytes) -> None:
    _, sk = generate.key_pair()
    signed = curve.sign(body, sk) + body
    with contextlib.suppress(Refused):
        check_request(parse_request(signed), signed)


@pytest.mark.parametrize("case", vectors.load("dmsg/error_codes"), ids=lambda c: str(c["code"]))
def test_error_texts_are_those_of_go(case: dict[str, Any]) -> None:
    code = Code(case["code"])
    assert error_text(code) == case["text"]
    assert (code in TEMPORARY) == case["temporary"]


def test_every_code_has_a_vector() -> None:
    assert {case["code"] for case in vectors.load("dmsg/error_codes")} == set(Code)


@pytest.mark.parametrize("case", vectors.load("dmsg/dmsg_addr_text"), ids=lambda c: repr(c["text"]))
def test_addresses_read_and_print_as_in_go(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(InvalidValue):
            parse_address(case["text"])
        return
    address = parse_address(case["text"])
    assert address.pk.hex() == case["pk"]
    assert address.port == case["port"]
    assert str(address) == case["string"]


@given(st.text(max_size=90))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidValue):
        assert parse_address(text).port <= 65535


def test_the_null_key_is_no_destination() -> None:
    assert parse_address(":80") == Addr(NULL_KEY, 80)


@given(st.binary(min_size=24, max_size=500), st.binary(max_size=20), st.data())
def test_an_object_is_read_from_any_pieces(
    message: bytes, rest: bytes, data: st.DataObject
) -> None:
    raw = len(message).to_bytes(2, "big") + message + rest
    cut = data.draw(st.integers(0, len(raw) - len(rest)))
    reader = ObjectReader()
    first = reader.receive_data(raw[:cut])
    found = first or reader.receive_data(raw[cut:])
    assert found == (message, rest if first is None else b"")


def test_a_length_of_zero_is_a_ping_and_a_short_one_is_refused() -> None:
    assert ObjectReader().receive_data(b"\x00\x00") == (b"", b"")
    for length in (1, 23):
        with pytest.raises(RemoteProtocolError, match="24 to 65535"):
            ObjectReader().receive_data(bytes([0, length]))


def test_secret_keys_sign_what_their_public_key_verifies() -> None:
    for case in REQUESTS:
        if case["verify_error"] is None:
            secret = SecKey.parse(case["seckey"])
            assert parse_request(bytes.fromhex(case["signed_object"])).source.pk == secret.public()
