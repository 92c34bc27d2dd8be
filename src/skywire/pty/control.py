"""The control socket: from the command line to the pty host of this machine. Source: pty.md §1."""

import asyncio

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, StreamReset
from skywire.pty.mux import request_service
from skywire.pty.types import PROXY_URI
from skywire.streams.stream import Stream
from skywire.streams.tcp import SocketListener
from skywire.streams.unix import dial_unix, listen_unix

CONNECT_TIMEOUT = 5.0  # seconds
SERVICE_TIMEOUT = 25.0  # seconds; a proxy request makes the node dial another one


async def listen_control(network: str, path: str) -> SocketListener:
    """For `PtyHost.accept_control`. The socket file is for our own user only.

    Replaces the file of a dead process; raises Conflict when a live one uses it.
    """
    if network != "unix":
        raise InvalidValue(f'pty.cli_network is "{network}": expected "unix"')
    return await listen_unix(path)


async def dial_control(path: str, uri: str) -> Stream:
    """A stream to service `uri` of the node whose control socket is `path`."""
    async with asyncio.timeout(CONNECT_TIMEOUT):
        stream = await dial_unix(path)
    try:
        async with asyncio.timeout(SERVICE_TIMEOUT):
            await request_service(stream, uri)
    except TimeoutError:
        stream.abort()
        raise TimeoutError(f"the node at {path} did not answer in {SERVICE_TIMEOUT:g} s") from None
    except BaseException as error:
        stream.abort()
        if isinstance(error, StreamReset) and uri.startswith(PROXY_URI):
            raise DialFailed(
                "the node could not reach that host, or is not in its whitelist; "
                "the node's log has the reason"
            ) from error
        raise
    return stream


def proxy_uri(pk: PubKey, port: int, scheme: str = "") -> str:
    """`scheme` is what only our hosts mind; see `proxy.parse_query`."""
    return f"{PROXY_URI}?pk={pk}&port={port}" + (f"&scheme={scheme}" if scheme else "")
