"""Vectors: keys, key_chains."""

from typing import Any

import pytest

from skywire.crypto import curve
from skywire.crypto.address import address_of, parse_address
from skywire.crypto.generate import deterministic_key_pair, key_pair, random_bytes
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.testing import vectors


@pytest.mark.parametrize("vector", vectors.load("dmsg/keys"), ids=lambda v: v["seed"][:16])
def test_a_seed_makes_the_keys_of_go(vector: dict[str, Any]) -> None:
    public, secret, next_seed = deterministic_key_pair(bytes.fromhex(vector["seed"]))
    assert str(public) == vector["pubkey"]
    assert secret.hex() == vector["seckey"]
    assert next_seed.hex() == vector["next_seed"] == vector["secp256k1_hash"]
    assert address_of(public) == vector["address"]
    assert parse_address(vector["address"]).hex() == vector["address_bytes"][:40]


@pytest.mark.parametrize("vector", vectors.load("dmsg/key_chains"), ids=lambda v: v["seed"])
def test_a_chain_goes_on_with_the_next_seed(vector: dict[str, Any]) -> None:
    seed = bytes.fromhex(vector["seed"])
    for expected in vector["seckeys"]:
        _, secret, seed = deterministic_key_pair(seed)
        assert secret.hex() == expected
    assert seed.hex() == vector["final_seed"]


def test_an_empty_seed_is_refused() -> None:
    with pytest.raises(InvalidValue, match="must not be empty"):
        deterministic_key_pair(b"")


def test_random_pairs_differ_and_are_valid() -> None:
    pairs = {key_pair() for _ in range(20)}
    assert len(pairs) == 20
    assert all(PubKey.validated(public) == secret.public() for public, secret in pairs)
    assert len(random_bytes(7)) == 7


def test_a_number_that_is_no_scalar_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One number in 2^128 is too large: nobody has seen it happen, so make it happen."""
    refused: list[bytes] = []

    def picky(raw: bytes) -> bool:
        if len(refused) < 3:
            refused.append(raw)
            return False
        return real(raw)

    real = curve.is_scalar
    monkeypatch.setattr(curve, "is_scalar", picky)
    assert key_pair()[1] not in refused
    refused.clear()
    assert deterministic_key_pair(b"seed")[1] not in refused
