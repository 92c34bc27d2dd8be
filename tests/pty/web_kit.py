"""A scripted shell, and a browser of our own, for the web terminal's tests."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported, Refused, StreamReset
from skywire.pty import web_frames as frames
from skywire.pty.host import PtyHost
from skywire.pty.web import WebTerminals
from skywire.pty.web_session import End, Opened, Timing, WebSession
from skywire.pty.whitelist import Whitelist
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair

NATURAL_END = "read /dev/ptmx: input/output error"
LIMIT = 10.0  # seconds any wait of a test may take


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; nobody tells when, so it is asked again and again."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class FakeShell:
    """Echoes what is typed. `say` prints, `finish` and `fail` end it."""

    def __init__(self) -> None:
        self.typed = b""
        self.sizes: list[tuple[int, int]] = []
        self.pings = 0
        self.closed = 0
        self.reads = 0
        self.stuck = asyncio.Event()  # unset: Write gets no answer
        self.stuck.set()
        self.write_error: Exception | None = None
        self.echo = True
        self._output: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    def say(self, data: bytes) -> None:
        self._output.put_nowait(data)

    def finish(self) -> None:
        self._output.put_nowait(Refused(NATURAL_END, NATURAL_END))

    def fail(self, error: Exception) -> None:
        self._output.put_nowait(error)

    async def read(self, max_bytes: int) -> bytes:
        self.reads += 1
        item = await self._output.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def write(self, data: bytes) -> int:
        await self.stuck.wait()
        if self.write_error is not None:
            raise self.write_error
        self.typed += data
        if self.echo:
            self.say(data)
        return len(data)

    async def resize(self, cols: int, rows: int) -> None:
        self.sizes.append((cols, rows))

    async def ping(self) -> None:
        self.pings += 1

    async def close(self) -> None:
        self.closed += 1


class Browser:
    """The far end of the websocket: collects what comes, answers pings unless told not to."""

    def __init__(self, ws: ClientWebSocketResponse, pong: bool) -> None:
        self.ws = ws
        self.output = b""
        self.frames: list[bytes] = []
        self.texts: list[dict[str, Any]] = []
        self.pings = 0
        self._pong = pong

    @property
    def close_code(self) -> int | None:
        return self.ws.close_code

    async def read(self) -> bool:
        """Take one frame; False when the websocket is closed."""
        message = await self.ws.receive()
        if message.type is WSMsgType.BINARY:
            self.output += message.data
            self.frames.append(message.data)
        elif message.type is WSMsgType.TEXT:
            self.texts.append(json.loads(message.data))
        elif message.type is WSMsgType.PING:
            self.pings += 1
            if self._pong:
                await self.ws.pong(message.data)
        else:
            self.closing = message
            return False
        return True

    async def until(self, text: bytes) -> None:
        """Read until the output contains `text`."""
        async with asyncio.timeout(LIMIT):
            while text not in self.output:
                assert await self.read(), f"closed before {text!r}: {self.output[-300:]!r}"

    async def until_text(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT):
            while True:
                for text in self.texts:
                    if text["type"] == kind:
                        return text
                assert await self.read(), f"closed before a frame of type {kind}"

    async def until_closed(self) -> tuple[int | None, str]:
        """The closing code and its reason."""
        async with asyncio.timeout(LIMIT):
            while await self.read():
                pass
        reason = self.closing.extra if self.closing.type is WSMsgType.CLOSE else ""
        return self.ws.close_code, str(reason)

    def vanish(self) -> None:
        """Without a closing handshake."""
        connection = self.ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def type(self, text: str) -> None:
        await self.ws.send_bytes(text.encode())


class WebKit:
    """A server with one route, `/pty/x`; browsers connect to it."""

    def __init__(self, handler: Any, *, handler_cancellation: bool = False) -> None:
        app = web.Application()
        app.router.add_route("*", "/pty/x", handler)
        self._runner = web.AppRunner(
            app, handler_cancellation=handler_cancellation, shutdown_timeout=LIMIT
        )
        self.http = ClientSession()

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}/pty/x"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.close()
        await self._runner.cleanup()

    @asynccontextmanager
    async def browser(self, query: str = "", *, pong: bool = True) -> AsyncIterator[Browser]:
        url = self.url + (f"?{query}" if query else "")
        async with self.http.ws_connect(url, autoping=False, max_msg_size=0) as ws:
            yield Browser(ws, pong)


class Stage:
    """Serves `WebSession` with a `FakeShell` (or an error) behind it."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.shell = FakeShell()
        self.timing = timing or Timing()
        self.attached = False
        self.sid = ""
        self.refusal: Exception | None = None
        self.opening = asyncio.Event()  # unset: dialling takes for ever
        self.opening.set()
        self.size: frames.Resize | None = None
        self.sessions: list[WebSession] = []
        self.ends: asyncio.Queue[End] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False, compress=False, timeout=0.5)
        await ws.prepare(request)
        query = frames.parse_query(request.query, {"update": ("apt update", "apt upgrade")})
        banner = b"BANNER host:22"
        session = WebSession(ws, query, self.open, lambda _: banner, self.timing)
        self.sessions.append(session)
        self.ends.put_nowait(await session.run())
        return ws

    async def open(self, status: frames.Status, size: frames.SizeNow) -> Opened:
        await status("Dialing...")
        await self.opening.wait()
        self.size = size()
        if self.refusal is not None:
            raise self.refusal
        return Opened(self.shell, self.attached, self.sid, "host:22", "host", "dmsg")

    async def ended(self) -> End:
        async with asyncio.timeout(LIMIT):
            return await self.ends.get()


