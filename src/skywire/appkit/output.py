"""Reads the lines a process prints, no faster than they are of use. Source: apps.md §4."""

import asyncio
import os
from collections.abc import Callable

READ = 64 * 1024  # bytes at a time
QUICK = 16 * 1024  # bytes in one read that mean: it prints a lot
PAUSE = 0.05  # seconds until the next read then; the process waits in its `write`
MAX_LINE = 4096  # bytes; a longer line comes in pieces
MAX_LINES = 200  # of one read; more are counted


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
            self._tell(self._lines.receive_data(data))
            if len(data) >= QUICK:
                await asyncio.sleep(PAUSE)

    def _read(self) -> bytes | None:
        try:
            return os.read(self._descriptor, READ)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _tell(self, lines: list[str]) -> None:
        for line in lines[:MAX_LINES]:
            self._on_line(line)
        if len(lines) > MAX_LINES:
            self._on_line(f"({len(lines) - MAX_LINES} more lines)")

    def close(self) -> None:
        """Take what is still in the pipe, and end. Idempotent."""
        if self._descriptor < 0:
            return
        self._tell(self._lines.receive_data(self._read() or b"") + self._lines.receive_eof())
        os.close(self._descriptor)
        self._descriptor = -1


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
