"""An app inside the visor: no connection in between. Source: architecture.md §12."""

from skywire.appkit.network import SKYNET
from skywire.appkit.proc import Proc
from skywire.crypto.keys import PubKey
from skywire.streams.stream import READ_SIZE, Address, Listener, Stream


class LocalHost:
    """The `Host` of an app in this process."""

    def __init__(self, proc: Proc) -> None:
        self._proc = proc

    @property
    def pk(self) -> PubKey:
        return self._proc.config.visor_pk

    @property
    def port(self) -> int:
        return self._proc.config.routing_port

    async def dial(self, pk: PubKey, port: int, network: str = SKYNET) -> Stream:
        number, _ = await self._proc.dial(Address(network, str(pk), port, pk))
        return LocalStream(self._proc, number)

    async def listen(self, port: int, network: str = SKYNET) -> Listener:
        number, listener = self._proc.listen(network, port)
        return LocalListener(self._proc, number, listener)

    async def set_status(self, text: str) -> None:
        self._proc.set_status(text)

    async def set_error(self, text: str) -> None:
        self._proc.set_error(text)

    async def set_port(self, port: int) -> None:
        self._proc.port = port

    async def set_connection_duration(self, seconds: int) -> None:
        self._proc.connection_seconds = seconds


class LocalListener:
    def __init__(self, proc: Proc, number: int, listener: Listener) -> None:
        self.address = listener.address
        self._proc = proc
        self._number = number
        self._listener = listener

    async def accept(self) -> Stream:
        number, _ = await self._proc.accept(self._listener)
        return LocalStream(self._proc, number)

    async def close(self) -> None:
        self._proc.listeners.free(self._number)
        await self._listener.close()


class LocalStream:
    """A stream of the visor's that counts as the app's until it is closed."""

    __slots__ = ("_connection", "_number", "_proc", "local", "remote")

    def __init__(self, proc: Proc, number: int) -> None:
        self._proc = proc
        self._number = number
        self._connection = proc.connections.get(number)
        self.local = self._connection.stream.local
        self.remote = self._connection.stream.remote

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        data = await self._connection.stream.read(max_bytes)
        self._connection.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        await self._connection.stream.write(data)
        self._connection.sent += len(data)

    async def write_eof(self) -> None:
        await self._connection.stream.write_eof()

    async def close(self) -> None:
        self._proc.connections.free(self._number)
        await self._connection.stream.close()

    def abort(self) -> None:
        self._proc.connections.free(self._number)
        self._connection.stream.abort()
