"""The transports of a visor, as its config has them. Source: visor.md §1, §6; transport.md §6.

Every network and everything that opens transports on its own account is a part: `parts` says what
to run. The manager is there while this is entered.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from skywire.config.model import VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import SkywireError
from skywire.http.auth import SignedSession
from skywire.platform.addresses import local_addresses, public_address
from skywire.ports import DMSG_TRANSPORT_SETUP
from skywire.transport.discovery import TransportDiscovery, TransportDiscoveryClient
from skywire.transport.dmsg import DmsgNetwork
from skywire.transport.link import Link
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity, Network
from skywire.transport.persistent import PersistentTransports, Wanted
from skywire.transport.resolver import AddressResolverClient
from skywire.transport.setup import TransportGateway
from skywire.transport.stcp import StcpNetwork
from skywire.visor.modules import Module, Part, Report
from skywire.visor.nat import NatWatch, UnlessSymmetric
from skywire.visor.public_visor import PublicVisor
from skywire.visor.services import Services
from skywire.visor.tcp_events import TcpEvents
from skywire.visor.unlisted import Unlisted
from skywire.wire.transport import DMSG

if TYPE_CHECKING:
    from skywire.transport.traffic_log import TrafficLog
    from skywire.wire.stun import Nat

log = logging.getLogger(__name__)

FIRST_LOOK = 0.05  # seconds between looks at a network that is not up yet …
LOOK = 3.0  # … and at one that is
PREPARE_LIMIT = 10.0  # seconds a dial waits for a transport to its target


class _Served(NamedTuple):
    """A network, and how one sees that it works."""

    network: Network
    is_up: Callable[[], bool]
    facts: Callable[[], dict[str, str]]
    awaited: bool  # it needs nobody else to come up


class Transports:
    """Use it as an async context manager, inside the dmsg client and the services it is given."""

    def __init__(
        self,
        config: VisorConfig,
        dmsg: DmsgClient,
        services: Services,
        tcp_events: TcpEvents | None = None,
    ) -> None:
        self._tcp_events = tcp_events or TcpEvents()
        self._config = config
        self._dmsg = dmsg
        self._services = services
        self._stack = AsyncExitStack()
        self._served: list[_Served] = []
        self._stcpr_port: Callable[[], int] = lambda: 0
        self._nat = NatWatch(config.stun_servers)
        services.public_address.fallback = lambda: self._nat.address
        self._traffic_log: TrafficLog | None = None
        self.listing: SignedSession | None = None  # with the transport discovery
        self.discovery: TransportDiscovery = Unlisted()
        self.min_hops = config.routing.min_hops  # of routes that are prepared for
        self.manager: TransportManager
        self.persistent: PersistentTransports

    async def __aenter__(self) -> "Transports":
        """Raises InvalidValue naming the key of a URL that is none."""
        config = self._config
        identity = Identity.of(config.pk, config.sk, self._tcp_events.dialling)
        url = config.transport.discovery
        if url:
            self.listing = await self._services.session("transport.discovery", url)
            self.discovery = TransportDiscoveryClient(self.listing)
        self._add_dmsg()
        self._add_stcp(identity)
        await self._add_resolved(identity)
        networks = [served.network for served in self._served]
        self.manager = TransportManager(identity, networks, self.discovery)
        wanted = [Wanted(each.pk, each.type) for each in config.persistent_transports]
        self.persistent = PersistentTransports(self.manager, wanted)
        await self._stack.enter_async_context(self.manager)
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._stack.aclose()

    # Networks

    def _add_dmsg(self) -> None:
        network = DmsgNetwork(self._dmsg)
        self._served.append(
            _Served(network, lambda: network.type not in self.manager.faults, dict, awaited=True)
        )

    def _add_stcp(self, identity: Identity) -> None:
        section = self._config.skywire_tcp
        if section is None:
            return
        table = {PubKey.parse(key): address for key, address in section.pk_table.items()}
        listening = section.listening_address
        network = StcpNetwork(identity, table, listen=listening)
        self._served.append(
            _Served(
                network,
                lambda: bool(network.port or not listening),
                lambda: {"stcp": f"{listening.host}:{network.port}"} if listening else {},
                awaited=True,
            )
        )

    async def _add_resolved(self, identity: Identity) -> None:
        """stcpr and sudph, which need the address resolver; sudph, the one at a URL of HTTP."""
        url, config = self._config.transport.address_resolver, self._config.transport
        if not url:
            return
        # Imported here: a visor without a resolver has no need of them.
        from skywire.transport.stcpr import StcprNetwork
        from skywire.transport.sudph import SudphNetwork
        from skywire.wire.sudph import resolver_endpoint

        resolver = AddressResolverClient(
            await self._services.session("transport.address_resolver", url)
        )
        stcpr = StcprNetwork(identity, resolver, port=config.stcpr_port, addresses=local_addresses)
        self._stcpr_port = lambda: stcpr.port
        self._served.append(
            _Served(
                stcpr,
                lambda: stcpr.bound.is_set() or not public_address(local_addresses()),
                lambda: {"stcpr_port": str(stcpr.port)} if stcpr.port else {},
                awaited=False,
            )
        )
        if url.startswith("dmsg://"):
            return
        sudph = SudphNetwork(
            identity,
            resolver,
            resolver_endpoint(url),
            local_addresses=local_addresses,
            port=config.sudph_port,
        )
        self._served.append(
            _Served(
                UnlessSymmetric(sudph, self._nat),
                lambda: sudph.is_bound,
                lambda: {"sudph_port": str(sudph.port)},
                awaited=False,
            )
        )

    # Parts

    def modules(self) -> Iterable[Module]:
        """What to run."""
        config = self._config
        yield from self._nat.modules()
        for served in self._served:
            name = f"transport {served.network.type}"
            yield Module(name, self._watch(served), awaited=served.awaited)
        yield Module("persistent transports", self._keep_persistent)
        if config.transport.transport_setup:
            yield Module("transport setup", self._serve_setup)
        if config.transport.log_store.type == "file":
            yield Module("transport log", self._keep_log)
        if self.autoconnect_module is not None and config.transport.public_autoconnect:
            yield self.autoconnect_module
        yield from PublicVisor(config, self._services, lambda: self._stcpr_port()).modules()

    @property
    def autoconnect_module(self) -> Module | None:
        """None when the config names no services to ask; it can be started and stopped."""
        config = self._config
        if not (config.launcher.service_discovery and config.transport.address_resolver):
            return None
        return Module("public autoconnect", self._autoconnect)

    def _watch(self, served: _Served) -> Part:
        async def watch(report: Report) -> None:
            up = False
            while True:
                fault = self.manager.faults.get(served.network.type)
                if served.is_up() != up:
                    up = not up
                    if up:
                        report.up(**served.facts())
                    else:
                        report.down(fault or "it is not reachable just now")
                elif not up and fault:
                    report.down(fault)
                await asyncio.sleep(LOOK if up or fault else FIRST_LOOK)

        return watch

    async def _keep_persistent(self, report: Report) -> None:
        report.up()
        await self.persistent.run()

    async def _serve_setup(self, report: Report) -> None:
        gateway = TransportGateway(self.manager, self._config.transport.transport_setup)
        listener = self._dmsg.listen(DMSG_TRANSPORT_SETUP)
        report.up()
        try:
            await gateway.serve(listener)
        finally:
            await listener.close()

    def keep_logs_for(self, seconds: float) -> None:
        """The files with each day's traffic, from now on."""
        if self._traffic_log is not None:
            self._traffic_log.keep = seconds

    async def _keep_log(self, report: Report) -> None:
        from skywire.transport.traffic_log import TrafficLog

        store = self._config.transport.log_store
        report.up()
        self._traffic_log = TrafficLog(Path(store.location), keep=store.rotation_interval)
        await self._traffic_log.run(self.manager.links)

    async def _autoconnect(self, report: Report) -> None:
        from skywire.transport.autoconnect import Autoconnect
        from skywire.transport.service_directory import ServiceDirectory

        url = self._config.launcher.service_discovery
        async with self._services.temporary("launcher.service_discovery", url) as session:
            report.up()
            await Autoconnect(self.manager, ServiceDirectory(session).public_visors).run()

    # For others

    async def prepare(self, remote: PubKey) -> None:
        """Have a transport to `remote`, if one can be opened: a route over it is the shortest."""
        if not self._config.routing.automatic_transports or self.min_hops > 1:
            return
        if self.manager.links_to(remote):
            return
        try:
            async with asyncio.timeout(PREPARE_LIMIT):
                await self.manager.connect(remote)
        except (SkywireError, TimeoutError) as error:
            log.info("no direct transport remote=%s reason=%s", remote, error or "time")

    @property
    def types(self) -> list[str]:
        """Of the networks that work now: what can be opened."""
        up = [served.network.type for served in self._served if served.is_up()]
        return [kind for kind in up if kind != DMSG or self._dmsg.sessions]

    @property
    def nat(self) -> "Nat | None":
        """What is in front of us; None while that is not known."""
        return self._nat.nat

    @property
    def links(self) -> list[Link]:
        return list(self.manager.links.values())
