"""What changed in the fleet, in order, so that whoever follows it needs to keep only a number.

A row that changes again moves to the end: somebody slow gets its latest state once, and nothing
waits for them anywhere.
"""

import asyncio
from typing import NamedTuple

from skywire.crypto.generate import random_bytes
from skywire.crypto.keys import PubKey

MAX_GONE = 1024  # removed visors remembered; whoever missed more gets every row anew


class News(NamedTuple):
    """`whole`: `changed` are all rows there are, whatever the follower had."""

    number: int
    whole: bool
    changed: list[PubKey]
    gone: list[PubKey]


class Changes:
    """Numbers grow by one with each change; `run` tells this process's from an earlier one's."""

    def __init__(self) -> None:
        self.run = random_bytes(4).hex()
        self.number = 0
        self._rows: dict[PubKey, int] = {}  # their last change; in the order of these
        self._gone: dict[PubKey, int] = {}  # likewise
        self._known_from = 0  # of what was gone by then, we know no more
        self._news = asyncio.Event()

    def touch(self, pk: PubKey) -> None:
        """The row of `pk` is new, or has changed."""
        self._gone.pop(pk, None)
        self._rows.pop(pk, None)
        self._rows[pk] = self._step()

    def remove(self, pk: PubKey) -> None:
        """There is no such row any more."""
        if self._rows.pop(pk, None) is None:
            return
        self._gone[pk] = self._step()
        if len(self._gone) > MAX_GONE:
            self._known_from = self._gone.pop(next(iter(self._gone)))

    def _step(self) -> int:
        self.number += 1
        self._news.set()
        self._news = asyncio.Event()
        return self.number

    async def wait(self, number: int) -> None:
        """Return once there is news after `number`. The caller sets the deadline."""
        while self.number == number:
            await self._news.wait()

    def since(self, number: int | None) -> News:
        """News after `number`; everything for None, and for one that we cannot continue."""
        if number is None or not self._known_from <= number <= self.number:
            return News(self.number, True, list(self._rows), [])
        changed, gone = _after(self._rows, number), _after(self._gone, number)
        return News(self.number, False, changed, gone)


def _after(changes: dict[PubKey, int], number: int) -> list[PubKey]:
    found = []
    for pk in reversed(changes):
        if changes[pk] <= number:
            break
        found.append(pk)
    return found[::-1]
