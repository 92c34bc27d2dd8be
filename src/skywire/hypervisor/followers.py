"""Requests that last: who follows the fleet at present."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skywire.errors import Unavailable

MAX_FOLLOWERS = 64  # at one time; each is a page that somebody has open


class Followers:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def one(self) -> Iterator[Callable[[], object]]:
        """Counts the current task and gives what ends it. Raises Unavailable: too many."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a request's handler runs in one
        if len(self._tasks) >= MAX_FOLLOWERS:
            raise Unavailable(
                f"{MAX_FOLLOWERS} pages follow this hypervisor; close one, then try again"
            )
        self._tasks.add(task)
        try:
            yield task.cancel
        finally:
            self._tasks.discard(task)

    def close(self) -> None:
        """Ends them all."""
        for task in list(self._tasks):
            task.cancel()
