"""A person's terminal joined to a shell on another node: keys, output, size, leaving.

~.    at the start of a line: leave; a kept session goes on
~~    at the start of a line: one ~
"""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from enum import Enum
from typing import Any

from skywire.errors import Refused, SkywireError, StreamReset
from skywire.platform.console import Console
from skywire.pty.client import READ_SIZE, PtyClient
from skywire.pty.types import LOST, NATURAL_END, STOPPED, WinSize
from skywire.pty.web_input import Input
from skywire.streams.supervise import Backoff, Tasks

END_OF_INPUT = b"\x04"  # what Ctrl-D types
END_AGAIN = (0.2, 60.0)  # seconds until it is typed again: first, at most

log = logging.getLogger(__name__)


class End(Enum):
    EXITED = "exited"  # the shell
    LEFT = "left"  # the person, by ~.
    TERMINATED = "terminated"  # this process was told to end


class Escapes:
    """Finds `~.` and `~~` after a line end in what is typed."""

    def __init__(self) -> None:
        self._line_start = True
        self._tilde = False  # one waits for what follows it

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to send, and whether to leave; nothing behind `~.` is sent."""
        out = bytearray()
        for byte in data:
            if self._tilde:
                self._tilde = False
                if byte == ord("."):
                    return bytes(out), True
                if byte != ord("~"):
                    out += b"~"
            elif self._line_start and byte == ord("~"):
                self._tilde = True
                self._line_start = False
                continue
            out.append(byte)
            self._line_start = byte in b"\r\n"
        return bytes(out), False


async def interact(client: PtyClient, console: Console) -> End:
    """Until the shell ends or the person leaves; raises when the connection is lost.

    The shell is started or attached to already; the caller closes `client`.
    """
    return await _Interaction(client, console).run()


def window(size: tuple[int, int, int, int] | None) -> WinSize | None:
    if size is None:
        return None
    rows, cols, x, y = size
    return WinSize(x=x, y=y, rows=rows, cols=cols)


class _Interaction:
    def __init__(self, client: PtyClient, console: Console) -> None:
        self._client = client
        self._console = console
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("terminal")
        self._input = Input()
        self._resized = asyncio.Event()
        self._ended: asyncio.Future[End] = self._loop.create_future()

    async def run(self) -> End:
        handlers = {
            signal.SIGWINCH: self._resized.set,
            signal.SIGCONT: self._continued,
            signal.SIGTERM: self._terminated,
            signal.SIGHUP: self._terminated,
        }
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler)
        try:
            for work in (self._show(), self._read_keys(), self._send(), self._follow_size()):
                self._tasks.spawn(self._watched(work))
            self._tasks.spawn(self._client.keep_alive())
            return await self._ended
        finally:
            for number in handlers:
                self._loop.remove_signal_handler(number)
            await self._tasks.close()

    def _end(self, end: End) -> None:
        """The first end counts."""
        if not self._ended.done():
            self._ended.set_result(end)

    def _terminated(self) -> None:
        self._end(End.TERMINATED)

    def _continued(self) -> None:
        self._console.make_raw()
        self._resized.set()

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (SkywireError, OSError) as error:
            if not self._ended.done():
                self._ended.set_exception(error)

    async def _show(self) -> None:
        try:
            while True:
                await self._console.write(await self._client.read(READ_SIZE))
        except Refused as error:
            if error.reason in LOST:
                raise StreamReset(str(error)) from error
            if error.reason not in (NATURAL_END, STOPPED):
                raise
            self._end(End.EXITED)

    async def _read_keys(self) -> None:
        escapes = Escapes()
        while data := await self._console.read():
            if self._console.is_terminal:
                data, leave = escapes.feed(data)
                if leave:
                    self._end(End.LEFT)
                    return
            await self._input.put(data)
        if self._console.is_terminal:
            self._end(End.TERMINATED)  # it was hung up
        else:
            await self._type_end()

    async def _type_end(self) -> None:
        """The end of a script, whose last command still runs. Typed again until the shell ends:

        a shell that is still starting up loses it, when it switches its terminal to raw mode.
        """
        pauses = Backoff(*END_AGAIN, factor=2)
        while True:
            await self._input.put(END_OF_INPUT)
            await asyncio.sleep(pauses.next())

    async def _send(self) -> None:
        await self._input.run(self._client.write)

    async def _follow_size(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            size = window(self._console.size())
            if size is not None:
                await self._client.set_size(size)
