"""Tells the uptime tracker every five minutes that this visor runs. Source: visor.md §6 (uptime).

A deployment of 2026 counts uptime in its transport discovery: it gets the same request; one that
does not know it is asked again an hour later. Ours differs on purpose: the first request goes out
at once, so that a restart costs nothing and a tracker that cannot be reached is seen.
"""

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import urlencode

from skywire.config.model import VisorConfig
from skywire.errors import Unavailable
from skywire.http.auth import SignedSession
from skywire.visor.modules import Module, Report
from skywire.visor.services import Services

log = logging.getLogger(__name__)

INTERVAL = 300.0  # seconds; the tracker counts so many for each
UNKNOWN_INTERVAL = 3600.0  # seconds until a discovery that did not know of it is asked again
LIMIT = 20.0  # seconds for one request
NO_SUCH_PATH = frozenset({404, 405, 410})

TRACKER = "uptime"
DISCOVERY = "uptime at the transport discovery"


class Uptime:
    """`listing` is the session with the transport discovery, if there is one."""

    def __init__(
        self, config: VisorConfig, services: Services, listing: SignedSession | None
    ) -> None:
        self._config = config
        self._services = services
        self._listing = listing

    def modules(self) -> Iterable[Module]:
        tracker = self._config.uptime_tracker
        if tracker is not None and tracker.addr:
            yield Module(TRACKER, self._tell_tracker, awaited=False)
        if self._listing is not None:
            yield Module(DISCOVERY, self._tell_discovery, awaited=False)

    async def _tell_tracker(self, report: Report) -> None:
        tracker = self._config.uptime_tracker
        if tracker is None:
            return
        async with self._services.temporary("uptime_tracker.addr", tracker.addr) as session:
            while True:
                status = await self._beat(session)
                if status != 200:
                    raise Unavailable(f"uptime tracker: status {status}")
                report.up()
                await asyncio.sleep(INTERVAL)

    async def _tell_discovery(self, report: Report) -> None:
        if self._listing is None:
            return
        while True:
            status = await self._beat(self._listing)
            if status not in NO_SUCH_PATH and status != 200:
                raise Unavailable(f"transport discovery, uptime: status {status}")
            report.up()
            await asyncio.sleep(INTERVAL if status == 200 else UNKNOWN_INTERVAL)

    async def _beat(self, session: SignedSession) -> int:
        """The answer's status. Raises Unavailable, RemoteProtocolError."""
        query = urlencode({"version": self._config.version})
        try:
            async with asyncio.timeout(LIMIT):
                status, _ = await session.request("GET", f"/v4/update?{query}")
        except TimeoutError as error:
            raise Unavailable(f"{session.url}: no answer within {LIMIT:g} s") from error
        log.debug("uptime told url=%s status=%d", session.url, status)
        return status
