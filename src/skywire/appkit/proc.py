"""One app as its visor sees it: what it says of itself, and what it holds. Source: apps.md §3, §4.

The app may be a process, run inside the visor, or have been registered from outside: all three dial
and listen through the same object, so that state, figures and limits are the same.
"""

import asyncio
import time
from collections.abc import Callable

from skywire.appkit.connection import Connection
from skywire.appkit.network import Network
from skywire.appkit.tables import IdTable
from skywire.appkit.types import ProcConfig
from skywire.errors import Conflict, DialFailed, InvalidValue, StreamClosed
from skywire.streams.stream import Address, Listener
from skywire.wire.app_hello import ProcKey
from skywire.wire.gob_types import GoTime

MAX_CONNECTIONS = 1024  # of one app, those being accepted included
MAX_LISTENERS = 64
MAX_TEXT = 1024  # characters of a status or an error that an app reports
DIAL_LIMIT = 90.0  # seconds; an app's dial has no deadline of its own
PORT_TAKEN = "port already bound"  # Go's text


class Proc:
    """`on_status` is called when the app reports a status."""

    def __init__(
        self,
        config: ProcConfig,
        network: Network,
        on_status: Callable[["Proc"], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.key = ProcKey(config.proc_key)
        self.name = config.app_name
        self.status = ""  # the app's own word
        self.error = ""
        self.port = 0  # as the app reports it
        self.connection_seconds = 0  # how long it has been connected, as it reports
        self.started = GoTime.from_unix_ns(time.time_ns())
        self.ended = False
        self.attached = False  # it has connected to the app server
        self.connections: IdTable[Connection] = IdTable("conn", MAX_CONNECTIONS)
        self.listeners: IdTable[Listener] = IdTable("listener", MAX_LISTENERS)
        self._network = network
        self._on_status = on_status

    # What the app says

    def set_status(self, text: str) -> None:
        self.status = _bounded(text)
        self._on_status(self)

    def set_error(self, text: str) -> None:
        self.error = _bounded(text)

    # What it asks for

    async def dial(self, remote: Address) -> tuple[int, Connection]:
        """The number and the stream. Raises as `Network.dial`, DialFailed after `DIAL_LIMIT`."""
        if remote.pk is None:
            raise InvalidValue("a dial without a public key")
        number = self.connections.reserve()
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                stream = await self._network.dial(remote.pk, remote.port, remote.network)
        except TimeoutError:
            self.connections.free(number)
            raise DialFailed(f"{remote}: no answer within {DIAL_LIMIT:g} s") from None
        except BaseException:
            self.connections.free(number)
            raise
        return number, self._hold(number, Connection(stream))

    def listen(self, network: str, port: int) -> tuple[int, Listener]:
        """Raises Conflict when the port is taken, InvalidValue, NotSupported."""
        number = self.listeners.reserve()
        try:
            listener = self._network.listen(port, network)
        except Conflict as error:
            self.listeners.free(number)
            raise Conflict(PORT_TAKEN) from error
        except BaseException:
            self.listeners.free(number)
            raise
        self.listeners.put(number, listener)
        return number, listener

    async def accept(self, listener: Listener) -> tuple[int, Connection]:
        """Raises StreamClosed once the listener is closed."""
        number = self.connections.reserve()
        try:
            stream = await listener.accept()
        except BaseException:
            self.connections.free(number)
            raise
        return number, self._hold(number, Connection(stream))

    def _hold(self, number: int, connection: Connection) -> Connection:
        if self.ended:  # while it was dialled or accepted
            self.connections.free(number)
            connection.stream.abort()
            raise StreamClosed("the app has ended")
        self.connections.put(number, connection)
        return connection

    async def close_connection(self, number: int) -> None:
        """Raises NotFound."""
        await self.connections.take(number).stream.close()

    async def close_listener(self, number: int) -> None:
        """Raises NotFound."""
        await self.listeners.take(number).close()

    async def close(self) -> None:
        """The app has ended: so does all it held. Idempotent."""
        self.ended = True
        listeners, connections = list(self.listeners.values()), list(self.connections.values())
        self.listeners = IdTable("listener", MAX_LISTENERS)
        self.connections = IdTable("conn", MAX_CONNECTIONS)
        for connection in connections:
            connection.stream.abort()
        for listener in listeners:
            await listener.close()


def _bounded(text: str) -> str:
    return text[:MAX_TEXT]
