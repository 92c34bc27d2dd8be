"""Shares the loop between sessions whose streams need expensive work (signatures)."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable

BUDGET = 16  # calls of one owner per turn of the loop; a request costs about 0.2 ms


class FairQueue:
    """Runs calls at once while their owner is within its budget, the others turn by turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._used: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        self._scheduled = False

    def run(self, owner: Hashable, call: Callable[[], None]) -> None:
        """Calls of one owner keep their order. The caller bounds how many wait."""
        if owner in self._waiting:
            self._waiting[owner].append(call)
            return
        used = self._used.get(owner, 0)
        if used >= BUDGET:
            self._waiting[owner] = deque((call,))
            return
        self._used[owner] = used + 1
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        call()

    def forget(self, owner: Hashable) -> None:
        """The owner is gone: drop what waits for it."""
        self._waiting.pop(owner, None)
        self._used.pop(owner, None)

    def _turn(self) -> None:
        self._used.clear()
        self._scheduled = False
        for owner, calls in list(self._waiting.items()):
            for _ in range(min(BUDGET, len(calls))):
                calls.popleft()()
            if not calls:
                self._waiting.pop(owner, None)
        if self._waiting:
            self._scheduled = True
            self._loop.call_soon(self._turn)
