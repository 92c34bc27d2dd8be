"""How far away is another visor, over a route? Source: apps.md §10 (2026's form: an echo).

`dial` has a route ready to the other's echo port, `ping` sends messages there and back over it.
"""

import asyncio
import logging
from time import monotonic

from skywire.appkit.network import Network
from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, RemoteProtocolError, SkywireError, StreamReset
from skywire.ports import SKYNET_PING
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.visor.modules import Report

log = logging.getLogger(__name__)

DIAL_LIMIT = 60.0  # seconds for a route
ECHO_LIMIT = 10.0  # seconds for one message there and back
IDLE_LIMIT = 300.0  # seconds without a message, then an echo stream is closed
MAX_ECHOES = 64  # streams answered at a time
MAX_ROUTES = 64  # kept to others
MAX_TRIES = 100  # of one ping
MAX_SIZE = 64  # KiB of a message
READ_SIZE = 64 * 1024


class Pings:
    def __init__(self, own: PubKey, network: Network) -> None:
        self._own = own
        self._network = network
        self._routes: dict[PubKey, Stream] = {}
        self._turns: dict[PubKey, asyncio.Lock] = {}

    async def serve(self, report: Report) -> None:
        """The echo of this visor."""
        listener = self._network.listen(SKYNET_PING)
        report.up()
        try:
            await serve_each(listener, _echo, name="echo", limit=MAX_ECHOES)
        finally:
            await listener.close()

    async def dial(self, pk: PubKey) -> None:
        """Have a route to `pk` ready. Raises InvalidValue, DialFailed, NotFound."""
        if pk == self._own:
            raise InvalidValue("Visor cannot ping itself")
        if pk in self._routes:
            return
        if len(self._routes) >= MAX_ROUTES:
            raise InvalidValue(f"{MAX_ROUTES} visors are pinged already: stop one first")
        async with asyncio.timeout(DIAL_LIMIT):
            stream = await self._network.dial(pk, SKYNET_PING)
        if pk in self._routes:  # somebody else was quicker
            await stream.close()
        else:
            self._routes[pk] = stream

    async def ping(self, pk: PubKey, tries: int, size: int) -> list[float]:
        """Seconds of each of `tries` messages of `size` KiB (at least 1 byte), there and back.

        Raises NotFound when there is no route, StreamReset when it has just ended.
        """
        if not 0 < tries <= MAX_TRIES or not 0 <= size <= MAX_SIZE:
            raise InvalidValue(
                f"{tries} messages of {size} KiB: expected 1 to {MAX_TRIES} of 0 to {MAX_SIZE}"
            )
        async with self._turns.setdefault(pk, asyncio.Lock()):
            stream = self._routes.get(pk)
            if stream is None:
                raise NotFound(f"no route to {pk} is ready: dial first")
            taken = []
            try:
                for _ in range(tries):
                    message = generate.random_bytes(max(1, size * 1024))
                    begin = monotonic()
                    async with asyncio.timeout(ECHO_LIMIT):
                        await stream.write(message)
                        await _expect(stream, message)
                    taken.append(monotonic() - begin)
            except (SkywireError, TimeoutError):
                self._routes.pop(pk, None)
                stream.abort()
                raise
            return taken

    async def stop(self, pk: PubKey) -> None:
        """Close the route to `pk`, if there is one."""
        stream = self._routes.pop(pk, None)
        self._turns.pop(pk, None)
        if stream is not None:
            await stream.close()


async def _expect(stream: Stream, message: bytes) -> None:
    answer = b""
    while len(answer) < len(message):
        data = await stream.read(len(message) - len(answer))
        if not data:
            raise StreamReset(f"{stream.remote} has closed the route")
        answer += data
    if answer != message:
        raise RemoteProtocolError(f"{stream.remote} answered something else")


async def _echo(stream: Stream) -> None:
    while True:
        async with asyncio.timeout(IDLE_LIMIT):
            data = await stream.read(READ_SIZE)
            if not data:
                break
            await stream.write(data)
    await stream.close()
