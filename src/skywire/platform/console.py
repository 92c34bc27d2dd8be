"""The terminal (or pipe) this process runs in: raw keys in, bytes out, never blocking the loop."""

import asyncio
import os
import stat
import termios
import tty
from types import TracebackType
from typing import Any, Self

from skywire.platform.pty import get_size

READ_SIZE = 65536
# Shown cursor, no bracketed paste, no mouse reports, plain text: what a program that was cut off
# may have left behind.
RESET = b"\x1b[?25h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[0m"


class Console:
    """`with` it the keyboard is raw, and as before afterwards, whatever happens.

    Works on pipes and files too; then nothing is raw and there is no size.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1) -> None:
        self._loop = asyncio.get_running_loop()
        self._stdin = stdin
        self._stdout = stdout
        self._own_stdout = -1  # a description of our own, which may be non-blocking
        self._saved: list[Any] | None = None
        self.is_terminal = os.isatty(stdin)

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._saved = termios.tcgetattr(self._stdin)
            self.make_raw()
        self._own_stdout = _reopen(self._stdout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._own_stdout >= 0:
                os.close(self._own_stdout)
                self._own_stdout = -1
            if self._saved is not None and os.isatty(self._stdout):
                os.write(self._stdout, RESET)
        except OSError:
            return  # the terminal is gone
        finally:
            self._restore()

    def make_raw(self) -> None:
        """Again after somebody else had the terminal (SIGCONT)."""
        if self._saved is not None:
            tty.setraw(self._stdin, termios.TCSANOW)

    def _restore(self) -> None:
        if self._saved is not None:
            try:
                termios.tcsetattr(self._stdin, termios.TCSANOW, self._saved)
            except termios.error:  # the terminal is gone
                return

    def size(self) -> tuple[int, int, int, int] | None:
        """(rows, columns, x, y); None where there is none."""
        for descriptor in (self._stdout, self._stdin):
            try:
                size = get_size(descriptor)
            except OSError:
                continue
            if size[0] and size[1]:
                return size
        return None

    async def read(self) -> bytes:
        """What was typed; b"" at the end of the input."""
        await self._ready(self._stdin, reading=True)
        try:
            return os.read(self._stdin, READ_SIZE)
        except OSError:  # the terminal is gone
            return b""

    async def write(self, data: bytes) -> None:
        """Raises OSError when nobody can read it any more."""
        rest = memoryview(data)
        while rest:
            if self._own_stdout < 0:
                rest = rest[os.write(self._stdout, rest) :]
                continue
            try:
                rest = rest[os.write(self._own_stdout, rest) :]
            except BlockingIOError:
                await self._ready(self._own_stdout, reading=False)

    async def _ready(self, descriptor: int, *, reading: bool) -> None:
        add = self._loop.add_reader if reading else self._loop.add_writer
        remove = self._loop.remove_reader if reading else self._loop.remove_writer
        ready = self._loop.create_future()
        try:
            add(descriptor, _set, ready)
        except PermissionError:  # a file: always ready
            return
        try:
            await ready
        finally:
            remove(descriptor)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def _reopen(descriptor: int) -> int:
    """Another description of a terminal or pipe: making the given one non-blocking would do so for
    every other process that has it. -1 for what never blocks for long, or where it fails.
    """
    mode = os.fstat(descriptor).st_mode
    if not (os.isatty(descriptor) or stat.S_ISFIFO(mode)):
        return -1
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return -1
