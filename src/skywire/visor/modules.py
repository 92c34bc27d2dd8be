"""The parts of a visor, each on its own: one that fails never stops another.

A part is a coroutine function that gets a `Report`. It calls `report.up()` once it serves, may call
`report.down(reason)` when it no longer does, and is started again with a growing pause whenever it
raises or returns. A topic of the visor (terminals, transports, …) names its parts like this:

    def modules(self) -> Iterable[Module]:
        yield Module("log server", self._serve, after=("dmsg",))

A module starts once each one in `after` has run for the first time, or at once when nobody has that
name in this visor; what happens to those later is no longer its business. So a service that is away
holds up what cannot do without it and nothing else. Source: visor.md §1.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from skywire.errors import LocalProtocolError
from skywire.streams.supervise import Backoff, Tasks, keep_running

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds between starts of a part that fails


class State(Enum):
    WAITING = "waiting"  # for one that it needs
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


class Report:
    """What one part says about itself; `facts` are addresses for whoever starts the visor."""

    def __init__(self, changed: asyncio.Event, backoff: Backoff) -> None:
        self.state = State.STARTING
        self.reason = ""  # of the last failure, or what is waited for, in words
        self.since = time.time()  # Unix time at which `state` became what it is
        self.facts: dict[str, Any] = {}
        self.ran = asyncio.Event()  # set for good once it has been up
        self.backoff = backoff
        self._moved = time.monotonic()
        self._changed = changed
        self._waits_for: Report | None = None

    @property
    def age(self) -> float:
        """Seconds since `since`; a clock that is set does not change it."""
        return time.monotonic() - self._moved

    def up(self, **facts: Any) -> None:
        self._move(State.RUNNING, "")
        self.facts = facts
        self.ran.set()
        self.backoff.reset()

    def down(self, reason: object) -> None:
        self._move(State.FAILED, str(reason) or type(reason).__name__)
        self.facts = {}

    @property
    def is_settled(self) -> bool:
        """Whether it runs, has failed, or waits for one that has."""
        if self.state is State.WAITING and self._waits_for is not None:
            return self._waits_for.state is not State.RUNNING and self._waits_for.is_settled
        return self.state is not State.STARTING

    async def _wait_for(self, name: str, needed: "Report") -> None:
        self._waits_for = needed
        self._move(State.WAITING, f"needs {name}, which has not come up")
        await needed.ran.wait()
        self._waits_for = None
        self._move(State.STARTING, "")

    async def run(self, module: "Module", others: "Mapping[str, Report]") -> None:
        """Run `module` until cancelled, once those of `others` that it needs have run."""
        for name in module.after:
            needed = others.get(name)
            if needed is not None and not needed.ran.is_set():
                await self._wait_for(name, needed)
        part = module.part
        await keep_running(
            lambda: part(self), module.name, backoff=self.backoff, on_failure=self.down
        )

    def _move(self, state: State, reason: str) -> None:
        if state is not self.state:
            self.since, self._moved = time.time(), time.monotonic()
        self.state, self.reason = state, reason
        self._changed.set()


Part = Callable[[Report], Awaitable[object]]


class Module(NamedTuple):
    """`awaited`: the visor is not complete before it has come up or failed."""

    name: str
    part: Part
    after: tuple[str, ...] = ()
    awaited: bool = True


class Modules:
    def __init__(self, name: str) -> None:
        self._tasks = Tasks(name)
        self._reports: dict[str, Report] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._awaited: list[Report] = []
        self._changed = asyncio.Event()

    def start_all(self, modules: Iterable[Module]) -> None:
        """In any order: each waits for those it needs. Raises LocalProtocolError for a circle."""
        wanted = {module.name: module for module in modules}
        try:
            TopologicalSorter({name: each.after for name, each in wanted.items()}).prepare()
        except CycleError as error:
            raise LocalProtocolError(f"modules need each other: {error.args[1]}") from error
        for name, module in wanted.items():
            report = Report(self._changed, Backoff(FIRST_PAUSE, LONGEST_PAUSE, factor=2))
            self._reports[name] = report
            if module.awaited:
                self._awaited.append(report)
        for name, module in wanted.items():
            work = self._reports[name].run(module, self._reports)
            self._running[name] = self._tasks.spawn(work, name)

    def start(
        self, name: str, part: Part, *, after: tuple[str, ...] = (), awaited: bool = True
    ) -> None:
        """Run one more until `close`."""
        self.start_all([Module(name, part, after, awaited)])

    async def stop(self, name: str) -> None:
        """End one and forget it; those that needed it go on. Does nothing when it is not there."""
        task = self._running.pop(name, None)
        if task is None:
            return
        report = self._reports.pop(name)
        if report in self._awaited:
            self._awaited.remove(report)
        task.cancel()
        await asyncio.wait([task])
        self._changed.set()

    def __getitem__(self, name: str) -> Report:
        return self._reports[name]

    def reports(self) -> dict[str, Report]:
        return dict(self._reports)

    async def settled(self) -> None:
        """Return once every awaited part runs or cannot for now; the caller sets the deadline."""
        while not all(report.is_settled for report in self._awaited):
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        await self._tasks.close()
