"""A shell without a terminal, for tests of everything above it."""

import asyncio

from skywire.pty.shell import ShellOutput
from skywire.pty.types import NATURAL_END, WinSize


class FakeShell:
    """`FakeShell` itself is a `StartShell`. Output comes from `print`; input is kept in `typed`."""

    def __init__(self, output: ShellOutput) -> None:
        self._output = output
        self.typed = b""
        self.sizes: list[WinSize] = []
        self.paused = False
        self.blocked = False  # then a write waits for ever
        self.stops = 0

    def print(self, data: bytes) -> None:
        self._output.receive_output(data)

    def exit(self) -> None:
        self._output.receive_end(NATURAL_END)

    async def write(self, data: bytes) -> None:
        if self.write_now(data) < len(data):
            await asyncio.get_running_loop().create_future()

    def write_now(self, data: bytes) -> int:
        if self.blocked:
            return 0
        self.typed += data
        return len(data)

    def resize(self, size: WinSize) -> None:
        self.sizes.append(size)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    async def stop(self) -> None:
        self.stops += 1


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
