"""The parts of a visor, each on its own: one that fails never stops another.

A part is a coroutine function that gets a `Report`. It calls `report.up()` once it serves, may call
`report.down(reason)` when it no longer does, and is started again with a growing pause whenever it
raises or returns.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from skywire.streams.supervise import Backoff, Tasks, keep_running

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between starts of a part that fails


class State(Enum):
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


class Report:
    """What one part says about itself; `facts` are addresses for whoever starts the visor."""

    def __init__(self, changed: asyncio.Event, backoff: Backoff) -> None:
        self.state = State.STARTING
        self.reason = ""  # of the last failure, in words
        self.facts: dict[str, Any] = {}
        self._changed = changed
        self._backoff = backoff

    def up(self, **facts: Any) -> None:
        self.state, self.reason = State.RUNNING, ""
        self.facts = facts
        self._backoff.reset()
        self._changed.set()

    def down(self, reason: object) -> None:
        self.state, self.reason = State.FAILED, str(reason) or type(reason).__name__
        self.facts = {}
        self._changed.set()


Part = Callable[[Report], Awaitable[object]]


class Modules:
    def __init__(self, name: str) -> None:
        self._tasks = Tasks(name)
        self._reports: dict[str, Report] = {}
        self._awaited: list[Report] = []
        self._changed = asyncio.Event()

    def start(self, name: str, part: Part, *, awaited: bool = True) -> None:
        """Run `part` until `close`; `settled` waits for it when it is `awaited`."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, factor=2)
        report = self._reports[name] = Report(self._changed, backoff)
        if awaited:
            self._awaited.append(report)
        self._tasks.spawn(
            keep_running(lambda: part(report), name, backoff=backoff, on_failure=report.down), name
        )

    def __getitem__(self, name: str) -> Report:
        return self._reports[name]

    def reports(self) -> dict[str, Report]:
        return dict(self._reports)

    async def settled(self) -> None:
        """Return once every awaited part is running or has failed; the caller sets the deadline."""
        while any(report.state is State.STARTING for report in self._awaited):
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        await self._tasks.close()
