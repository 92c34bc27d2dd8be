"""The service `pty` of a connection that is passed on to another host. Source: pty.md §2, §3.2.

Sessions that outlive the connection are not offered: on the far host all local users of this node
would have the same key and could attach to each other's.
"""

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.pty.client import PtyClient
from skywire.pty.dialing import check_scheme
from skywire.pty.gateway import check_read_size, methods_of
from skywire.pty.types import CommandReq
from skywire.rpc.server import Method


def parse_query(query: dict[str, str]) -> tuple[PubKey, int, str]:
    """Key, port and scheme of `dmsgpty/proxy?pk=…&port=…`. Raises InvalidValue.

    The scheme is ours: "dmsg" or "skynet" is the only network to go over. Go's hosts mind no such
    thing.
    """
    try:
        pk = PubKey.parse(query.get("pk", ""))
    except InvalidValue as error:
        raise InvalidValue(f"invalid query value 'pk': {error}") from error
    port = query.get("port", "")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 0xFFFF):
        raise InvalidValue(f"invalid query value 'port': \"{port}\" is no number up to 65535")
    return pk, int(port), check_scheme(query.get("scheme", ""))


def proxy_methods(remote: PtyClient) -> dict[str, Method]:
    """Handlers that ask `remote`; its error texts come back unchanged."""

    async def start(request: CommandReq) -> None:
        await remote.start(request)

    async def stop(_: None) -> None:
        await remote.stop()

    async def read(size: int) -> bytes:
        check_read_size(size)
        return await remote.read(size)

    async def ping(_: None) -> None:
        await remote.ping()

    return methods_of(
        {
            "pty.Start": start,
            "pty.Stop": stop,
            "pty.Read": read,
            "pty.Write": remote.write,
            "pty.SetPtySize": remote.set_size,
            "pty.Ping": ping,
            "pty.Exec": remote.execute,
        }
    )
