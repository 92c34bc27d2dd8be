"""The visor's net/rpc on a TCP port, for the command line. Source: hypervisor.md §1 no. 3, 4.

It has no authentication, so a config that names no host gets the loopback address; one that names
another address on purpose is told what that means. Programs may leave connections open for as long
as they like: when there are too many, the one that has been silent the longest makes room.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from skywire.config.values import HostPort, is_loopback
from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError, StreamClosed
from skywire.platform.limits import open_files
from skywire.rpc.server import RpcServer
from skywire.streams.relay import copy_both
from skywire.streams.stream import READ_SIZE, Address, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.visor.caller import serve_node
from skywire.visor.modules import Report
from skywire.wire import rpc_bridge
from skywire.wire.rpc_bridge import Bridge

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 1200  # or a quarter of the files we may open: others need some, too
HEADER_LIMIT = 5.0  # seconds for a bridge header to be complete
DIAL_LIMIT = 30.0  # seconds for the way to another visor

Dial = Callable[[PubKey, int, str], Awaitable[Stream]]  # key, port, scheme


class LocalRpc:
    """`dial` reaches other visors, for programs that ask for one."""

    def __init__(self, address: HostPort, server: RpcServer, dial: Dial) -> None:
        self._address = address
        self._server = server
        self._dial = dial
        self._open: list[_Connection] = []
        self._limit = min(MAX_CONNECTIONS, open_files() // 4)

    async def serve(self, report: Report) -> None:
        """Until cancelled. Raises Conflict or Unavailable naming the port."""
        host = self._address.host or "127.0.0.1"
        if not is_loopback(host):
            log.warning(
                "cli_addr is open to the network address=%s: it has no authentication; "
                "use localhost:%d",
                self._address,
                self._address.port,
            )
        listener = await listen_tcp(host, self._address.port)
        tasks = Tasks("local rpc")
        report.up(rpc=str(listener.address))
        try:
            with suppress(StreamClosed):
                while True:
                    stream = await listener.accept()
                    if len(self._open) >= self._limit:
                        self._end_the_most_silent()
                    connection = _Connection(stream)
                    self._open.append(connection)
                    tasks.spawn(self._attend(connection), str(stream.remote))
        finally:
            await listener.close()
            await tasks.close()

    def _end_the_most_silent(self) -> None:
        silent = min(self._open, key=lambda connection: connection.last_read)
        log.info("local rpc is full, ending remote=%s limit=%d", silent.remote, self._limit)
        self._open.remove(silent)
        silent.abort()

    async def _attend(self, connection: "_Connection") -> None:
        try:
            if await connection.asks_for_a_bridge():
                await self._bridge(connection)
            else:
                await serve_node(self._server, connection)
        except (SkywireError, TimeoutError) as error:
            log.info("local rpc ended remote=%s reason=%s", connection.remote, error or "time")
            connection.abort()
        except BaseException:
            connection.abort()
            raise
        finally:
            if connection in self._open:
                self._open.remove(connection)

    async def _bridge(self, connection: "_Connection") -> None:
        """Ends without a word when the other visor is not reached: no RPC has begun."""
        async with asyncio.timeout(HEADER_LIMIT):
            wanted = Bridge.parse(await connection.take(rpc_bridge.SIZE))
        async with asyncio.timeout(DIAL_LIMIT):
            other = await self._dial(wanted.pk, wanted.port, wanted.scheme)
        await copy_both(connection, other)


class _Connection:
    """A stream whose first bytes can be looked at, and that knows when it was last read from."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._head = b""
        self._clock = asyncio.get_running_loop().time
        self.last_read = self._clock()

    async def asks_for_a_bridge(self) -> bool:
        """Look at as many bytes as it takes to tell, not at one more than there are."""
        while len(self._head) < len(rpc_bridge.MAGIC):
            if not rpc_bridge.MAGIC.startswith(self._head):
                return False
            data = await self._stream.read()
            self.last_read = self._clock()
            if not data:
                return False
            self._head += data
        return self._head.startswith(rpc_bridge.MAGIC)

    async def take(self, size: int) -> bytes:
        """The first `size` bytes. Raises StreamClosed when there are not so many."""
        while len(self._head) < size:
            data = await self._stream.read()
            if not data:
                raise StreamClosed(f"{self.remote} ended in its first {size} bytes")
            self._head += data
        taken, self._head = self._head[:size], self._head[size:]
        return taken

    @property
    def local(self) -> Address:
        return self._stream.local

    @property
    def remote(self) -> Address:
        return self._stream.remote

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        if self._head:
            data, self._head = self._head[:max_bytes], self._head[max_bytes:]
            return data
        data = await self._stream.read(max_bytes)
        self.last_read = self._clock()
        return data

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_eof(self) -> None:
        await self._stream.write_eof()

    async def close(self) -> None:
        await self._stream.close()

    def abort(self) -> None:
        self._stream.abort()
