"""Noise handshakes XK and KK over secp256k1. Source: dmsg.md §3, Noise specification §5, §7.

    initiator                      responder
    WRITE ──── message 1 ────────▶ READ
    READ  ◀─── message 2 ───────── WRITE
    WRITE ──── message 3 (XK) ───▶ READ
    DONE                           DONE        any refused message: FAILED, for good

Deviations from the Noise specification, kept because the reference has them: a DH output is SHA-256
of the compressed point plus one zero byte; after XK the two transport keys are swapped.
"""

import hmac
from enum import Enum
from hashlib import sha256
from typing import NamedTuple

from skywire.crypto import curve
from skywire.crypto.aead import TAG_SIZE, Aead
from skywire.crypto.keys import PUBLIC_KEY_SIZE, PubKey, SecKey
from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError

MAX_HANDSHAKE_MESSAGE = 4094  # the largest frame of dmsg.md §3


class _Pattern(NamedTuple):
    name: bytes
    initiator_known: bool  # the responder knows the initiator's static key beforehand
    messages: tuple[tuple[str, ...], ...]


class Pattern(Enum):
    """Which keys both sides know beforehand, and what each message carries."""

    XK = _Pattern(
        b"Noise_XK_Secp256k1_ChaChaPoly_SHA256", False, (("e", "es"), ("e", "ee"), ("s", "se"))
    )
    KK = _Pattern(
        b"Noise_KK_Secp256k1_ChaChaPoly_SHA256", True, (("e", "es", "ss"), ("e", "ee", "se"))
    )


class State(Enum):
    WRITE = "our turn to write"
    READ = "waiting for the peer's message"
    DONE = "keys are ready"
    FAILED = "broken"


def _hash(data: bytes) -> bytes:
    return sha256(data).digest()


# Chaining key and hash after the protocol name and the empty prologue.
_START = {p: (_hash(p.value.name), _hash(_hash(p.value.name))) for p in Pattern}


class Handshake:
    """One side of one handshake; reproducible from its keys, the ephemeral one included.

    `remote` is required except for an XK responder, which learns it from message 3.
    """

    __slots__ = (
        "_chaining_key",
        "_cipher",
        "_counter",
        "_ephemeral",
        "_hash",
        "_initiator",
        "_message",
        "_pattern",
        "_remote_ephemeral",
        "_secret",
        "receive_key",
        "remote",
        "send_key",
        "state",
    )

    def __init__(
        self,
        pattern: Pattern,
        *,
        initiator: bool,
        public: PubKey,
        secret: SecKey,
        ephemeral: SecKey,
        remote: PubKey | None,
    ) -> None:
        if remote is None and (initiator or pattern.value.initiator_known):
            raise LocalProtocolError(f"{pattern.name}: this side must know the peer's key")
        self._pattern = pattern
        self._initiator = initiator
        self._secret = secret
        self._ephemeral = ephemeral
        self._remote_ephemeral = b""
        self.remote = remote
        self._message = 0
        self._cipher: Aead | None = None
        self._counter = 0
        self._chaining_key, self._hash = _START[pattern]
        self.send_key = b""
        self.receive_key = b""
        self.state = State.WRITE if initiator else State.READ
        ours, theirs = public, remote or public
        if pattern.value.initiator_known:
            self._mix_hash(ours if initiator else theirs)
        self._mix_hash(theirs if initiator else ours)

    @property
    def handshake_hash(self) -> bytes:
        return self._hash

    def write_message(self, payload: bytes = b"") -> bytes:
        """The next message to send, unframed. Raises InvalidValue when the peer's key is no key."""
        if self.state is not State.WRITE:
            raise LocalProtocolError(f"noise: cannot write, {self.state.value}")
        parts = []
        for token in self._pattern.value.messages[self._message]:
            if token == "e":  # noqa: S105 - a token of the pattern language
                key = curve.public_key(self._ephemeral)
                self._mix_hash(key)
                parts.append(key)
            elif token == "s":  # noqa: S105
                parts.append(self._encrypt(curve.public_key(self._secret)))
            else:
                self._mix_dh(token)
        parts.append(self._encrypt(payload))
        self._advance()
        return b"".join(parts)

    def read_message(self, message: bytes) -> bytes:
        """Take the peer's message, return its payload (to be ignored, but it is hashed).

        Raises RemoteProtocolError (AuthenticationFailed when a tag is wrong); then it is broken.
        """
        if self.state is not State.READ:
            raise LocalProtocolError(f"noise: cannot read, {self.state.value}")
        self.state = State.FAILED
        try:
            payload = self._read(message)
        except InvalidValue as error:
            raise RemoteProtocolError(f"noise: the peer sent an invalid key: {error}") from error
        self._advance()
        return payload

    def _read(self, message: bytes) -> bytes:
        position = 0
        for token in self._pattern.value.messages[self._message]:
            if token == "e":  # noqa: S105
                key = message[:PUBLIC_KEY_SIZE]
                position = PUBLIC_KEY_SIZE
                if len(message) < position + TAG_SIZE:
                    raise RemoteProtocolError(
                        f"noise: message of {len(message)} bytes is too short"
                    )
                self._remote_ephemeral = PubKey.validated(key)
                self._mix_hash(key)
            elif token == "s":  # noqa: S105
                end = position + PUBLIC_KEY_SIZE + TAG_SIZE
                if len(message) < end + TAG_SIZE:
                    raise RemoteProtocolError(
                        f"noise: message of {len(message)} bytes is too short"
                    )
                self.remote = PubKey.validated(self._decrypt(message[position:end]))
                position = end
            else:
                self._mix_dh(token)
        return self._decrypt(message[position:])

    def _advance(self) -> None:
        self._message += 1
        wrote_last = self._message % 2 == (1 if self._initiator else 0)
        if self._message < len(self._pattern.value.messages):
            self.state = State.READ if wrote_last else State.WRITE
            return
        self.state = State.DONE
        first, second = self._hkdf(b"")
        # Who writes the last message encrypts with the second key: for XK the opposite of Noise.
        self.send_key, self.receive_key = (second, first) if wrote_last else (first, second)
        self._cipher = None

    def _mix_hash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()

    def _hkdf(self, material: bytes) -> tuple[bytes, bytes]:
        temporary = hmac.digest(self._chaining_key, material, "sha256")
        first = hmac.digest(temporary, b"\x01", "sha256")
        return first, hmac.digest(temporary, first + b"\x02", "sha256")

    def _mix_dh(self, token: str) -> None:
        """`token` names the initiator's key first: "es" is its ephemeral with our static."""
        ours, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        public = self._remote_ephemeral if theirs == "e" else self.remote
        secret = self._ephemeral if ours == "e" else self._secret
        if public is None:
            raise LocalProtocolError(f"noise: {token} before the key is known")
        shared = curve.ecdh(public, secret) + b"\x00"
        self._chaining_key, key = self._hkdf(shared)
        self._cipher = Aead(key)
        self._counter = 0

    def _encrypt(self, plain: bytes) -> bytes:
        if self._cipher is None:
            raise LocalProtocolError("noise: no key yet")
        sealed = self._cipher.seal(self._counter, plain, self._hash)
        self._counter += 1
        self._mix_hash(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        if self._cipher is None:
            raise LocalProtocolError("noise: no key yet")
        plain = self._cipher.open(self._counter, sealed, self._hash)
        self._counter += 1
        self._mix_hash(sealed)
        return plain
