"""The first bytes of a pty connection: which service is wanted, and the answer. Source: pty.md §2.

    client → host    1 byte length, URI
    host → client    0x00 accepted, anything else rejected

Go's host strips one leading slash, parses the rest as a URL and compares its escaped path.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qs

from skywire.errors import InvalidValue

MAX_URI = 255  # bytes
ACCEPTED = b"\x00"
REJECTED = b"\x01"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Target(NamedTuple):
    """A parsed URI: its path as it was written, and the first value of each query key."""

    path: str
    query: dict[str, str]


def encode_request(uri: str) -> bytes:
    raw = uri.encode()
    if len(raw) > MAX_URI:
        raise InvalidValue("request URI cannot be larger than 255 bytes")
    return bytes([len(raw)]) + raw


def parse_target(raw: bytes) -> Target | None:
    """None for what Go's URL parser refuses. A scheme or host stays part of the path: no match."""
    text = raw.decode("latin-1").removeprefix("/")
    text, _, fragment = text.partition("#")
    path, _, query = text.partition("?")
    if _CONTROL.search(text + fragment) or _BAD_ESCAPE.search(path) or _BAD_ESCAPE.search(fragment):
        return None
    fields = parse_qs(query, keep_blank_values=True, max_num_fields=MAX_URI)
    return Target(path, {key: values[0] for key, values in fields.items()})
