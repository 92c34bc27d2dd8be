"""Collects what apps print and log, and gives it out again. Source: apps.md §4.

Lines wait in memory for a moment and are then written together, in a thread. What is more than a
bounded number of lines meanwhile is counted and dropped: an app that floods harms itself only.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TypeVar

from skywire.errors import Unavailable
from skywire.stores.app_logs import AppLogStore, Line
from skywire.streams.supervise import Tasks
from skywire.wire.gob_types import GoTime

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between writes
MAX_WAITING = 1000  # lines of all apps together that wait for a write
MAX_LINE = 4096  # characters; the rest of a line is dropped
MAX_LINES = 5000  # in one answer
MAX_ANSWER = 1 << 20  # characters in one answer; ask again with the time of its last line
STDOUT, STDERR = "(STDOUT)", "(STDERR)"
NS = 1_000_000_000

_Result = TypeVar("_Result")


class AppLogs:
    """Use it as an async context manager."""

    def __init__(self, store: AppLogStore) -> None:
        self._store = store
        self._waiting: list[Line] = []
        self._dropped = 0
        self._last: dict[str, int] = {}  # newest time of each app in this run
        self._tasks = Tasks("app logs")
        self._wanted = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="app logs")
        self._failed = False

    async def __aenter__(self) -> "AppLogs":
        self._tasks.spawn(self._write_on(), "write")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()
        await self._flush()
        self._thread.submit(self._store.close)
        self._thread.shutdown(wait=False)

    def add(self, app: str, level: str, text: str) -> None:
        """One line, now. Never waits, never raises."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        at = max(time.time_ns(), self._last.get(app, 0) + 1)
        self._last[app] = at
        clean = text[:MAX_LINE].replace("\n", " ")
        self._waiting.append(Line(app, at, f"[{rfc3339_nano(at)}] {level} [{app}]: {clean}\n"))
        self._wanted.set()

    async def since(self, app: str, moment: GoTime) -> list[str]:
        """Lines behind `moment`, oldest first, each with its LF. Raises Unavailable."""
        await self._flush()
        at = max(-(1 << 63), min(moment.unix_ns(), (1 << 63) - 1))
        found = await self._in_thread(
            lambda: self._store.since(app, at, MAX_LINES, MAX_ANSWER),
        )
        return [line.text for line in found]

    async def _write_on(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(INTERVAL)
            await self._flush()

    async def _flush(self) -> None:
        self._wanted.clear()
        lines, self._waiting = self._waiting, []
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("apps print too much: lines dropped=%d", dropped)
        if not lines:
            return
        try:
            await self._in_thread(lambda: self._store.add(lines))
            self._failed = False
        except Unavailable as error:
            if not self._failed:
                log.warning("what apps print is lost reason=%s", error)
            self._failed = True

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        # Shielded: at the end this task is cancelled, and what it took to write must not be lost.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))


_app: ContextVar[tuple[AppLogs, str] | None] = ContextVar("app", default=None)


@contextmanager
def logs_of(app: str, logs: AppLogs) -> Iterator[None]:
    """What is logged inside, and in tasks begun inside, is this app's, of that visor."""
    token = _app.set((logs, app))
    try:
        yield
    finally:
        _app.reset(token)


class LogHandler(logging.Handler):
    """Gives apps inside the visor a log of their own."""

    def __init__(self, logs: AppLogs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        whose = _app.get()
        if whose is not None and whose[0] is self._logs:  # a process may have several visors
            self._logs.add(whose[1], record.levelname, record.getMessage())


def rfc3339_nano(at: int) -> str:
    """As Go writes local time. Always 35 characters: its hypervisors cut as many out of a line."""
    seconds, nanoseconds = divmod(at, NS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds:09d}+00:00"
