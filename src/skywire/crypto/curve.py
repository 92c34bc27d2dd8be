"""secp256k1 by coincurve, with Skycoin's conventions. Source: dmsg.md §1, §2.

Works on plain bytes so that it stands below `keys.py`: public keys are 33 bytes, secret keys 32,
signatures 65 (r ‖ s ‖ recovery id over SHA-256 of the payload).
"""

from hashlib import sha256

from coincurve import PrivateKey, PublicKey
from coincurve.utils import GROUP_ORDER_INT

from skywire.errors import AuthenticationFailed, InvalidValue

_ZERO_DIGEST = bytes(32)


def is_point(raw: bytes) -> bool:
    if len(raw) != 33:
        return False
    try:
        PublicKey(raw)
    except ValueError:
        return False
    return True


def is_scalar(raw: bytes) -> bool:
    return len(raw) == 32 and 0 < int.from_bytes(raw, "big") < GROUP_ORDER_INT


def load(secret: bytes) -> PrivateKey:
    """coincurve's form of a secret key; it derives the public one at once, which takes 37 µs."""
    return PrivateKey(secret)


def _loaded(secret: bytes) -> PrivateKey:
    """A `SecKey` is loaded once and keeps the result; plain bytes are loaded each time."""
    loaded = getattr(secret, "loaded", None)
    return loaded if isinstance(loaded, PrivateKey) else PrivateKey(secret)


def public_key(secret: bytes) -> bytes:
    return _loaded(secret).public_key.format(compressed=True)


def multiply(public: bytes, scalar: bytes) -> bytes:
    """The compressed point scalar·public. Raises InvalidValue for a key that is no point."""
    try:
        return PublicKey(public).multiply(scalar).format(compressed=True)
    except ValueError as error:
        raise InvalidValue(f"not a point of the curve: {public.hex()}") from error


def ecdh(public: bytes, secret: bytes) -> bytes:
    """SHA-256 of the compressed shared point. Raises InvalidValue for a key off the curve."""
    try:
        return _loaded(secret).ecdh(public)
    except ValueError as error:
        raise InvalidValue(f"not a point of the curve: {public.hex()}") from error


def sign(payload: bytes, secret: bytes) -> bytes:
    """Deterministic nonce, low s. Source: dmsg.md §2."""
    return _loaded(secret).sign_recoverable(payload)


def recover(payload: bytes, signature: bytes) -> bytes:
    """The public key that signed `payload`. Raises AuthenticationFailed, the reference's text."""
    if len(signature) != 65:
        raise AuthenticationFailed("Invalid signature length")
    if signature[64] >= 4 or sha256(payload).digest() == _ZERO_DIGEST:
        raise AuthenticationFailed("Failed to recover pubkey from signature")
    try:
        return PublicKey.from_signature_and_message(signature, payload).format(compressed=True)
    except Exception as error:  # coincurve raises just that
        raise AuthenticationFailed("Failed to recover pubkey from signature") from error


def verify(public: bytes, payload: bytes, signature: bytes) -> None:
    """Raises AuthenticationFailed unless `public` signed `payload`, with s in the lower half.

    The texts are the reference's: services send them to their clients (services.md §1.3).
    """
    if len(signature) == 65 and signature[64] & 4:
        raise AuthenticationFailed("VerifySignatureRecoverPubKey, VerifySignatureValidity failed")
    recovered = recover(payload, signature)
    if signature[32] & 0x80:
        raise AuthenticationFailed("VerifySignatureRecoverPubKey, VerifySignatureValidity failed")
    if recovered != public:
        raise AuthenticationFailed("Recovered pubkey does not match pubkey")
