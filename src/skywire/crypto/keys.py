"""Public keys, secret keys and signatures as bytes with a text form. Source: dmsg.md §1, §2."""

from functools import cached_property
from typing import Self

from skywire.crypto import curve
from skywire.errors import InvalidValue

PUBLIC_KEY_SIZE = 33
SECRET_KEY_SIZE = 32
SIGNATURE_SIZE = 65


def _unhex(text: str, size: int, what: str) -> bytes:
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * size else b""
    except ValueError:
        raw = b""
    if len(raw) != size:  # fromhex skips white space: then too few bytes are left
        shown = f'"{text[:80]}"' if what != "secret key" else f"(a text of {len(text)} characters)"
        raise InvalidValue(f"invalid {what} {shown}: expected {2 * size} hexadecimal characters")
    return raw


class PubKey(bytes):
    """33 bytes: a compressed secp256k1 point, or all zeros, the null key ("unset").

    The constructor checks the length only; `parse` and `validated` check that the point is on the
    curve (about 10 µs), which everything that comes from outside must pass.
    """

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != PUBLIC_KEY_SIZE:
            raise InvalidValue(f"public key has {len(raw)} bytes, expected {PUBLIC_KEY_SIZE}")
        return super().__new__(cls, raw)

    @classmethod
    def validated(cls, raw: bytes) -> Self:
        """Raises InvalidValue when `raw` is not a point of the curve (the null key is not)."""
        key = cls(raw)
        if not curve.is_point(key):
            raise InvalidValue(f'invalid public key "{key.hex()}": not a point of the curve')
        return key

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 66 hexadecimal characters, either case. Raises InvalidValue."""
        return cls.validated(_unhex(text, PUBLIC_KEY_SIZE, "public key"))

    @classmethod
    def parse_or_null(cls, text: str) -> "PubKey":
        """As JSON has it: "" and any number of zeros are the null key. Raises InvalidValue."""
        return cls.parse(text) if text.strip("0") else NULL_KEY

    @property
    def is_null(self) -> bool:
        return self == NULL_KEY

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"PubKey({self.hex()[:8]}…)"


NULL_KEY = PubKey(bytes(PUBLIC_KEY_SIZE))


class SecKey(bytes):
    """32 bytes, 0 < k < n. `str` and `repr` hide it; `hex()` shows it on purpose."""

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != SECRET_KEY_SIZE or not curve.is_scalar(raw):
            raise InvalidValue("invalid secret key: expected 32 bytes, a number 0 < k < n")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 64 hexadecimal characters, either case. Raises InvalidValue, never with the text."""
        return cls(_unhex(text, SECRET_KEY_SIZE, "secret key"))

    @cached_property
    def loaded(self) -> object:
        """For `curve` only: the key as the library wants it, kept because making it is slow."""
        return curve.load(self)

    def public(self) -> PubKey:
        return PubKey(curve.public_key(self))

    def __reduce__(self) -> tuple[type["SecKey"], tuple[bytes]]:
        return SecKey, (bytes(self),)

    def __str__(self) -> str:
        return "SecKey(hidden)"

    __repr__ = __str__


class Signature(bytes):
    """65 bytes: r ‖ s ‖ recovery id."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != SIGNATURE_SIZE:
            raise InvalidValue(f"signature has {len(raw)} bytes, expected {SIGNATURE_SIZE}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 130 hexadecimal characters. Raises InvalidValue."""
        return cls(_unhex(text, SIGNATURE_SIZE, "signature"))

    def __str__(self) -> str:
        return self.hex()
