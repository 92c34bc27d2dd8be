"""A visor: builds its parts from the config, runs them, and closes them. Source: visor.md §1.

    visor = Visor(ConfigFile.load("skywire-config.json"))
    await visor.run(lambda: print("ready"))

Every part is supervised on its own (`modules.py`); the dmsg client is there from the start, whether
or not the discovery answers. What runs beside the visor in the same process (a hypervisor) is one
more part, given to `add_part`.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import TypeVar, cast

import msgspec

from skywire import __version__
from skywire.appkit.network import Network
from skywire.config.load import ConfigFile
from skywire.config.model import PersistentTransport as WantedTransport
from skywire.config.model import TransportType, VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.control import serve_control
from skywire.dmsg.discovery import Directory
from skywire.errors import InvalidValue, NotSupported
from skywire.ports import DMSG_CONTROL
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.rpc.server import RpcServer
from skywire.transport.link import Link
from skywire.transport.persistent import Wanted
from skywire.visor import shown
from skywire.visor.directory import open_directory
from skywire.visor.hypervisors import HypervisorLinks
from skywire.visor.local_rpc import serve_local
from skywire.visor.modules import Modules, Part, Report
from skywire.visor.pings import Pings
from skywire.visor.routes import Routes
from skywire.visor.rpc import rpc_server
from skywire.visor.services import Services
from skywire.visor.terminals import Terminals
from skywire.visor.transports import Transports
from skywire.visor.types import (
    BuildInfo,
    DmsgServer,
    DmsgStats,
    HealthInfo,
    LoadStats,
    Overview,
    PersistentTransport,
    RouteRow,
    Summary,
)
from skywire.wire.transport import TYPES

log = logging.getLogger(__name__)

_Part = TypeVar("_Part")

CLIENT_TYPE = "visor"
APP_PROTOCOL_VERSION = "0.1.0"
READY_LIMIT = 10.0  # seconds after which we are as ready as we get for now
DMSG_PATIENCE = 3.0  # seconds until a missing connection to dmsg is reported
STOP_LIMIT = 4.0  # seconds for everything to close
MAX_SHOWN_RULES = 1000  # in a summary


class Visor:
    """`directory` replaces the one the config names. Runs once."""

    def __init__(self, file: ConfigFile, directory: Directory | None = None) -> None:
        self.file = file
        self.modules = Modules("visor")
        self._directory = directory
        self._started = time.monotonic()
        self._more: dict[str, Part] = {}
        self._dmsg: DmsgClient | None = None
        self._rpc: RpcServer = rpc_server(self)
        self._links = HypervisorLinks(lambda pk, port: self.dmsg.dial(pk, port), self._rpc.serve)
        self._transports: Transports | None = None
        self._routes: Routes | None = None
        self._network: Network | None = None
        self._pings: Pings | None = None
        self.terminals: Terminals | None = None  # there while the visor runs, if configured
        self.remote_visors: Callable[[], list[PubKey]] | None = None  # those of our hypervisor

    @property
    def config(self) -> VisorConfig:
        return self.file.config

    @property
    def pk(self) -> PubKey:
        return self.config.pk

    @property
    def dmsg(self) -> DmsgClient:
        """There while the visor runs, as what follows."""
        return _running(self._dmsg)

    @property
    def transports(self) -> Transports:
        return _running(self._transports)

    @property
    def routes(self) -> Routes:
        return _running(self._routes)

    @property
    def network(self) -> Network:
        """Dials and listens, over routes and over dmsg."""
        return _running(self._network)

    @property
    def pings(self) -> Pings:
        return _running(self._pings)

    def add_part(self, name: str, part: Part) -> None:
        """Run `part` with the others; before `run`."""
        self._more[name] = part

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled; then everything has been closed, within `STOP_LIMIT`.

        `on_ready` is called once, when every part serves or has failed, or after `READY_LIMIT`.
        """
        stack = AsyncExitStack()
        try:
            directory = self._directory
            if directory is None:
                directory = await stack.enter_async_context(open_directory(self.config.dmsg))
            self._dmsg = DmsgClient(
                self.pk,
                self.config.sk,
                directory,
                min_sessions=self.config.dmsg.sessions_count,
                client_type=CLIENT_TYPE,
            )
            await stack.enter_async_context(self._dmsg)
            await self._join_skynet(stack, self._dmsg)
            if self.config.pty is not None:
                admitted = [self.pk, *self.config.hypervisors]
                terminals = Terminals(self.config.pty, self._dmsg, self.network, admitted)
                self.terminals = await stack.enter_async_context(terminals)
            stack.push_async_callback(self.modules.close)
            self._start_parts()
            try:
                async with asyncio.timeout(READY_LIMIT):
                    await self.modules.settled()
            except TimeoutError:
                log.warning("visor is not complete after seconds=%g", READY_LIMIT)
            on_ready()
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await stack.aclose()
            except TimeoutError:
                log.warning("visor did not close in order within seconds=%g", STOP_LIMIT)

    async def _join_skynet(self, stack: AsyncExitStack, dmsg: DmsgClient) -> None:
        services = Services(self.pk, self.config.sk, dmsg)
        await stack.enter_async_context(services)
        self._transports = Transports(self.config, dmsg, services)
        await stack.enter_async_context(self._transports)
        self._routes = Routes(self.config, dmsg, self._transports, services)
        await stack.enter_async_context(self._routes)
        self._network = Network(dmsg, self._routes)
        self._pings = Pings(self.pk, self._network)

    def _start_parts(self) -> None:
        start = self.modules.start
        if self.config.cli_addr:
            start("rpc", lambda report: serve_local(self.config.cli_addr, self._rpc, report))
        if self.terminals is not None:
            for name, part in self.terminals.parts().items():
                start(name, part)
        start("dmsg", self._watch_dmsg)
        start("dmsg control", self._serve_control)
        for name, (part, awaited) in self.transports.parts().items():
            start(name, part, awaited=awaited)
        start("ping", self.pings.serve)
        for pk in self.config.hypervisors:
            if pk != self.pk:  # ours, if there is one, needs no connection
                start(f"hypervisor {pk}", self._link(pk), awaited=False)
        for name, part in self._more.items():
            start(name, part)

    def _link(self, pk: PubKey) -> Part:
        return lambda report: self._links.keep(pk, report)

    async def _watch_dmsg(self, report: Report) -> None:
        while True:
            try:
                async with asyncio.timeout(DMSG_PATIENCE):
                    await self.dmsg.ready()
            except TimeoutError:
                cause = "no entry in the discovery yet" if self.dmsg.sessions else "no server yet"
                report.down(f"{cause}: {self.dmsg.entry_error or 'is the discovery up?'}")
                continue
            report.up(dmsg_servers=",".join(str(server) for server in self.dmsg.sessions))
            while self.dmsg.sessions:  # noqa: ASYNC110 - for a report, a look now and then will do
                await asyncio.sleep(DMSG_PATIENCE)

    async def _serve_control(self, report: Report) -> None:
        listener = self.dmsg.listen(DMSG_CONTROL)
        report.up()
        try:
            await serve_control(listener)
        finally:
            await listener.close()

    # What the operations ask for.

    def uptime(self) -> float:
        """Seconds."""
        return time.monotonic() - self._started

    def health(self) -> HealthInfo:
        connected = self._dmsg is not None and self._dmsg.sessions
        return HealthInfo(services_health="healthy" if connected else "connecting")

    def overview(self) -> Overview:
        nat = None if self._transports is None else self._transports.nat
        return Overview(
            local_pk=self.pk,
            build_info=BuildInfo(f"v{__version__}", "unknown", "unknown"),
            app_protocol_version=APP_PROTOCOL_VERSION,
            transports=[shown.transport(link, self.pk) for link in self._links_up()],
            routes_count=0 if self._routes is None else len(self._routes.router.rules),
            local_ip=local_ip(),
            public_ip="" if nat is None else nat.public_ip,
            is_symmetic_nat=nat is not None and nat.type.is_symmetric,
            nat_type="" if nat is None else nat.type.value,
            hypervisors=list(self.config.hypervisors),
            connected_hypervisor=list(self._links.connected),
            hostname=self.config.hostname or socket.gethostname(),
        )

    def summary(self, load: LoadStats) -> Summary:
        servers = [
            DmsgServer(server, round((self.dmsg.round_trip(server) or 0.0) * 1e9))
            for server in self.dmsg.sessions
        ]
        stats = DmsgStats()  # always there: Go's command line relies on it
        if servers:
            stats = DmsgStats(self.pk, servers[0].pk, servers[0].latency)
        return Summary(
            overview=self.overview(),
            health=self.health(),
            uptime=self.uptime(),
            routes=self._route_rows(),
            is_hypervisor=self.config.hypervisor is not None,
            dmsg_stats=stats,
            connected_dmsg_servers=[str(server.pk) for server in servers],
            dmsg_servers=servers,
            online=True,
            min_hops=self.config.routing.min_hops,
            persistent_transports=self.persistent_transports(),
            public_autoconnect=self.config.transport.public_autoconnect,
            is_public=self.config.is_public,
            build_tag="python",
            config_version=self.config.version,
            load=load,
        )

    def _links_up(self) -> list[Link]:
        return [] if self._transports is None else self._transports.links

    def _route_rows(self) -> list[RouteRow]:
        if self._routes is None:
            return []
        rules = self._routes.router.rules.all()[:MAX_SHOWN_RULES]
        return [shown.route_row(rule) for rule in rules]

    def persistent_transports(self) -> list[PersistentTransport]:
        wanted = self.config.persistent_transports
        return [PersistentTransport(each.pk, each.type) for each in wanted]

    def set_persistent_transports(self, wanted: Iterable[PersistentTransport]) -> None:
        """Also in the config file. Raises InvalidValue for a type that is none, Unavailable."""
        new = []
        for each in wanted:
            if each.type not in TYPES:
                raise InvalidValue(f'"{each.type[:40]}": expected one of {", ".join(TYPES)}')
            new.append(WantedTransport(pk=each.pk, type=cast(TransportType, each.type)))
        self.file.update(msgspec.structs.replace(self.config, persistent_transports=new))
        self.transports.persistent.set(Wanted(each.pk, each.type) for each in new)

    def allow_terminals(self, keys: Iterable[PubKey]) -> None:
        """Until the visor restarts. Raises NotSupported when it has no terminals."""
        self._terminals().allow(keys)

    async def execute_remotely(
        self, pk: PubKey, port: int, request: CommandExecReq, scheme: str
    ) -> CommandExecResult:
        """Run a command on another visor. Raises NotSupported when we have no terminals."""
        return await self._terminals().commands.execute(pk, port, request, scheme)

    def _terminals(self) -> Terminals:
        if self.terminals is None:
            raise NotSupported("this visor has no terminals: its config has no pty section")
        return self.terminals


def _running(part: _Part | None) -> _Part:
    if part is None:
        raise NotSupported("this visor does not run")
    return part


def local_ip() -> str:
    """The address this machine would use towards others; "" when there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a test address; connecting a datagram sends nothing
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return address
