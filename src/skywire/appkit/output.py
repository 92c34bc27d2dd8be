"""Reads the lines a process prints, no faster than they are of use. Source: apps.md §4."""

import asyncio
import os
from collections.abc import Callable

READ = 16 * 1024  # bytes at a time
QUICK = 64 * 1024  # bytes within a second that mean: it prints a lot
PAUSE = 0.1  # seconds until each read then; the process waits in its `write`
MAX_LINE = 4096  # bytes; a longer line comes in pieces
MAX_LINES = 200  # kept of a second; more are counted


class Lines:
    """Bytes in any pieces to lines, of at most `MAX_LINE` bytes and without their end."""

    def __init__(self) -> None:
        self._rest = b""

    def receive_data(self, data: bytes) -> list[str]:
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) >= MAX_LINE:
            whole.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._rest = rest
        return [
            line[begin : begin + MAX_LINE].decode(errors="replace").rstrip("\r")
            for line in whole
            for begin in range(0, len(line) or 1, MAX_LINE)
        ]

    def receive_eof(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []


class Output:
    """The end of a pipe; owns `descriptor`. `on_line` gets each line."""

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._on_line = on_line
        self._lines = Lines()
        self._second = 0.0  # when the current one began
        self._bytes = 0  # read in it
        self._kept = 0  # lines of it
        self._left_out = 0

    async def run(self) -> None:
        """Until nobody holds the other end any more; cancel to stop."""
        loop = asyncio.get_running_loop()
        while True:
            readable = loop.create_future()
            loop.add_reader(self._descriptor, _set, readable)
            try:
                await readable
            finally:
                loop.remove_reader(self._descriptor)
            data = self._read()
            if data is None:  # nothing there after all
                continue
            if not data:
                return
            if loop.time() >= self._second + 1:
                self._new_second(loop.time())
            self._bytes += len(data)
            self._tell(self._lines.receive_data(data))
            if self._bytes >= QUICK:
                await asyncio.sleep(PAUSE)

    def _new_second(self, now: float) -> None:
        if self._left_out:
            self._on_line(f"({self._left_out} more lines)")
        self._second, self._bytes, self._kept, self._left_out = now, 0, 0, 0

    def _read(self) -> bytes | None:
        try:
            return os.read(self._descriptor, READ)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _tell(self, lines: list[str]) -> None:
        kept = lines[: max(0, MAX_LINES - self._kept)]
        self._kept += len(kept)
        self._left_out += len(lines) - len(kept)
        for line in kept:
            self._on_line(line)

    def close(self) -> None:
        """Take what is still in the pipe, and end. Idempotent."""
        if self._descriptor < 0:
            return
        self._new_second(0.0)
        self._tell(self._lines.receive_data(self._read() or b"") + self._lines.receive_eof())
        self._new_second(0.0)
        os.close(self._descriptor)
        self._descriptor = -1


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
