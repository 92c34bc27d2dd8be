"""Lists the apps that serve others in the service discovery. Source: apps.md §11.

A VPN or proxy server that anybody may use is listed while it runs, and no longer.
"""

import asyncio
import logging

from skywire import __version__
from skywire.appkit.arguments import get_text, kind_of
from skywire.appkit.proc import Proc
from skywire.config.model import VisorConfig
from skywire.errors import SkywireError
from skywire.streams.supervise import Backoff, Tasks
from skywire.transport.service_directory import ServiceDirectory
from skywire.visor.services import Services
from skywire.wire.service import SKYSOCKS, VPN, Service

log = logging.getLogger(__name__)

TYPES = {"vpn-server": VPN, "skysocks": SKYSOCKS}
REFRESH = 90.0  # seconds; 2026
RETRY = (5.0, 60.0)  # seconds between tries
REQUEST_LIMIT = 20.0  # seconds
WITHDRAW_LIMIT = 3.0  # seconds, once, when the app has ended


class Listings:
    """Use it as an async context manager."""

    def __init__(self, config: VisorConfig, services: Services) -> None:
        self._config = config
        self._services = services
        self._tasks = Tasks("app listings")
        self._listed: dict[str, tuple[Service, asyncio.Task[None]]] = {}  # by the app's name

    async def __aenter__(self) -> "Listings":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()

    def begin(self, proc: Proc) -> None:
        """Does nothing for an app that is not for everybody, or is listed already."""
        service = self._service(proc)
        if service is not None and proc.name not in self._listed:
            task = self._tasks.spawn(self._keep(service), proc.name)
            self._listed[proc.name] = service, task

    def _service(self, proc: Proc) -> Service | None:
        arguments = proc.config.proc_args
        kind = TYPES.get(kind_of(proc.name, arguments), "")
        closed = get_text(arguments, "--passcode") or get_text(arguments, "--whitelist")
        if not kind or closed or not self._config.launcher.service_discovery:
            return None
        port = proc.config.routing_port or proc.port
        address = f"{self._config.pk}:{port}"
        return Service(address=address, type=kind, version=f"v{__version__}")

    async def _keep(self, service: Service) -> None:
        backoff = Backoff(*RETRY, factor=2.0, jitter=0.2)
        url = self._config.launcher.service_discovery
        async with self._services.temporary("launcher.service_discovery", url) as session:
            directory = ServiceDirectory(session)
            while True:
                try:
                    async with asyncio.timeout(REQUEST_LIMIT):
                        await directory.register(service)
                    backoff.reset()
                    wait = REFRESH
                except (SkywireError, TimeoutError) as error:
                    wait = backoff.next()
                    log.warning("app not listed type=%s reason=%s", service.type, error or "time")
                await asyncio.sleep(wait)

    async def end(self, proc: Proc) -> None:
        """Take it off the list, if it is there."""
        service, task = self._listed.pop(proc.name, (None, None))
        if service is None or task is None:
            return
        task.cancel()
        url = self._config.launcher.service_discovery
        try:
            async with (
                asyncio.timeout(WITHDRAW_LIMIT),
                self._services.temporary("launcher.service_discovery", url) as session,
            ):
                await ServiceDirectory(session).withdraw(service)
        except (SkywireError, TimeoutError) as error:
            log.info(
                "app stays listed for a while type=%s reason=%s", service.type, error or "time"
            )
