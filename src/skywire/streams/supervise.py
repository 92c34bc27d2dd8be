"""Owners for tasks that outlive the function that starts them.

Inside one function use `asyncio.TaskGroup`. A long-lived object that starts work on demand (a
session, a server) owns a `Tasks`; `keep_running` restarts a part that may fail on its own.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """A set of running tasks with one owner; `close` cancels and awaits them all.

    A task that raises is logged and forgotten: it never takes its siblings down.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        """Run `work` until it ends or the owner closes. After `close` it is cancelled at once."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self._closed:
            task.cancel()
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed name=%s", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel everything and wait for it; the calling task itself is spared. Idempotent."""
        self._closed = True
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


class Backoff:
    """Waiting times that grow by `factor` from `first` to `limit` seconds, ±`jitter` of each."""

    def __init__(
        self, first: float, limit: float, factor: float = 1.3, jitter: float = 0.0
    ) -> None:
        self._first = first
        self._limit = limit
        self._factor = factor
        self._jitter = jitter
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def next(self) -> float:
        """Seconds to wait now; the one after is longer."""
        wait = self._next
        self._next = min(self._limit, wait * self._factor)
        spread = 1 + self._jitter * (2 * random.random() - 1)  # noqa: S311 - no secret
        return wait * spread


async def keep_running(
    work: Callable[[], Awaitable[object]],
    name: str,
    *,
    backoff: Backoff,
    on_failure: Callable[[BaseException], None] | None = None,
) -> None:
    """Run `work` again and again, waiting between runs; ends only by cancellation.

    `on_failure` gets each exception (for health reports); a return counts as success and resets
    the back-off. A failure like the last one is logged for debugging only.
    """
    told = ""
    while True:
        try:
            await work()
            backoff.reset()
            told = ""
        except Exception as error:  # the point of supervision
            text = f"{type(error).__name__}: {error}"
            level = logging.DEBUG if text == told else logging.WARNING
            told = text
            log.log(
                level, "part failed name=%s error=%s", name, error, exc_info=log.isEnabledFor(10)
            )
            if on_failure is not None:
                on_failure(error)
        await asyncio.sleep(backoff.next())
