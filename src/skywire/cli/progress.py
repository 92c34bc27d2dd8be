"""What takes longer than a second is told on stderr: one line that changes, or one now and then."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from skywire.streams.supervise import Tasks

PATIENCE = 1.0  # seconds until something is said
ON_TERMINAL = 0.25  # seconds between changes of the line
IN_A_LOG = 10.0  # seconds between lines where nothing can be overwritten


@asynccontextmanager
async def progress(describe: Callable[[], str]) -> AsyncIterator[None]:
    """Tell `describe()` while the body runs, if it takes long; a terminal's line is wiped again."""
    teller = _Teller(describe)
    tasks = Tasks("progress")
    tasks.spawn(teller.run())
    try:
        yield
    finally:
        await tasks.close()
        teller.wipe()


class _Teller:
    def __init__(self, describe: Callable[[], str]) -> None:
        self._describe = describe
        self._terminal = sys.stderr.isatty()
        self._shown = 0  # characters on the terminal's line

    async def run(self) -> None:
        await asyncio.sleep(PATIENCE)
        while True:
            self._say(self._describe())
            await asyncio.sleep(ON_TERMINAL if self._terminal else IN_A_LOG)

    def _say(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write("\r" + text.ljust(self._shown))
            self._shown = len(text)
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def wipe(self) -> None:
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0


def size(count: float) -> str:
    """Bytes for people, e.g. "12.3 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
