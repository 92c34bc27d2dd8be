"""One browser's terminal: a websocket on one side, a shell on the other. Source: pty.md §7.

    opening ──▶ open ──▶ ended(End)
       └───────────────────▲

Whatever ends first ends the rest. The shell is closed on every way out; a persistent one lives on.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import NamedTuple, Protocol

from aiohttp import WSMsgType, web

from skywire.errors import InvalidValue, Refused, SkywireError
from skywire.pty import web_frames as frames
from skywire.pty.web_input import BUFFER_LIMIT, WRITE_TIME, Input
from skywire.pty.web_output import FRAME_INTERVAL, Output
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

READ_SIZE = 32768  # bytes of one Read call
DEFAULT_SIZE = frames.Resize(cols=100, rows=30)
ENDED_TEXTS = ("read /dev/ptmx: input/output error", "EOF")  # how a shell's own end reads


@dataclass(frozen=True)
class Timing:
    """Seconds; tests shorten them."""

    keepalive: float = 10.0  # between pings to the browser
    pong: float = 8.0  # for the browser's pong
    ping: float = 30.0  # between pings to the shell's host; a 2026 stream idles out after 2 min
    page_ping: float = 10.0  # the same when our page shows the round trip
    answer: float = 20.0  # for the host's answer to a ping or a resize
    write: float = WRITE_TIME
    frame: float = FRAME_INTERVAL
    goodbye: float = 5.0  # for the last lines and the closing handshake
    detach: float = 5.0  # for closing the shell's side


class End(Enum):
    """Why a terminal ended; the value is what our page is told."""

    LEFT = "left"  # the browser closed or vanished
    KEEPALIVE = "keepalive"  # the browser did not answer a ping
    GOING_AWAY = "going away"  # this server stops
    LOGGED_OUT = "logged out"  # the login that opened it has ended
    EXIT = "exit"  # the shell ended
    LOST = "lost"  # the stream to the shell broke
    UNREACHABLE = "unreachable"  # there never was a shell: dialling failed
    REFUSED = "refused"  # there never was a shell and another try would not help


class Shell(Protocol):
    """The far end, open. Errors: Refused is the host's answer, anything else a broken stream."""

    async def read(self, max_bytes: int) -> bytes: ...
    async def write(self, data: bytes) -> int: ...
    async def resize(self, cols: int, rows: int) -> None: ...
    async def ping(self) -> None: ...
    async def close(self) -> None:
        """Detach from a persistent session, stop a classic one. Idempotent, never raises."""
        ...


class Opened(NamedTuple):
    shell: Shell
    attached: bool  # an earlier session: its output follows anew, nothing is typed
    sid: str  # of a fresh persistent session; "" otherwise
    host: str  # address
    title: str  # the host's name; "" when it has none
    via: str  # network of the stream: "dmsg", "skynet", "unix"


class Opener(Protocol):
    """Reaches the shell. Raises Refused or InvalidValue when another try would not help."""

    async def __call__(self, status: frames.Status, size: frames.SizeNow) -> Opened: ...


