"""Which directory a visor asks for dmsg entries. Source: config.md §2 (dmsg.discovery, servers)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.config.model import DmsgConfig
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.discovery import Directory, DiscoveryClient
from skywire.errors import InvalidValue, NotSupported
from skywire.wire import entry
from skywire.wire.entry import Entry


class ServersOfType:
    """A directory that offers servers of one type only, for our own sessions.

    Looking up an entry is not restricted: a peer is reached through the servers it chose.
    """

    def __init__(self, directory: Directory, kind: str) -> None:
        self._directory = directory
        self._kind = kind
        self.entry = directory.entry
        self.post = directory.post
        self.delete = directory.delete

    async def available_servers(self) -> list[Entry]:
        return self._only(await self._directory.available_servers())

    async def all_servers(self) -> list[Entry]:
        return self._only(await self._directory.all_servers())

    def _only(self, servers: list[Entry]) -> list[Entry]:
        return [one for one in servers if one.server and one.server.server_type == self._kind]


@asynccontextmanager
async def open_directory(config: DmsgConfig) -> AsyncIterator[Directory]:
    """The discovery by its URL; without one the fixed servers of the config alone.

    Raises InvalidValue naming the key, NotSupported for a discovery that is itself behind dmsg.
    """
    if config.discovery.startswith("dmsg://"):
        raise NotSupported(
            f'dmsg.discovery: "{config.discovery}" is not supported by this version; '
            "give an http:// or https:// URL"
        )
    if config.discovery:
        try:
            client = DiscoveryClient(config.discovery)
        except InvalidValue as error:
            raise InvalidValue(f"dmsg.discovery: {error}") from error
        async with client:
            kind = config.servers_type
            yield client if kind == "all" else ServersOfType(client, kind)
        return
    if not config.servers:
        raise InvalidValue("dmsg.discovery is empty and dmsg.servers, too: nowhere to connect to")
    try:
        servers = [entry.from_json(server) for server in config.servers]
    except InvalidValue as error:
        raise InvalidValue(f"dmsg.servers: {error}") from error
    yield StaticDirectory(servers)
