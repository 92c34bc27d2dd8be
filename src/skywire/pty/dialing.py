"""How the pty reaches another node: `Dial(key, port, scheme)`. Source: pty.md §7 (`scheme`).

A node of 2024 takes a route to any port, and says only then that nobody listens there (routing.md
§6): its terminals are on dmsg alone.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, StreamError
from skywire.pty.client import MAX_MESSAGE, PtyClient
from skywire.streams.stream import Stream

SCHEMES = ("", "dmsg", "skynet")
NOBODY_LISTENS = "no listener on port"

Dial: TypeAlias = Callable[[PubKey, int, str], Awaitable[Stream]]
"""`scheme` "dmsg" or "skynet" allows that network only; "" leaves the choice. The caller sets the
deadline. Raises DialFailed, Refused, NotFound; NotSupported for a network this node is not on."""


def check_scheme(scheme: str) -> str:
    """Raises InvalidValue when `scheme` is none of `SCHEMES`."""
    if scheme not in SCHEMES:
        raise InvalidValue(f'unknown scheme "{scheme[:40]}": expected dmsg, skynet or nothing')
    return scheme


async def dial_host(
    dial: Dial, pk: PubKey, port: int, scheme: str, *, max_message: int = MAX_MESSAGE
) -> PtyClient:
    """The pty host of a node, asked already; over dmsg when the choice was ours and a route leads
    to nobody. The caller sets the deadline.
    """
    stream = await dial(pk, port, scheme)
    try:
        return await PtyClient.connect(stream, max_message=max_message)
    except StreamError as error:
        if scheme or not leads_to_nobody(stream, error):
            raise
    return await PtyClient.connect(await dial(pk, port, "dmsg"), max_message=max_message)


def leads_to_nobody(stream: Stream, error: StreamError) -> bool:
    """Whether `stream`, which failed with `error`, is a route to a node without this service."""
    return stream.remote.network == "skynet" and NOBODY_LISTENS in str(error)
