"""Keeps the transport discovery in step with the links. Source: transport.md §3.3, §6.

The acceptor registers a link before it answers its settlement, and again from time to time, since
entries expire (Go's discovery of 2024 keeps them for ever and refuses that). Both ends delete it
when it ends, and delete what is listed for this visor without being there, as after a crash.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, NotFound, NotSupported, SkywireError
from skywire.streams.supervise import Backoff, Tasks
from skywire.transport.discovery import TransportDiscovery
from skywire.transport.link import Link
from skywire.wire.transport import SignedEntry

log = logging.getLogger(__name__)

REGISTER_TIMEOUT = 8.0  # seconds; the peer waits for our answer, at most 20
CALL_TIMEOUT = 10.0  # seconds for every other question
DELETE_TRIES = 5
DELETE_RETRY = (1.0, 20.0)  # seconds: first, at most
FIRST_CHECK = 60.0  # seconds until the list is compared for the first time
BATCH = 64  # entries renewed by one request
CHECK_INTERVAL = 120.0  # seconds; entries of 2026 live about 300
CHECK_RETRY = 20.0  # seconds after an error
LEAVE_TIMEOUT = 5.0  # seconds for all deletes at the end


class Registrar:
    """`links` are the manager's; `is_wanted` tells whether an id is there or on its way."""

    def __init__(
        self,
        public: PubKey,
        discovery: TransportDiscovery,
        links: Mapping[uuid.UUID, Link],
        is_wanted: Callable[[uuid.UUID], bool],
        *,
        first_check: float = FIRST_CHECK,
    ) -> None:
        self._public = public
        self._discovery = discovery
        self._links = links
        self._is_wanted = is_wanted
        self._first_check = first_check
        self._tasks = Tasks("transport registrar")
        self._renewable = True  # until the discovery refuses what it has listed
        self.error = ""  # why the discovery could not be asked the last time

    async def register(self, signed: SignedEntry) -> None:
        """Never raises: a transport works without being listed."""
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT):
                await self._discovery.register([signed])
        except (Conflict, NotSupported):
            log.debug("transport listed already id=%s", signed.entry.id)
        except (SkywireError, TimeoutError) as error:
            self.error = str(error) or f"no answer within {REGISTER_TIMEOUT:g} s"
            log.warning("transport not registered id=%s error=%s", signed.entry.id, self.error)
        else:
            self.error = ""

    def forget(self, id: uuid.UUID) -> None:
        """Delete `id` in the background, unless it comes back meanwhile."""
        self._tasks.spawn(self._delete(id), f"delete {id}")

    async def _delete(self, id: uuid.UUID) -> None:
        backoff = Backoff(*DELETE_RETRY, factor=2.0)
        for attempt in range(DELETE_TRIES):
            if attempt:
                await asyncio.sleep(backoff.next())
            if self._is_wanted(id):
                return
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    await self._discovery.delete(id)
            except NotFound:
                return
            except (SkywireError, TimeoutError) as error:
                log.debug("transport not deleted id=%s error=%s", id, error or "time")
            else:
                return
        log.warning("transport stays listed id=%s tries=%d", id, DELETE_TRIES)

    async def run(self) -> None:
        """Compare the discovery's list with the links, for ever."""
        await asyncio.sleep(self._first_check)
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    await self.check()
                wait = CHECK_INTERVAL
            except (SkywireError, TimeoutError) as error:
                self.error = str(error) or f"no answer within {CALL_TIMEOUT:g} s"
                log.warning("transport discovery error=%s retry_s=%.0f", self.error, CHECK_RETRY)
                wait = CHECK_RETRY
            await asyncio.sleep(wait)

    async def check(self) -> None:
        """Once. Raises what the discovery raises."""
        listed = {entry.id: entry for entry in await self._discovery.of_edge(self._public)}
        for id, entry in listed.items():
            if not self._is_wanted(id) and entry.edges[0] != entry.edges[1]:
                log.info("transport listed but not there id=%s", id)
                self.forget(id)
        ours = [link for link in self._links.values() if not link.dialled]
        for link in ours:
            if link.id not in listed:
                await self._again([link])
        if self._renewable:
            present = [link for link in ours if link.id in listed]
            for begin in range(0, len(present), BATCH):
                await self._again(present[begin : begin + BATCH])
        self.error = ""

    async def _again(self, links: list[Link]) -> None:
        try:
            await self._discovery.register([link.signed for link in links])
        except Conflict:
            pass  # renewed
        except NotSupported:
            self._renewable = False
        for link in links:
            if not self._is_wanted(link.id):  # it ended meanwhile
                self.forget(link.id)

    async def leave(self, ids: list[uuid.UUID]) -> None:
        """At the end: delete all, as far as it can be done soon."""
        await self._tasks.close()

        async def delete(id: uuid.UUID) -> None:
            try:
                await self._discovery.delete(id)
            except SkywireError as error:
                log.debug("transport not deleted id=%s error=%s", id, error)

        try:
            async with asyncio.timeout(LEAVE_TIMEOUT), asyncio.TaskGroup() as tasks:
                for id in ids:
                    tasks.create_task(delete(id))
        except TimeoutError:
            log.warning("transports stay listed count=%d", len(ids))
