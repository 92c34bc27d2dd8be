"""Vectors: addresses; those of keys are in test_generate.py and test_keys.py."""

import hashlib
from contextlib import suppress
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.address import address_of, parse_address
from skywire.crypto.generate import key_pair
from skywire.errors import InvalidValue, NotSupported
from skywire.testing import vectors


@pytest.mark.parametrize("vector", vectors.load("dmsg/addresses"), ids=lambda v: v["note"])
def test_addresses_read_as_in_go(vector: dict[str, Any]) -> None:
    if vector["error"] is None:
        assert parse_address(vector["address"]).hex() == vector["bytes"][:40]
    else:
        with pytest.raises(InvalidValue, match=vector["error"] + "$"):
            parse_address(vector["address"])


def test_an_address_reads_what_a_key_prints() -> None:
    address = address_of(key_pair()[0])
    assert len(parse_address(address)) == 20
    with pytest.raises(InvalidValue):
        parse_address(address[:-1])
    with pytest.raises(InvalidValue, match="Invalid address length"):
        parse_address("1" + address)


@given(st.text(alphabet="123456789ABCDEFabc0OIl", max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(InvalidValue):
        assert len(parse_address(text)) == 20


def test_an_openssl_without_the_hash_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, data: bytes) -> NoReturn:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", missing)
    with pytest.raises(NotSupported, match="RIPEMD-160"):
        address_of(key_pair()[0])
