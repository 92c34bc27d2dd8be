"""New keys and nonces: the only source of randomness. Source: dmsg.md §1."""

import secrets
from hashlib import sha256

from skywire.crypto import curve
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue


def random_bytes(count: int) -> bytes:
    return secrets.token_bytes(count)


def key_pair() -> tuple[PubKey, SecKey]:
    while not curve.is_scalar(raw := secrets.token_bytes(32)):
        pass
    secret = SecKey(raw)
    return secret.public(), secret


def _step(data: bytes) -> bytes:
    while True:
        data = sha256(data).digest()
        if curve.is_scalar(data):
            return data


def deterministic_key_pair(seed: bytes) -> tuple[PubKey, SecKey, bytes]:
    """Key pair of a non-empty seed, and the seed of the next pair in the chain."""
    if not seed:
        raise InvalidValue("the seed of a key pair must not be empty")
    start = sha256(seed).digest()
    scalar = _step(start)
    point = curve.public_key(_step(sha256(start).digest()))
    next_seed = sha256(start + curve.multiply(point, scalar)).digest()
    secret = SecKey(_step(sha256(seed + next_seed).digest()))
    return secret.public(), secret, next_seed
