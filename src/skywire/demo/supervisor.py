"""Starts the parts in order, watches them, starts again what dies, and ends all of it.

Each part waits for the parts it names in `after`. A part that does not come up at the start ends
the start; one that dies later is reported and started again after a pause.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from skywire.demo import processes
from skywire.demo.guard import Guard
from skywire.demo.part import Part, PartProcess
from skywire.demo.progress import Progress
from skywire.errors import SkywireError
from skywire.streams.supervise import Backoff, Tasks

RESTART_FIRST = 3.0  # seconds; long enough to see the web page reconnect
RESTART_LIMIT = 30.0  # longest pause; a part that lived longer starts with the short pause again


class Supervisor:
    """Use as an async context manager; `start` inside. On the way out every process has ended."""

    def __init__(
        self,
        parts: Sequence[Part],
        progress: Progress,
        *,
        remove: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
        restart_after: float = RESTART_FIRST,
    ) -> None:
        """`remove` is what the guard deletes when this process is killed; `on_change` is called
        when a process id has changed."""
        self.parts = list(parts)
        self.on_change = on_change
        self._progress = progress
        self._remove = remove
        self._restart_after = restart_after
        self._running: dict[str, PartProcess] = {}
        self._watchers = Tasks("demo")
        self._guard = Guard()

    async def __aenter__(self) -> "Supervisor":
        if self._remove is not None:
            self._guard.remove(self._remove)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watchers.close()
        await self._stop_all()
        await asyncio.to_thread(self._guard.close)

    def pid(self, name: str) -> int:
        """0 while the part is down."""
        running = self._running.get(name)
        return running.pid if running is not None and running.is_running else 0

    async def start(self) -> None:
        """Return when every part is ready. Raises Unavailable, naming the first that is not."""
        ready = {part.name: asyncio.Event() for part in self.parts}

        async def bring_up(part: Part) -> None:
            for name in part.after:
                await ready[name].wait()
            try:
                await self._launch(part)
            except SkywireError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # it fails because we end it
                    raise asyncio.CancelledError from error
                raise
            ready[part.name].set()

        try:
            async with asyncio.TaskGroup() as group:
                for part in self.parts:
                    group.create_task(bring_up(part), name=f"start {part.name}")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        for part in self.parts:
            self._watchers.spawn(self._keep(part), part.name)

    async def _launch(self, part: Part) -> None:
        self._progress.starting(part)
        self._running[part.name] = await PartProcess.start(part, self._guard)
        self._progress.ready(part)
        self.on_change()

    async def _keep(self, part: Part) -> None:
        clock = asyncio.get_running_loop().time
        backoff = Backoff(self._restart_after, RESTART_LIMIT, factor=2)
        while True:
            up_since = clock()
            why = await self._running[part.name].wait()
            self.on_change()
            if clock() - up_since > RESTART_LIMIT:
                backoff.reset()
            while why:
                pause = backoff.next()
                self._progress.down(part, why, pause)
                await asyncio.sleep(pause)
                why = await self._launch_again(part)

    async def _launch_again(self, part: Part) -> str:
        """ "" when it is up, else why not."""
        try:
            await self._launch(part)
        except SkywireError as error:
            return str(error)
        return ""

    async def _stop_all(self) -> None:
        """In levels, what nobody needs any more first, so that each can say goodbye."""
        running = [process for process in self._running.values() if process.is_running]
        mark = self._guard.mark
        everything = processes.find(mark, [process.pid for process in running])
        while running:
            needed = {name for process in running for name in process.part.after}
            level = [process for process in running if process.part.name not in needed]
            await asyncio.gather(*(process.stop() for process in level))
            running = [process for process in running if process not in level]
        await asyncio.to_thread(processes.kill, mark, everything)