class Deaf(Stream):
    """A route to a node of 2024, where nobody listens on the port."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def local(self) -> Address:
        return self._stream.local

    @property
    def remote(self) -> Address:
        return self._stream.remote

    async def read(self, max_bytes: int = 65536) -> bytes:
        raise StreamReset("no listener on port 22, service offline (path: …)")

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_eof(self) -> None:
        await self._stream.write_eof()

    async def close(self) -> None:
        await self._stream.close()

    def abort(self) -> None:
        self._stream.abort()


class Node:
    """A real pty host with real shells, and a hypervisor's web terminals that dial it.

    `owner` is the hypervisor's key. `blocked` names networks whose dials hang; `missing` those
    that this hypervisor is not on.
    """

    def __init__(
        self,
        home: Path,
        *,
        persistent: bool = True,
        timing: Timing | None = None,
        owner: PubKey | None = None,
    ) -> None:
        self.key = deterministic_key_pair(b"node")[0]
        self.owner = owner or deterministic_key_pair(b"hv")[0]
        self.whitelist = Whitelist([self.owner])
        (home / ".bashrc").write_text("cd; PS1='$ '\n")
        environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        self.host = PtyHost(self.whitelist, persistent_sessions=persistent, environment=environment)
        self.terminals = WebTerminals(
            commands={"update": ("echo up''dated", "echo $$ >> ran")}, timing=timing
        )
        self.dials: list[str] = []
        self.blocked: set[str] = set()
        self.missing = {"skynet"}
        self.deaf: set[str] = set()  # networks on which it is reached and serves no terminals
        self.streams: list[Stream] = []
        self._tasks = Tasks("test node")

    async def __aenter__(self) -> Self:
        await self.host.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.terminals.close()
        for stream in self.streams:
            stream.abort()
        await self.host.__aexit__(None, None, None)
        await self._tasks.close()

    async def dial(self, pk: PubKey, port: int, scheme: str) -> Stream:
        assert (pk, port) == (self.key, 22)
        self.dials.append(scheme)
        if scheme in self.missing:
            raise NotSupported(f"this node is not on {scheme}")
        if scheme in self.blocked:
            await asyncio.Event().wait()
        network = scheme or "dmsg"
        ours, theirs = stream_pair(
            a=Address(network, self.owner.hex(), 50000, self.owner),
            b=Address(network, self.key.hex(), 22, self.key),
        )
        if scheme in self.deaf:
            return Deaf(ours)
        self._tasks.spawn(self.host.serve(theirs), "serve")
        self.streams.append(ours)
        return ours

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.terminals.handle(request, self.key, self.dial)
