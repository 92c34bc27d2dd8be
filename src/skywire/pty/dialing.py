"""How the pty reaches another node: `Dial(key, port, scheme)`. Source: pty.md §7 (`scheme`)."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.streams.stream import Stream

SCHEMES = ("", "dmsg", "skynet")

Dial: TypeAlias = Callable[[PubKey, int, str], Awaitable[Stream]]
"""`scheme` "dmsg" or "skynet" allows that network only; "" leaves the choice. The caller sets the
deadline. Raises DialFailed, Refused, NotFound; NotSupported for a network this node is not on."""


def check_scheme(scheme: str) -> str:
    """Raises InvalidValue when `scheme` is none of `SCHEMES`."""
    if scheme not in SCHEMES:
        raise InvalidValue(f'unknown scheme "{scheme[:40]}": expected dmsg, skynet or nothing')
    return scheme
