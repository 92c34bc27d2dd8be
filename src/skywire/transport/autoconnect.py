"""Opens transports to a few public visors, so that there are ways out. Source: transport.md §6.1.

Ours goes on for as long as the visor runs: Go stops once it has had three.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.transport.manager import TransportManager
from skywire.wire.transport import AUTOMATIC, STCPR

log = logging.getLogger(__name__)

WANTED = 3  # automatic transports
INTERVAL = 10.0  # seconds
ASK_LIMIT = 10.0  # seconds for the service discovery
DIAL_LIMIT = 15.0  # seconds for one visor
MAX_FAILURES = 2  # dials to one key, then it is given up …
FORGET_TIME = 3600.0  # … for so many seconds
MAX_FORGOTTEN = 4096  # keys remembered as failing

PublicVisors = Callable[[int], Awaitable[list[PubKey]]]


class Autoconnect:
    """`public_visors(n)` names up to n of them at random (`ServiceDirectory.public_visors`)."""

    def __init__(
        self,
        manager: TransportManager,
        public_visors: PublicVisors,
        *,
        wanted: int = WANTED,
        interval: float = INTERVAL,
    ) -> None:
        self._manager = manager
        self._public_visors = public_visors
        self._wanted = wanted
        self._interval = interval
        self._failures: Counter[PubKey] = Counter()
        self._forget_at = 0.0
        self.error = ""  # why the list could not be had the last time

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.once()
                self.error = ""
            except (SkywireError, TimeoutError) as error:
                self.error = str(error) or f"no answer within {ASK_LIMIT:g} s"
                log.info("no public visors known error=%s", self.error)
            await asyncio.sleep(self._interval)

    async def once(self) -> None:
        """One round. Raises what asking for visors raises."""
        self._forget()
        connected = {
            link.remote for link in self._manager.links.values() if link.label == AUTOMATIC
        }
        if len(connected) >= self._wanted:
            return
        async with asyncio.timeout(ASK_LIMIT):
            visors = await self._public_visors(self._wanted)
        for remote in dict.fromkeys(visors):
            if len(connected) >= self._wanted:
                return
            if remote == self._manager.public or self._manager.links_to(remote):
                continue
            if self._failures[remote] < MAX_FAILURES and await self._dial(remote):
                connected.add(remote)

    async def _dial(self, remote: PubKey) -> bool:
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                await self._manager.save(remote, STCPR, AUTOMATIC)
        except (SkywireError, TimeoutError) as error:
            self._failures[remote] += 1
            log.info("public visor not reached remote=%s error=%s", remote, error or "time")
            return False
        self._failures.pop(remote, None)
        return True

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._forget_at or len(self._failures) > MAX_FORGOTTEN:
            self._failures.clear()
            self._forget_at = now + FORGET_TIME