class WebSession:
    """`run` once; `end` from outside stops it."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        query: frames.Query,
        opener: Opener,
        banner: Callable[[str], bytes],
        timing: Timing,
    ) -> None:
        self._ws = ws
        self._query = query
        self._opener = opener
        self._banner = banner
        self._timing = timing
        self._clock = monotonic  # uvloop's own clock counts whole milliseconds
        self._tasks = Tasks("web terminal")
        self._ended: asyncio.Future[tuple[End, str]] = asyncio.get_running_loop().create_future()
        self._input = Input(timing.write)
        self._output = Output(ws.send_bytes, flow=query.flow, frame_interval=timing.frame)
        self._size = DEFAULT_SIZE
        self._resized = asyncio.Event()
        self._pong = asyncio.Event()
        self._deaf = False  # not reading the websocket
        self._was_deaf = False  # since the last ping
        self._browser_rtt = 0.0
        self._opened: Opened | None = None
        self._told = False  # that input is refused

    def end(self, end: End, text: str = "") -> None:
        """The first end counts."""
        if not self._ended.done():
            self._ended.set_result((end, text))

    async def run(self) -> End:
        try:
            self._spawn(self._receive(), "receive")
            self._spawn(self._keep_alive(), "keep alive")
            self._spawn(self._output.run(), "output")
            self._spawn(self._serve(), "shell")
            end, text = await self._ended
            await self._tasks.close()
            log.info("web terminal ended reason=%s text=%s", end.value, frames.printable(text))
            await self._say_goodbye(end, text)
        finally:
            await self._tasks.close()
            await self._leave_shell()
        return end

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        self._tasks.spawn(self._watched(work), name)

    async def _watched(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except ConnectionResetError:  # of the websocket: streams raise our own errors
            self.end(End.LEFT)
        except (SkywireError, TimeoutError) as error:
            self.end(*self._reason(error))
        except Exception:
            log.exception("web terminal broke")
            self.end(End.LOST, "internal error; see the server's log")

    def _reason(self, error: Exception) -> tuple[End, str]:
        text = str(error) or "no answer in time"
        if self._opened is None:
            final = isinstance(error, InvalidValue | Refused)
            return (End.REFUSED if final else End.UNREACHABLE), text
        if isinstance(error, Refused) and error.reason in ENDED_TEXTS:
            return End.EXIT, text
        return End.LOST, text

    # From the browser

    async def _receive(self) -> None:
        while True:
            message = await self._ws.receive()
            if message.type is WSMsgType.BINARY:
                await self._type(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._receive_text(message.data)
            elif message.type is WSMsgType.PING:
                await self._ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pong.set()
            else:
                self.end(End.LEFT)
                return

    async def _receive_text(self, text: str) -> None:
        frame = frames.parse_text(text, self._query.flow)
        if isinstance(frame, bytes):
            await self._type(frame)
        elif isinstance(frame, frames.Resize):
            self._size = frame
            self._resized.set()
        elif isinstance(frame, frames.Ack):
            self._output.acknowledge(frame.chars)
        else:
            log.debug("web terminal frame ignored reason=%s", frame.reason)

    async def _type(self, data: bytes) -> None:
        if not data:
            return
        if self._query.view:
            await self._refuse_input()
            return
        self._output.input_arrived()
        self._set_deaf(len(self._input) + len(data) > BUFFER_LIMIT)
        await self._input.put(data)
        self._set_deaf(False)

    async def _refuse_input(self) -> None:
        if self._query.flow and not self._told:
            self._told = True
            await self._send_text(frames.refused_frame())

    def _set_deaf(self, deaf: bool) -> None:
        """While input is full, neither pongs nor acknowledgements are read: do not miss them."""
        self._deaf = deaf
        self._was_deaf = self._was_deaf or deaf
        self._output.set_deaf(deaf)

    async def _keep_alive(self) -> None:
        due = self._clock()
        while True:
            due += self._timing.keepalive
            await asyncio.sleep(due - self._clock())
            self._pong.clear()
            self._was_deaf = self._deaf
            sent = self._clock()
            try:
                async with asyncio.timeout(self._timing.pong):
                    await self._ws.ping()
                    await self._pong.wait()
            except TimeoutError:
                if not self._was_deaf:
                    self.end(End.KEEPALIVE, "keepalive ping failed")
                    return
            else:
                self._browser_rtt = self._clock() - sent

    # To and from the shell

    async def _serve(self) -> None:
        opened = await self._opener(self._show_status, lambda: self._size)
        self._opened = opened
        if self._query.flow:
            await self._send_text(
                frames.open_frame(opened.attached, opened.via, opened.title, self._query.view)
            )
        if opened.sid:
            await self._send_text(frames.session_frame(opened.sid))
        if not opened.attached:
            await self._output.write(self._banner(opened.host))
            if self._query.typed:
                await self._input.put(self._query.typed)
        if not self._query.view:
            self._spawn(self._input.run(opened.shell.write), "input")
            self._spawn(self._resize(opened.shell), "resize")
        self._spawn(self._ping(opened.shell), "ping")
        while True:
            await self._output.room()
            await self._output.write(await opened.shell.read(READ_SIZE))

    async def _resize(self, shell: Shell) -> None:
        """Latest size wins; a refusal does not matter, a broken stream shows in the read."""
        while True:
            await self._resized.wait()
            self._resized.clear()
            with suppress(SkywireError, TimeoutError):
                async with asyncio.timeout(self._timing.answer):
                    await shell.resize(*self._size)

    async def _ping(self, shell: Shell) -> None:
        """Keep the stream from idling out; tell our page the round trip. Any answer will do."""
        pause = self._timing.page_ping if self._query.flow else self._timing.ping
        while True:
            sent = self._clock()
            with suppress(Refused):
                async with asyncio.timeout(self._timing.answer):
                    await shell.ping()
            if self._query.flow:
                rtt = self._browser_rtt + self._clock() - sent
                await self._send_text(frames.link_frame(rtt))
            await asyncio.sleep(pause)

    # To the browser

    async def _show_status(self, text: str) -> None:
        await self._output.write(frames.status_line(text))

    async def _send_text(self, text: str) -> None:
        """In order with the output before it."""
        await self._output.flush()
        await self._ws.send_str(text)

    async def _leave_shell(self) -> None:
        if self._opened is not None:
            with suppress(SkywireError, TimeoutError):
                async with asyncio.timeout(self._timing.detach):
                    await self._opened.shell.close()

    async def _say_goodbye(self, end: End, text: str) -> None:
        """Never end silently; to a browser that is gone, silence is all there is."""
        code, word = 1000, b"closed"
        if end is End.KEEPALIVE:
            code, word = 1001, b"keepalive ping failed"
        elif end is End.GOING_AWAY:
            code, word = 1001, b"server going away"
        with suppress(ConnectionResetError, TimeoutError, RuntimeError):
            async with asyncio.timeout(self._timing.goodbye):
                if end not in (End.LEFT, End.KEEPALIVE):
                    await self._last_words(end, text)
                await self._ws.close(code=code, message=word)

    async def _last_words(self, end: End, text: str) -> None:
        if self._opened is not None:
            await self._output.write(frames.CLOSED_LINE)
        else:
            await self._output.write(frames.error_line(text))
            await self._output.write(frames.status_line("Stopped!"))
        await self._output.flush()
        if self._query.flow:
            await self._ws.send_str(frames.closed_frame(end.value, text))
