"""Serves apps in other processes, Go's and ours: each gets one connection. Source: apps.md §3."""

import asyncio
import logging
from collections.abc import Callable

from skywire.appkit.events import Broadcaster, Subscriber
from skywire.appkit.ingress import methods
from skywire.appkit.proc import MAX_CONNECTIONS, Proc
from skywire.errors import RemoteProtocolError, SkywireError
from skywire.rpc.server import RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.wire.app_hello import Hello, ProcKey, missing, receive_hello
from skywire.wire.buffer import Buffer

log = logging.getLogger(__name__)

HELLO_LIMIT = 10.0  # seconds for the hello; it is the first thing an app sends
MAX_APPS = 256  # connections at a time
# Each stream may have a read and a write under way, and there are calls besides.
MAX_CALLS = 2 * MAX_CONNECTIONS + 64
DRAIN = 1.0  # seconds for the last calls of an app that has ended

FindProc = Callable[[ProcKey], Proc | None]


class AppServer:
    """`find` knows which app a key belongs to. `events` are what apps can subscribe to."""

    def __init__(self, find: FindProc, events: Broadcaster) -> None:
        self._find = find
        self._events = events

    async def serve(self, listener: Listener) -> None:
        """Until the listener is closed; cancel to stop."""
        await serve_each(listener, self.answer, name="app server", limit=MAX_APPS)

    async def answer(self, stream: Stream) -> None:
        """One app, from its hello to its end."""
        async with asyncio.timeout(HELLO_LIMIT):
            hello = await _hello(stream)
        proc = self._find(hello.key)
        if proc is None or proc.attached or proc.ended:
            why = "no app has this key" if proc is None else f"{proc.name} has a connection already"
            log.warning("app refused remote=%s reason=%s", stream.remote, why)
            stream.abort()
            return
        proc.attached = True
        log.info("app connected name=%s remote=%s", proc.name, stream.remote)
        try:
            async with asyncio.TaskGroup() as tasks:
                subscribed = tasks.create_task(self._tell_events(proc, hello), name="app events")
                server = RpcServer(methods(proc), max_calls=MAX_CALLS, drain_time=DRAIN)
                await server.serve(stream)
                subscribed.cancel()
        finally:
            log.info("app connection ended name=%s", proc.name)
            await proc.close()

    async def _tell_events(self, proc: Proc, hello: Hello) -> None:
        """An app that cannot be told events runs on without."""
        if not hello.events:
            return
        try:
            await self._events.serve(Subscriber(proc.name, hello))
        except (SkywireError, TimeoutError) as error:
            log.warning("app gets no events name=%s reason=%s", proc.name, error or "time")


async def _hello(stream: Stream) -> Hello:
    buffer = Buffer()
    while (hello := receive_hello(buffer)) is None:
        data = await stream.read(missing(buffer))
        if not data:
            raise RemoteProtocolError("an app's connection ended before its hello")
        buffer.append(data)
    return hello
