"""How long visors were up: what the uptime tracker and the transport discovery have in common.

A visor tells every five minutes that it runs; each slot of five minutes in which it does counts
once. Source: services.md §6, rewards.md §7.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable
from skywire.http.auth import json_line
from skywire.services.base import plain_errors
from skywire.stores.contracts import DailyUptime, UptimeStore
from skywire.stores.times import day_of

log = logging.getLogger(__name__)

SLOT = 300  # seconds that one sign of life counts for
SILENCE = 360.0  # seconds after which a visor is not online
FULL_DAY = 86_400  # seconds
SHOWN_DAYS = 7  # before today
CACHE = 1.0  # seconds that an answer of the store is used; the reference: 5 minutes
MAX_VISORS = 100_000  # in one slot
MAX_VERSION = 64  # characters
MAX_WANTED = 4096  # keys that a list is asked for


class Visor(msgspec.Struct, omit_defaults=True):
    """The forms "v2" and "v3"."""

    pk: str
    on: bool = msgspec.field(default=False)
    version: str = ""
    daily: dict[str, str] = {}

    def dump(self) -> dict[str, Any]:
        """`on` is always told."""
        return {"pk": self.pk, "on": self.on, **msgspec.to_builtins(self)}


class Uptimes:
    """The rules, on a store which stays its owner's; `clock` is Unix time in seconds."""

    def __init__(self, store: UptimeStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._slot = 0
        self._seen: set[PubKey] = set()  # in this slot
        self._read: tuple[float, list[DailyUptime]] = (-CACHE, [])  # when, the days shown
        self._turn = asyncio.Lock()

    async def credit(self, key: PubKey, version: str, ip: str = "") -> None:
        """A visor runs; `ip` "" is unknown. Raises InvalidValue, Unavailable."""
        if len(version) > MAX_VERSION or "\0" in version:
            raise InvalidValue(f"the version exceeds {MAX_VERSION} characters")
        now = self._clock()
        slot = int(now + SLOT / 2) // SLOT
        if slot != self._slot:
            self._slot, self._seen = slot, set()
        if key in self._seen:
            return
        if len(self._seen) >= MAX_VISORS:
            raise Unavailable(f"no room for new visors, {MAX_VISORS} are up")
        self._seen.add(key)
        try:
            await self._store.credit(key, now, SLOT, version, ip)
        except BaseException:
            self._seen.discard(key)
            raise

    async def forget_before(self, days: int) -> None:
        """What is older than so many days."""
        first = day_of(self._clock(), less=days)
        while (day := await self._store.oldest()) and day < first:
            await self._store.forget(day)

    async def rows(self) -> list[DailyUptime]:
        """Of today and the days before it that are shown."""
        async with self._turn:
            now = self._clock()
            when, found = self._read
            if not 0 <= now - when < CACHE:
                found = await self._store.days(day_of(now, less=SHOWN_DAYS), day_of(now))
                self._read = (now, found)
            return found

    def is_online(self, row: DailyUptime) -> bool:
        return self._clock() - row.updated < SILENCE

    async def listing(self, request: web.Request) -> web.Response:
        """`GET /uptimes`. Raises InvalidValue."""
        query = request.query
        wanted = [key for key in query.get("visors", "").split(",") if key]
        if len(wanted) > MAX_WANTED:
            raise InvalidValue(f"{len(wanted)} keys in visors, expected at most {MAX_WANTED}")
        try:
            rows = await self._of(query)
        except (ValueError, OverflowError, OSError):
            text = "startDate and endDate: expected Unix times in whole seconds"
            return plain_errors(500, text)  # the reference's status
        visors = visors_of(rows, self.is_online)
        if wanted:
            visors = [visor for visor in visors if visor.pk in set(wanted)]
        status = query.get("status", "")
        if status in ("on", "off"):
            visors = [visor for visor in visors if visor.on == (status == "on")]
        return json_line([shown(visor, query.get("v", "")) for visor in visors])

    async def _of(self, query: Mapping[str, str]) -> Iterable[DailyUptime]:
        """Of the months that the query names, else what is shown. Raises ValueError and others."""
        first, last = (int(query.get(name) or 0) for name in ("startDate", "endDate"))
        if not first and not last:
            return await self.rows()
        begin = f"{day_of(first)[:8]}01"
        return await self._store.days(begin, f"{day_of(last or self._clock())[:8]}31")


def visors_of(rows: Iterable[DailyUptime], online: Callable[[DailyUptime], bool]) -> list[Visor]:
    """One for each key, by key; `rows` are by key and day."""
    found: dict[str, Visor] = {}
    seconds: dict[tuple[str, str], int] = {}
    for row in rows:
        visor = found.setdefault(row.key, Visor(row.key, daily={}))
        visor.on = visor.on or online(row)
        visor.version = row.version or visor.version
        total = seconds[row.key, row.day] = seconds.get((row.key, row.day), 0) + row.seconds
        visor.daily[row.day] = percent(total)
    return [found[key] for key in sorted(found)]


def shown(visor: Visor, form: str) -> dict[str, Any]:
    """`form` "v2" or "v3"; any other is the first form."""
    if form in ("v2", "v3"):
        return visor.dump()
    return {"key": visor.pk, "online": visor.on}


def percent(seconds: int) -> str:
    """Of a whole day, with two decimals; more than a day is "100"."""
    return "100" if seconds > FULL_DAY else f"{100 * seconds / FULL_DAY:.2f}"
