"""Tokens that prove a change was asked for by our own page. Source: hypervisor.md §3.2.

token = base64url(JSON) "." base64url(HMAC-SHA256(JSON, key)), both without padding
JSON  = {"Nonce": base64 of 64 random bytes, "ExpiresAt": RFC 3339 with nanoseconds}
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from skywire.crypto.generate import random_bytes
from skywire.errors import Forbidden

HEADER = "X-CSRF-Token"
LIFETIME = timedelta(seconds=30)
MAX_TOKEN = 1024  # characters
_SIZE = 64  # bytes of nonce and key


class CsrfTokens:
    """`clock` gives the time now, with its zone. The key lives as long as the process."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._key = random_bytes(_SIZE)

    def issue(self) -> str:
        expires = (self._clock() + LIFETIME).astimezone(UTC)
        content = json.dumps(
            {
                "Nonce": base64.b64encode(random_bytes(_SIZE)).decode(),
                "ExpiresAt": expires.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            },
            separators=(",", ":"),
        ).encode()
        return f"{_encode(content)}.{_encode(self._sign(content))}"

    def check(self, token: str | None, method: str) -> None:
        """Raises Forbidden with Go's text: missing, invalid or expired."""
        if not token:
            raise Forbidden(f"no csrf token for {method} request")
        content, _, signature = token.partition(".")
        try:
            if len(token) > MAX_TOKEN:
                raise ValueError("too long")
            raw = _decode(content)
            genuine = hmac.compare_digest(self._sign(raw), _decode(signature))
        except (ValueError, binascii.Error):
            genuine = False
        if not genuine:
            raise Forbidden("invalid CSRF token")
        if datetime.fromisoformat(json.loads(raw)["ExpiresAt"]) <= self._clock():
            raise Forbidden("csrf token expired")

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Strict: another spelling of the same bytes is refused, too."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:
        raise ValueError(text)
    return data
