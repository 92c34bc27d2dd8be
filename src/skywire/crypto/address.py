"""Skycoin addresses, to which rewards are paid. Source: dmsg.md §1.

    base58(key hash, 20 bytes ‖ version, 1 byte ‖ checksum, 4 bytes)

Version and checksum stand behind the hash, not before it as in Bitcoin.
"""

import hashlib

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotSupported

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_HASH_SIZE = 20
_SIZE = 25
_MAX_TEXT = 64  # characters; 25 bytes make at most 35
_VERSION = b"\0"


def address_of(pk: PubKey) -> str:
    """The address of a public key. Raises NotSupported where Python lacks RIPEMD-160."""
    digest = hashlib.sha256(hashlib.sha256(pk).digest()).digest()
    try:
        key_hash = hashlib.new("ripemd160", digest).digest()
    except ValueError as error:
        raise NotSupported("this Python's OpenSSL has no RIPEMD-160; version 3.0.7 has") from error
    return _to_base58(key_hash + _VERSION + _checksum(key_hash + _VERSION))


def parse_address(text: str) -> bytes:
    """The 20-byte key hash of an address. Raises InvalidValue; the reason is the reference's."""
    raw = _from_base58(text)
    body, checksum = raw[:-4], raw[-4:]
    if len(raw) != _SIZE:
        reason = "Invalid address length"
    elif checksum != _checksum(body):
        reason = "Invalid checksum"
    elif body[_HASH_SIZE:] != _VERSION:
        reason = "Address version invalid"
    else:
        return body[:_HASH_SIZE]
    raise InvalidValue(f'invalid Skycoin address "{text}": {reason}')


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:4]


def _to_base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + text


def _from_base58(text: str) -> bytes:
    if not 0 < len(text) <= _MAX_TEXT:
        raise InvalidValue(f'invalid Skycoin address "{text[:_MAX_TEXT]}": Invalid base58 string')
    number = 0
    for char in text:
        digit = _ALPHABET.find(char)
        if digit < 0:
            raise InvalidValue(f'invalid Skycoin address "{text}": Invalid base58 character')
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
