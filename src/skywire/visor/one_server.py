"""A directory that offers one dmsg server for our sessions, as `skywire visor --dmsg-server`."""

from skywire.crypto.keys import PubKey
from skywire.dmsg.discovery import Directory
from skywire.wire.entry import Entry


class OneServer:
    """Looking up an entry is not restricted: a peer is reached through the servers it chose."""

    def __init__(self, directory: Directory, server: PubKey) -> None:
        self._directory = directory
        self._server = server
        self.entry = directory.entry
        self.post = directory.post
        self.delete = directory.delete

    async def available_servers(self) -> list[Entry]:
        return await self.all_servers()  # it is wanted, however full it says it is

    async def all_servers(self) -> list[Entry]:
        found = await self._directory.all_servers()
        return [entry for entry in found if entry.static == self._server]
