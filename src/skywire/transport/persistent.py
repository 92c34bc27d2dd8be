"""Transports that are opened again whenever they are missing. Source: transport.md §6.

Each has its own back-off, so that a peer that is away costs little and one that is back is found.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.streams.supervise import Backoff, Tasks
from skywire.transport.link import Link
from skywire.transport.manager import TransportManager
from skywire.wire.transport import USER, transport_id

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds before a lost transport is dialled again; Go takes no sooner one
RETRY = (1.0, 15.0)  # seconds after a failed dial: first, at most; Go: every 10 s
DIAL_LIMIT = 10.0  # seconds for one try; Go: 3
STABLE_TIME = 10.0  # seconds a link must last for the back-off to start over


class Wanted(NamedTuple):
    remote: PubKey
    type: str


class PersistentTransports:
    """The wanted ones; `set` replaces them while it runs."""

    def __init__(self, manager: TransportManager, wanted: Iterable[Wanted] = ()) -> None:
        self._manager = manager
        self._wanted: dict[Wanted, asyncio.Task[None]] = {}
        self._initial = tuple(wanted)
        self._tasks = Tasks("persistent transports")
        self.errors: dict[Wanted, str] = {}  # of those that are missing: why

    @property
    def wanted(self) -> list[Wanted]:
        return list(self._wanted)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            self.set(self._initial)
            await asyncio.get_running_loop().create_future()
        finally:
            await self._tasks.close()

    def set(self, wanted: Iterable[Wanted]) -> None:
        """Links of those that are no longer wanted stay up."""
        new = dict.fromkeys(wanted)
        for gone in [each for each in self._wanted if each not in new]:
            self._wanted.pop(gone).cancel()
            self.errors.pop(gone, None)
        for each in new:
            if each not in self._wanted:
                self._wanted[each] = self._tasks.spawn(self._keep(each), f"{each.type}")

    async def _keep(self, wanted: Wanted) -> None:
        backoff = Backoff(*RETRY, factor=2.0, jitter=0.2)
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout(DIAL_LIMIT):
                    link = await self._manager.save(wanted.remote, wanted.type, USER)
            except (SkywireError, TimeoutError) as error:
                self.errors[wanted] = str(error) or f"no answer within {DIAL_LIMIT:g} s"
                wait = backoff.next()
                log.info(
                    "transport missing type=%s remote=%s retry_s=%.1f error=%s",
                    wanted.type,
                    wanted.remote,
                    wait,
                    self.errors[wanted],
                )
                await asyncio.sleep(wait)
                continue
            self.errors.pop(wanted, None)
            begin = clock()
            await self._until_gone(link)
            if clock() - begin > STABLE_TIME:
                backoff.reset()
                await asyncio.sleep(FIRST_PAUSE)
            else:
                await asyncio.sleep(backoff.next())

    async def _until_gone(self, link: Link) -> None:
        """Until there is no link with its id, whichever connection it has."""
        id = transport_id(self._manager.public, link.remote, link.type)
        changed = asyncio.Event()

        def note(link: Link) -> None:
            if link.id == id:
                changed.set()

        self._manager.on_change.append(note)
        try:
            while self._manager.link(id) is not None:
                changed.clear()
                await changed.wait()
        finally:
            self._manager.on_change.remove(note)
