"""A program on a terminal: its output is pumped out, input goes in, Stop ends all of it.

The pump is the only reader of the terminal. It runs in the event loop's read callback and takes at
most `PUMP_BUDGET` bytes at a time, so that a flood leaves the loop to others between two turns.
Source: pty.md §4, §6.2.
"""

import asyncio
import errno
import logging
import os
from collections import deque
from typing import NamedTuple, Protocol

from skywire.errors import StreamClosed
from skywire.platform.processes import Child
from skywire.platform.pty import foreground_group, set_size
from skywire.pty.types import CLOSED_PIPE, NATURAL_END, STOPPED, WinSize

CHUNK = 32 * 1024  # bytes asked for in one read of the terminal
PUMP_BUDGET = 32 * 1024  # bytes per read callback; Linux gives at most 4095 per read
FULL_READ = 2048  # a read of less than this has emptied the terminal, most likely
DRAIN_LIMIT = 1 << 20  # bytes taken after the program's end: what others still print is not ours

log = logging.getLogger(__name__)


class ShellOutput(Protocol):
    """Where a shell delivers to. `receive_end` comes once, after all output."""

    def receive_output(self, data: bytes) -> None: ...

    def receive_end(self, reason: str) -> None: ...


class Shell(Protocol):
    """What a session needs from the program it owns."""

    async def write(self, data: bytes) -> None:
        """Returns when the terminal has taken all of `data`, or the program has ended."""
        ...

    def write_now(self, data: bytes) -> int:
        """How many bytes the terminal takes without waiting; none while earlier ones wait.

        All of them when the program has ended.
        """
        ...

    def resize(self, size: WinSize) -> None: ...

    def pause(self) -> None:
        """Let output wait in the terminal; the program waits with it."""
        ...

    def resume(self) -> None: ...

    async def stop(self) -> None:
        """Kill the program and its whole session, within about a second. Idempotent."""
        ...


class _Input(NamedTuple):
    data: memoryview
    taken: asyncio.Future[None]


class TerminalShell:
    """A Shell on a real terminal. Owns `master` and `child`."""

    def __init__(self, master: int, child: Child, output: ShellOutput) -> None:
        self._loop = asyncio.get_running_loop()
        self._master = master  # -1 once closed
        self._child = child
        self._output = output
        self._input: deque[_Input] = deque()  # bounded by the calls that wait for it
        self._paused = False
        self._after_end = -1  # bytes read since the program ended; -1 while it runs
        self._stopping: asyncio.Future[None] | None = None
        self._loop.add_reader(master, self._pump)
        child.exited.add_done_callback(self._child_exited)

    @property
    def pid(self) -> int:
        return self._child.pid

    def _pump(self) -> None:
        taken = 0
        while self._master >= 0 and not self._paused:
            try:
                data = os.read(self._master, CHUNK)
            except BlockingIOError:
                if self._after_end >= 0:  # only background jobs still hold the terminal
                    self._finish(NATURAL_END)
                return
            except OSError as error:
                self._finish(NATURAL_END if error.errno == errno.EIO else STOPPED)
                return
            if not data:
                self._finish(STOPPED)
                return
            self._output.receive_output(data)
            taken += len(data)
            if self._after_end >= 0:
                self._after_end += len(data)
                if self._after_end > DRAIN_LIMIT:
                    self._finish(NATURAL_END)
                    return
            elif len(data) < FULL_READ:
                return
            if taken >= PUMP_BUDGET:
                if self._after_end >= 0:  # the kernel may have nothing more to report
                    self._loop.call_soon(self._pump)
                return

    def _child_exited(self, _: asyncio.Future[None]) -> None:
        self._after_end = 0
        self._pump()

    def _finish(self, reason: str) -> None:
        """No more output: let go of the terminal, and tell."""
        if self._master < 0:
            return
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        os.close(self._master)
        self._master = -1
        while self._input:
            taken = self._input.popleft().taken
            if taken.done():
                continue
            if reason == NATURAL_END:
                taken.set_result(None)  # as in Go: written to nobody
            else:
                taken.set_exception(StreamClosed(CLOSED_PIPE))
        self._output.receive_end(reason)

    async def write(self, data: bytes) -> None:
        rest = data[self.write_now(data) :]
        if not rest:
            return
        waiting = _Input(memoryview(rest), self._loop.create_future())
        if not self._input:
            self._loop.add_writer(self._master, self._feed)
        self._input.append(waiting)
        await waiting.taken  # cancelled: `_feed` skips it

    def write_now(self, data: bytes) -> int:
        if self._master < 0:
            return len(data)
        return 0 if self._input else self._put(data)

    def _put(self, data: bytes | memoryview) -> int:
        """How many bytes the terminal took; all of them when nobody is there to read them."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0
        except OSError:  # the program has closed the terminal; the pump will see the end
            return len(data)

    def _feed(self) -> None:
        while self._input:
            data, taken = self._input.popleft()
            if taken.done():
                continue
            size = self._put(data)
            if size < len(data):
                self._input.appendleft(_Input(data[size:], taken))
                return
            taken.set_result(None)
        self._loop.remove_writer(self._master)

    def resize(self, size: WinSize) -> None:
        if self._master >= 0:
            set_size(self._master, (size.rows, size.cols, size.x, size.y))

    def pause(self) -> None:
        if not self._paused and self._master >= 0:
            self._paused = True
            self._loop.remove_reader(self._master)

    def resume(self) -> None:
        if self._paused and self._master >= 0:
            self._paused = False
            self._loop.add_reader(self._master, self._pump)
            if self._after_end >= 0:
                self._loop.call_soon(self._pump)

    async def stop(self) -> None:
        if self._stopping is not None:
            await asyncio.wait([self._stopping])
            return
        self._stopping = self._loop.create_future()
        try:
            foreground = foreground_group(self._master) if self._master >= 0 else 0
            self._finish(STOPPED)
            await self._child.kill_session(foreground)
            if not self._child.exited.done():
                log.warning("a stopped shell has not ended yet pid=%d", self.pid)
        finally:
            self._stopping.set_result(None)
