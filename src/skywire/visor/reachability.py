"""Can others reach this visor over dmsg? It tries itself. Source: visor.md §6 (transportable).

Ours differs on purpose: Go opens a transport to itself, and ends the visor when that has failed
three times in a row. Here it is a dmsg stream to our own key, which needs the same of dmsg (an
entry that is right, a server that brings streams) and leaves the discoveries alone; after three
failures the sessions are made anew.
"""

import asyncio
import logging
from collections.abc import Iterable

from skywire.dmsg.client import DmsgClient
from skywire.dmsg.control import ping
from skywire.errors import SkywireError
from skywire.ports import DMSG_CONTROL
from skywire.visor.modules import Module, Report

log = logging.getLogger(__name__)

FIRST = 60.0  # seconds until the first try
INTERVAL = 300.0  # seconds between tries …
RETRY = 60.0  # … after a failure
LIMIT = 20.0  # seconds for one
MAX_FAILURES = 3  # in a row

NAME = "reachability"


class Reachability:
    def __init__(self, dmsg: DmsgClient) -> None:
        self._dmsg = dmsg

    def modules(self) -> Iterable[Module]:
        yield Module(NAME, self._watch, after=("dmsg", "dmsg control"), awaited=False)

    async def _watch(self, report: Report) -> None:
        failures = 0
        await asyncio.sleep(FIRST)
        while True:
            try:
                async with asyncio.timeout(LIMIT):
                    await self.once()
            except (SkywireError, TimeoutError) as error:
                failures += 1
                reason = str(error) or f"no answer within {LIMIT:g} s"
                report.down(f"not reachable over dmsg: {reason}")
                log.warning("not reachable over dmsg failures=%d reason=%s", failures, reason)
                if failures == MAX_FAILURES:
                    failures = 0
                    self._dmsg.drop_sessions()
                await asyncio.sleep(RETRY)
            else:
                failures = 0
                report.up()
                await asyncio.sleep(INTERVAL)

    async def once(self) -> float:
        """Seconds there and back. Raises what dialling and pinging raise."""
        stream = await self._dmsg.dial(self._dmsg.public, DMSG_CONTROL)
        try:
            return await ping(stream)
        finally:
            stream.abort()
