"""A program on a terminal, as a person would use it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from skywire.platform.pty import spawn_on_terminal
from skywire.pty.shell import TerminalShell
from skywire.pty.types import WinSize
from tests.interop.ours import SOON

PROMPT = "ready> "
SHELL = ("/usr/bin/env", f"PS1={PROMPT}", "HISTFILE=", "/bin/bash", "--norc", "--noprofile")


class Terminal:
    """What the program prints is `output`; give it time with `until`."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], rows: int, cols: int
    ) -> None:
        self._output = b""
        self._changed = asyncio.Event()
        self._ended = False
        master, self.child = spawn_on_terminal(command[0], command[1:], env, (rows, cols, 0, 0))
        self._shell = TerminalShell(master, self.child, self)

    @property
    def output(self) -> str:
        return self._output.decode(errors="replace")

    def receive_output(self, data: bytes) -> None:
        self._output += data
        self._changed.set()

    def receive_end(self, reason: str) -> None:
        self._ended = True
        self._changed.set()

    async def until(self, pattern: str, limit: float = SOON) -> "re.Match[str]":
        """The first match in all output so far, or to come."""
        try:
            async with asyncio.timeout(limit):
                while (found := re.search(pattern, self.output)) is None:
                    assert not self._ended, f'ended before "{pattern}":\n{self.output[-2000:]}'
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f'no "{pattern}" within {limit} s:\n{self.output[-2000:]}'
            ) from None
        return found

    async def ask(self, command: str, pattern: str) -> "re.Match[str]":
        """Have a shell run `command`: the match in what was printed until it was done."""
        await self.until(re.escape(PROMPT))
        begin, mark = len(self._output), os.urandom(4).hex()
        await self.type(f'{command}; echo "{mark}""-done"\r')
        await self.until(f"{mark}-done")
        printed = self._output[begin:].decode(errors="replace")
        found = re.search(pattern, printed)
        assert found is not None, printed
        return found

    async def type(self, text: str) -> None:
        async with asyncio.timeout(SOON):
            await self._shell.write(text.encode())

    def resize(self, rows: int, cols: int) -> None:
        self._shell.resize(WinSize(rows=rows, cols=cols))

    async def exit_code(self) -> int | None:
        async with asyncio.timeout(SOON):
            await asyncio.wait([self.child.exited])
        return self.child.exit_code

    async def hang_up(self) -> None:
        await self._shell.stop()


@asynccontextmanager
async def terminal(
    command: Sequence[str], env: Mapping[str, str], rows: int = 30, cols: int = 100
) -> AsyncIterator[Terminal]:
    made = Terminal(command, env, rows, cols)
    try:
        yield made
    finally:
        await made.hang_up()


def numbered_text(size: int) -> str:
    """In which each part can be told apart."""
    return "".join(f"{number:07d}-" for number in range(size // 8))


def content(file: Path) -> str:
    """Of a file that a shell is about to write."""
    return file.read_text() if file.exists() else ""
