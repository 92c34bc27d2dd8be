"""What one app holds at its visor, by number: its streams, its listeners. Source: apps.md §3.2."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from skywire.errors import NotFound, Unavailable

LAST_ID = 0xFFFF

_Held = TypeVar("_Held")


class IdTable(Generic[_Held]):
    """Numbers from 1 up, round again behind 65535, past those in use; at most `limit` at a time.

    Error texts are Go's: apps may compare them.
    """

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._held: dict[int, _Held | None] = {}  # None: reserved
        self._last = 0

    def __len__(self) -> int:
        """Reserved ones count."""
        return len(self._held)

    def values(self) -> Iterator[_Held]:
        return (held for held in list(self._held.values()) if held is not None)

    def reserve(self) -> int:
        """A free number. Raises Unavailable at the limit."""
        if len(self._held) >= self._limit:
            raise Unavailable(f"too many of {self._what}: this app has {self._limit} already")
        number = self._last
        while True:
            number = number % LAST_ID + 1
            if number not in self._held:
                self._held[number] = None
                self._last = number
                return number

    def put(self, number: int, held: _Held) -> None:
        """Fill a reserved number."""
        self._held[number] = held

    def free(self, number: int) -> None:
        """Give up a number; unknown ones are no error."""
        self._held.pop(number, None)

    def get(self, number: int) -> _Held:
        """Raises NotFound."""
        held = self._held.get(number)
        if held is None:
            raise NotFound(f"no {self._what} with key {number}")
        return held

    def take(self, number: int) -> _Held:
        """Remove and return. Raises NotFound."""
        held = self._held.get(number)
        if held is None:
            raise NotFound(f"no {self._what}: no value with id {number}")
        del self._held[number]
        return held
