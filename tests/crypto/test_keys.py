"""Vectors: pubkeys, pubkey_text, seckeys."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.address import address_of
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import NULL_KEY, PubKey, SecKey, Signature
from skywire.errors import InvalidValue
from skywire.testing import vectors


@pytest.mark.parametrize("vector", vectors.load("dmsg/pubkeys"), ids=lambda v: v["note"])
def test_public_keys_are_valid_as_in_go(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["pubkey"])
    if vector["valid"]:
        assert PubKey.validated(raw) == raw
    else:
        with pytest.raises(InvalidValue):
            PubKey.validated(raw)


@pytest.mark.parametrize("vector", vectors.load("dmsg/pubkey_text"), ids=lambda v: v["note"])
def test_texts_of_public_keys_read_as_in_go(vector: dict[str, Any]) -> None:
    """`set` is the command line, `unmarshal_text` is JSON: there zeros are the null key."""
    for parse, name in ((PubKey.parse, "set"), (PubKey.parse_or_null, "unmarshal_text")):
        if vector[f"{name}_error"] is None:
            assert str(parse(vector["text"])) == vector[f"{name}_result"]
        else:
            with pytest.raises(InvalidValue, match="invalid public key"):
                parse(vector["text"])


@pytest.mark.parametrize("vector", vectors.load("dmsg/seckeys"), ids=lambda v: v["note"])
def test_secret_keys_are_valid_as_in_go(vector: dict[str, Any]) -> None:
    if vector["error"] is None:
        secret = SecKey.parse(vector["seckey"])
        assert str(secret.public()) == vector["pubkey"]
        assert address_of(secret.public()) == vector["address"]
    else:
        with pytest.raises(InvalidValue, match="invalid secret key") as caught:
            SecKey.parse(vector["seckey"])
        assert vector["seckey"] not in str(caught.value)


def test_the_null_key_is_zeros_and_no_point() -> None:
    assert NULL_KEY.is_null
    assert str(NULL_KEY) == "0" * 66
    public, _ = key_pair()
    assert not public.is_null
    assert repr(public) == f"PubKey({str(public)[:8]}…)"
    with pytest.raises(InvalidValue, match="not a point"):
        PubKey.parse("0" * 66)


def test_a_secret_key_is_never_shown() -> None:
    _, secret = key_pair()
    assert secret.hex() not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(InvalidValue) as caught:
        SecKey.parse(secret.hex() + "00")
    assert secret.hex() not in str(caught.value)


def test_sizes_are_checked() -> None:
    for kind, size in ((PubKey, 33), (SecKey, 32), (Signature, 65)):
        assert kind(b"\1" * size)
        for wrong in (0, size - 1, size + 1):
            with pytest.raises(InvalidValue):
                kind(b"\1" * wrong)


@pytest.mark.parametrize("space", [" ", "\t", "\n"])
def test_white_space_inside_a_key_is_refused(space: str) -> None:
    text = str(key_pair()[0])
    for spaced in (space + text, text + space, text[:32] + space + text[33:]):
        with pytest.raises(InvalidValue, match="66 hexadecimal"):
            PubKey.parse(spaced)


def test_a_signature_reads_what_it_prints() -> None:
    signature = Signature(bytes(range(65)))
    assert Signature.parse(str(signature)) == signature
    with pytest.raises(InvalidValue, match="130 hexadecimal"):
        Signature.parse("00" * 64)


@given(st.text(max_size=140))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    for parse in (PubKey.parse, PubKey.parse_or_null, SecKey.parse, Signature.parse):
        with suppress(InvalidValue):
            parse(text)
