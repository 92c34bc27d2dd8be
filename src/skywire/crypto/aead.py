"""ChaCha20-Poly1305 with Noise nonces: 4 zero bytes, then a 64-bit little-endian counter."""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from skywire.errors import AuthenticationFailed

__all__ = ["KEY_SIZE", "TAG_SIZE", "Aead", "InvalidTag", "nonce"]

TAG_SIZE = 16
KEY_SIZE = 32
nonce = struct.Struct("<4xQ").pack  # from a counter


class Aead:
    """One key. The caller owns the counters: a number must never be used twice for sealing.

    `encrypt_into(nonce, plain, None, out)` and `decrypt(nonce, sealed, None)`, which raises
    InvalidTag, are for loops over many frames, where one more call for each is felt.
    """

    __slots__ = ("_encrypt", "decrypt", "encrypt_into")

    def __init__(self, key: bytes) -> None:
        cipher = ChaCha20Poly1305(key)
        self._encrypt = cipher.encrypt
        self.decrypt = cipher.decrypt
        self.encrypt_into = cipher.encrypt_into

    def seal(self, number: int, plain: bytes | memoryview, data: bytes = b"") -> bytes:
        """Ciphertext and tag; `data` is authenticated, not sent."""
        return self._encrypt(nonce(number), plain, data)

    def open(self, number: int, sealed: bytes | memoryview, data: bytes = b"") -> bytes:
        """Raises AuthenticationFailed when key, number, `data` or a byte is wrong."""
        try:
            return self.decrypt(nonce(number), sealed, data)
        except InvalidTag as error:
            raise AuthenticationFailed("message authentication failed") from error
