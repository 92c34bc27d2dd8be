"""Which directory a visor asks for dmsg entries. Source: config.md §2 (dmsg.discovery, servers)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from skywire.config.model import DmsgConfig
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.direct import StaticDirectory, delegate_to_all
from skywire.dmsg.discovery import ATTEMPTS, TIMEOUT, Directory, DiscoveryClient
from skywire.dmsg.seeding import PATIENCE, FirstOf, seeded
from skywire.errors import InvalidValue
from skywire.http.over_stream import Dial, DmsgConnector
from skywire.streams.stream import Stream
from skywire.visor.seeding import Known, known_to_helper
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
async def open_client(
    config: DmsgConfig, secret: SecKey, known: Known | None = None
) -> AsyncIterator[tuple[DmsgClient, Directory]]:
    """A client that begins to connect, and the directory it asks. Raises as `open_directory`."""
    made: list[DmsgClient] = []

    async def dial(pk: PubKey, port: int) -> Stream:
        return await made[0].dial(pk, port)

    async with open_directory(config, known, dial) as directory:
        client = DmsgClient(secret.public(), secret, directory, min_sessions=config.sessions_count)
        made.append(client)
        async with client:
            yield client, directory


@asynccontextmanager
async def open_directory(
    config: DmsgConfig, known: Known | None = None, dial: Dial | None = None
) -> AsyncIterator[Directory]:
    """The discovery, over HTTP and over dmsg; with what is `known` from the start, it may be away.

    `dial` is that of the client which gets this directory; without one there is no way over dmsg.
    `known` is by default what the config's dmsg section names. Raises InvalidValue naming the key.
    """
    if known is None:
        known = known_to_helper(config)
    over_http = config.discovery if not config.discovery.startswith("dmsg://") else ""
    over_dmsg = known.discovery if dial is not None and known.servers else ""
    if not over_http and not over_dmsg:
        if config.discovery:
            raise InvalidValue(
                f'dmsg.discovery: "{config.discovery[:100]}": expected http://, https://, or '
                "dmsg://<public key>:<port> and dmsg.servers to reach it by"
            )
        if not known.servers and not known.alone:
            raise InvalidValue(
                "dmsg.discovery is empty and dmsg.servers, too: nowhere to connect to"
            )
        yield StaticDirectory([*known.servers, *delegate_to_all(known.services, known.servers)])
        return
    async with AsyncExitStack() as stack:
        directories: list[Directory] = []
        both = bool(over_http and over_dmsg)
        timeout, attempts = (PATIENCE, 1) if both else (TIMEOUT, ATTEMPTS)
        for key, url in (("dmsg.discovery", over_http), ("dmsg.discovery_dmsg", over_dmsg)):
            if url:
                connector = DmsgConnector(dial) if dial and url == over_dmsg else None
                try:
                    client = DiscoveryClient(
                        url, connector=connector, timeout=timeout, attempts=attempts
                    )
                except InvalidValue as error:
                    raise InvalidValue(f"{key}: {error}") from error
                directories.append(await stack.enter_async_context(client))
        directory = FirstOf(directories) if both else directories[0]
        if config.servers_type != "all":
            directory = ServersOfType(directory, config.servers_type)
        yield seeded(directory, known.services, known.servers, first_known=not over_http)
