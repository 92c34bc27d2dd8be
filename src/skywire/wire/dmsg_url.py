"""Addresses in URLs: `dmsg://<pk>[:port]/path`, `<pk>[:port]` and `<pk>.dmsg`.

Source: dmsg.md §7, §13. (The tolerant text form of addresses in dmsg objects is `wire/dmsg.py`'s.)
"""

from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.ports import DMSG_HTTP

SCHEME = "dmsg"
EXAMPLE = "dmsg://<public key>[:port]/path"


class DmsgUrl(NamedTuple):
    """`authority` is what the Host header must be: the key, and the port if it was written."""

    pk: PubKey
    port: int
    authority: str
    path: str  # with the query

    def __str__(self) -> str:
        return f"{SCHEME}://{self.authority}{self.path}"


def parse_url(text: str) -> DmsgUrl:
    """Raises InvalidValue: wrong scheme, no key, a port out of range, or a user name."""
    try:
        parts: SplitResult = urlsplit(text)
    except ValueError:
        raise InvalidValue(f'invalid URL "{text[:200]}": expected {EXAMPLE}') from None
    if parts.scheme.lower() != SCHEME or "@" in parts.netloc:
        raise InvalidValue(f'invalid URL "{text[:200]}": expected {EXAMPLE}')
    pk, port = parse_address(parts.netloc)
    query = f"?{parts.query}" if parts.query else ""
    return DmsgUrl(pk, port, parts.netloc.lower(), (parts.path or "/") + query)


def parse_address(text: str, default_port: int = DMSG_HTTP) -> tuple[PubKey, int]:
    """`<pk>` or `<pk>:<port>`. Raises InvalidValue."""
    key, colon, digits = text.partition(":")
    port = default_port
    if colon:
        port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
        if not 0 < port < 65536:
            raise InvalidValue(
                f'invalid port "{digits[:20]}" in "{text[:100]}": expected 1 to 65535'
            )
    return PubKey.parse(key), port


def key_of_host(host: str, suffix: str = ".dmsg") -> PubKey | None:
    """The key in `<pk>.dmsg`; None when `host` does not end in `suffix`. Raises InvalidValue when
    it does and there is no key before it: such names exist nowhere else.
    """
    name = host.rstrip(".").lower()
    if not name.endswith(suffix.lower()):
        return None
    return PubKey.parse(name[: -len(suffix)])


def redirected(url: DmsgUrl, location: str) -> DmsgUrl:
    """Where a `Location` header leads, relative or absolute. Raises InvalidValue off dmsg."""
    scheme, colon, rest = location.partition(":")
    if colon and scheme.lower() == SCHEME:
        location = rest
    try:
        # urljoin resolves relative references for the schemes it knows only
        joined = urlsplit(urljoin(f"http://{url.authority}{url.path}", location))
    except ValueError:
        raise InvalidValue(f'"{url}" redirects to "{location[:200]}", which is no URL') from None
    if joined.scheme != "http" or location.lower().startswith("http:"):
        raise InvalidValue(f'"{url}" redirects to "{location[:200]}", which is not on dmsg')
    return parse_url(joined._replace(scheme=SCHEME, fragment="").geturl())
