"""What a visor runs on its dmsg client besides what others do. Source: visor.md §1."""

import asyncio
from collections.abc import Iterable

from skywire.dmsg.client import DmsgClient
from skywire.dmsg.control import serve_control
from skywire.ports import DMSG_CONTROL
from skywire.visor.modules import Module, Report

PATIENCE = 3.0  # seconds until a missing connection to dmsg is reported


class DmsgParts:
    def __init__(self, dmsg: DmsgClient) -> None:
        self._dmsg = dmsg

    def modules(self) -> Iterable[Module]:
        yield Module("dmsg", self._watch)
        yield Module("dmsg control", self._serve_control)

    async def _watch(self, report: Report) -> None:
        """`DmsgClient` connects on its own; this tells how it is."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._dmsg.ready()
            except TimeoutError:
                cause = "no entry in the discovery yet" if self._dmsg.sessions else "no server yet"
                reason = self._dmsg.entry_error or self._dmsg.servers_error
                report.down(f"{cause}: {reason or 'is the discovery up?'}")
                continue
            report.up(dmsg_servers=",".join(str(server) for server in self._dmsg.sessions))
            while self._dmsg.sessions:  # noqa: ASYNC110 - for a report, a look now and then will do
                await asyncio.sleep(PATIENCE)

    async def _serve_control(self, report: Report) -> None:
        listener = self._dmsg.listen(DMSG_CONTROL)
        report.up()
        try:
            await serve_control(listener)
        finally:
            await listener.close()
