"""ChaCha20-Poly1305 with Noise nonces: 4 zero bytes, then a 64-bit little-endian counter."""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from skywire.errors import AuthenticationFailed

TAG_SIZE = 16
KEY_SIZE = 32
_nonce = struct.Struct("<4xQ").pack


class Aead:
    """One key. The caller owns the counters: a number must never be used twice for sealing."""

    __slots__ = ("_decrypt", "_encrypt", "encrypt_into")

    def __init__(self, key: bytes) -> None:
        cipher = ChaCha20Poly1305(key)
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        self.encrypt_into = cipher.encrypt_into

    def seal(self, number: int, plain: bytes | memoryview, data: bytes = b"") -> bytes:
        """Ciphertext and tag; `data` is authenticated, not sent."""
        return self._encrypt(_nonce(number), plain, data)

    def seal_into(self, number: int, plain: memoryview, out: memoryview) -> None:
        """As `seal`, written to `out`, which is exactly TAG_SIZE longer than `plain`."""
        self.encrypt_into(_nonce(number), plain, None, out)

    def open(self, number: int, sealed: bytes | memoryview, data: bytes = b"") -> bytes:
        """Raises AuthenticationFailed when key, number, `data` or a byte is wrong."""
        try:
            return self._decrypt(_nonce(number), sealed, data)
        except InvalidTag as error:
            raise AuthenticationFailed("message authentication failed") from error
