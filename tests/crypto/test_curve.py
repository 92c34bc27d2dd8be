"""Vectors: ecdh, signatures, signatures_verify, pubkeys (as points)."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto import curve
from skywire.crypto.generate import key_pair
from skywire.errors import AuthenticationFailed, InvalidValue
from skywire.testing import vectors

OFF_CURVE = b"\x02" + bytes(31) + b"\x05"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELD = 2**256 - 2**32 - 977


@pytest.mark.parametrize("vector", vectors.load("dmsg/ecdh"))
def test_both_sides_share_the_secret_of_go(vector: dict[str, Any]) -> None:
    raw = {name: bytes.fromhex(text) for name, text in vector.items()}
    assert curve.public_key(raw["seckey_a"]) == raw["pubkey_a"]
    assert curve.ecdh(raw["pubkey_b"], raw["seckey_a"]) == raw["ecdh"]
    assert curve.ecdh(raw["pubkey_a"], raw["seckey_b"]) == raw["ecdh"]
    assert curve.multiply(raw["pubkey_b"], raw["seckey_a"]) == raw["shared_point"]
    assert sha256(raw["shared_point"]).digest() == raw["ecdh"]


@pytest.mark.parametrize("vector", vectors.load("dmsg/signatures"))
def test_signatures_of_go_verify_and_recover(vector: dict[str, Any]) -> None:
    raw = {name: bytes.fromhex(text) for name, text in vector.items()}
    assert sha256(raw["payload"]).digest() == raw["sha256"]
    ours = curve.sign(raw["payload"], raw["seckey"])
    for signature in (raw["signature"], raw["other_valid_signature"], ours):
        curve.verify(raw["pubkey"], raw["payload"], signature)
        assert curve.recover(raw["payload"], signature) == raw["pubkey"]


@pytest.mark.parametrize(
    "vector", vectors.load("dmsg/signatures_verify"), ids=lambda vector: vector["note"]
)
def test_verification_ends_as_in_go(vector: dict[str, Any]) -> None:
    arguments = [bytes.fromhex(vector[name]) for name in ("pubkey", "payload", "signature")]
    if vector["valid"]:
        curve.verify(*arguments)
        return
    with pytest.raises(AuthenticationFailed) as caught:
        curve.verify(*arguments)
    assert str(caught.value) == vector["error"]


def test_a_point_is_on_the_curve_and_below_the_field_prime() -> None:
    assert curve.is_point(key_pair()[0])
    assert not curve.is_point(OFF_CURVE)
    assert not curve.is_point(b"\x02" + (FIELD + 1).to_bytes(32, "big"))  # x = 1 is a point
    assert not curve.is_point(b"")


def test_a_scalar_lies_between_zero_and_the_order() -> None:
    assert curve.is_scalar((ORDER - 1).to_bytes(32, "big"))
    assert not curve.is_scalar(ORDER.to_bytes(32, "big"))
    assert not curve.is_scalar(bytes(32))
    assert not curve.is_scalar(b"\1" * 31)


def test_a_key_off_the_curve_is_refused() -> None:
    _, secret = key_pair()
    with pytest.raises(InvalidValue, match="not a point"):
        curve.ecdh(OFF_CURVE, secret)
    with pytest.raises(InvalidValue, match="not a point"):
        curve.multiply(OFF_CURVE, secret)


@given(st.binary(max_size=70), st.binary(max_size=40))
def test_any_bytes_as_a_signature_are_refused(signature: bytes, payload: bytes) -> None:
    pk, _ = key_pair()
    with pytest.raises(AuthenticationFailed):
        curve.verify(pk, payload, signature)


@given(st.binary(min_size=65, max_size=65))
def test_what_recovers_verifies_unless_s_is_high(signature: bytes) -> None:
    try:
        public = curve.recover(b"payload", signature)
    except AuthenticationFailed:
        return
    if signature[32] & 0x80:
        with pytest.raises(AuthenticationFailed, match="Validity"):
            curve.verify(public, b"payload", signature)
    else:
        curve.verify(public, b"payload", signature)
