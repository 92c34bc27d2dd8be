"""Lists this visor for others to connect to, while it can be reached. Source: visor.md §6.

The service discovery takes a visor that asks from an address which is among those it names, so they
are told, the public ones only.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from skywire import __version__
from skywire.config.model import VisorConfig
from skywire.errors import SkywireError
from skywire.platform.addresses import is_public, local_addresses
from skywire.transport.service_directory import ServiceDirectory
from skywire.visor.modules import Module, Report
from skywire.visor.services import Services
from skywire.wire.service import VISOR, Service

log = logging.getLogger(__name__)

LOOK = 3.0  # seconds between looks for an address and a port
REGISTER_INTERVAL = 120.0  # seconds; what a service discovery of 2026 lists lives about 300
REGISTER_LIMIT = 10.0  # seconds for one request …
WITHDRAW_LIMIT = 2.0  # … and for the last one
NAME = "public visor"


class PublicVisor:
    """`port` is that of stcpr, 0 while there is none."""

    def __init__(self, config: VisorConfig, services: Services, port: Callable[[], int]) -> None:
        self._config = config
        self._services = services
        self._port = port

    def modules(self) -> Iterable[Module]:
        if self._config.launcher.service_discovery and self._config.transport.address_resolver:
            yield Module(NAME, self._list, awaited=False)

    async def _list(self, report: Report) -> None:
        url = self._config.launcher.service_discovery
        async with self._services.temporary("launcher.service_discovery", url) as session:
            directory = ServiceDirectory(session)
            if self._config.is_public:
                await self._stay_listed(directory, report)
            else:
                await self._leave(directory, report)

    async def _stay_listed(self, directory: ServiceDirectory, report: Report) -> None:
        listed: Service | None = None
        try:
            while True:
                addresses = tuple(filter(is_public, local_addresses()))
                if addresses and self._port():
                    listed = self._service(addresses)
                    await _limited(directory.register(listed), REGISTER_LIMIT)
                    report.up()
                else:
                    report.down("no public IPv4 address, or no stcpr")
                await asyncio.sleep(REGISTER_INTERVAL if listed else LOOK)
        finally:
            if listed is not None:
                with suppress(SkywireError, TimeoutError):
                    await _limited(directory.withdraw(listed), WITHDRAW_LIMIT)

    async def _leave(self, directory: ServiceDirectory, report: Report) -> None:
        """A visor that was public and has ended without a word may be listed still."""
        await _limited(directory.withdraw(self._service(())), REGISTER_LIMIT)
        report.up()
        await asyncio.Event().wait()

    def _service(self, addresses: tuple[str, ...]) -> Service:
        return Service(
            address=f"{self._config.pk}:{self._port()}",
            type=VISOR,
            version=f"v{__version__}",
            display_node_ip=self._config.launcher.display_node_ip,
            local_ips=addresses,
        )


async def _limited(request: Awaitable[None], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await request
