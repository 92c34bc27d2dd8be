"""Keeps a connection to each hypervisor that may control this visor. Source: hypervisor.md §1.

We dial its dmsg port 46 and then answer its calls on that stream, for ever: a failing hypervisor
never stops the visor.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.ports import DMSG_HYPERVISOR
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff
from skywire.visor.modules import Module, Part, Report

log = logging.getLogger(__name__)

DIAL_LIMIT = 10.0  # seconds; a Go server is silent while the hypervisor is not back
RETRY_FIRST, RETRY_LIMIT = 1.0, 5.0  # seconds between dials that fail; factor 1.3
SHORT_LIFE = 1.0  # seconds; a stream that ended so soon is no reason to dial again at once

Dial = Callable[[PubKey, int], Awaitable[Stream]]
Serve = Callable[[Stream], Awaitable[None]]


class HypervisorLinks:
    """`serve` answers calls on a stream until it ends."""

    def __init__(self, dial: Dial, serve: Serve) -> None:
        self._dial = dial
        self._serve = serve
        self.connected: list[PubKey] = []  # those with a stream now, in order of connection

    def modules(self, keys: Iterable[PubKey]) -> Iterable[Module]:
        """A connection to each of `keys`; the visor is complete without them."""
        for pk in keys:
            yield Module(f"hypervisor {pk}", self._kept(pk), awaited=False)

    def _kept(self, pk: PubKey) -> Part:
        return lambda report: self.keep(pk, report)

    async def keep(self, pk: PubKey, report: Report) -> None:
        """Stay connected to `pk`; ends only by cancellation."""
        clock = asyncio.get_running_loop().time
        backoff = Backoff(RETRY_FIRST, RETRY_LIMIT)
        complained = False
        while True:
            try:
                async with asyncio.timeout(DIAL_LIMIT):
                    stream = await self._dial(pk, DMSG_HYPERVISOR)
            except (SkywireError, TimeoutError) as error:
                reason = str(error) or f"no answer within {DIAL_LIMIT:g} s"
                report.down(reason)
                level = logging.DEBUG if complained else logging.WARNING
                log.log(level, "hypervisor not reached pk=%s reason=%s", pk, reason)
                complained = True
                await asyncio.sleep(backoff.next())
                continue
            log.info("hypervisor connected pk=%s", pk)
            report.up()
            complained = False
            started = clock()
            self.connected.append(pk)
            try:
                await self._serve(stream)
            finally:
                self.connected.remove(pk)
                stream.abort()
            report.down("the connection ended")
            log.info("hypervisor disconnected pk=%s", pk)
            if clock() - started < SHORT_LIFE:
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()
