"""A visor: builds its parts from the config, runs them, and closes them. Source: visor.md §1.

    visor = Visor(ConfigFile.load("skywire-config.json"))
    await visor.run(lambda: print("ready"))

A topic (transports, terminals, …) is a class of its own module: it is entered in `_enter`, kept in
`Parts`, and says in `modules()` what it runs. Every module is supervised on its own (`modules.py`);
the dmsg client is there from the start, whether or not the discovery answers. What runs beside the
visor in the same process (a hypervisor) is one more part, given to `add_part`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from skywire.appkit.network import Network
from skywire.config.load import ConfigFile
from skywire.config.model import PersistentTransport as WantedTransport
from skywire.config.model import TransportType, VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import Directory
from skywire.errors import InvalidValue, NotSupported
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.rpc.server import RpcServer
from skywire.streams.stream import Stream
from skywire.transport.persistent import Wanted
from skywire.visor import description
from skywire.visor.app_environment import Facts
from skywire.visor.apps import Apps
from skywire.visor.caller import is_one_of, serve_peer
from skywire.visor.directory import open_directory
from skywire.visor.dmsg_parts import DmsgParts
from skywire.visor.fetching import Fetching
from skywire.visor.forwarding import Forwarding
from skywire.visor.hypervisors import HypervisorLinks
from skywire.visor.local_rpc import LocalRpc
from skywire.visor.log_ring import RuntimeLog
from skywire.visor.managed import Managed
from skywire.visor.modules import Module, Modules, Part
from skywire.visor.one_server import OneServer
from skywire.visor.pings import Pings
from skywire.visor.remote_rpc import RemoteRpc
from skywire.visor.reward import RewardAddress
from skywire.visor.routes import Routes
from skywire.visor.rpc import rpc_server
from skywire.visor.seeding import known_to, twins_of
from skywire.visor.services import Services
from skywire.visor.tcp_events import TcpEvents
from skywire.visor.terminals import Terminals
from skywire.visor.transports import Transports
from skywire.visor.types import (
    HealthInfo,
    LoadStats,
    Overview,
    PersistentTransport,
    Summary,
)
from skywire.visor.upkeep import Upkeep, health
from skywire.wire.transport import TYPES

log = logging.getLogger(__name__)

_Part = TypeVar("_Part")

CLIENT_TYPE = "visor"
MAX_ABOVE = 64  # keys
READY_LIMIT = 10.0  # seconds after which we are as ready as we get for now
STOP_LIMIT = 4.0  # seconds for everything to close
ANSWER_TIME = 0.2  # seconds for the answer to whoever asks the visor to end


class Parts:
    """What a visor has while it runs; None before it is there."""

    dmsg: DmsgClient | None = None
    services: Services | None = None
    transports: Transports | None = None
    routes: Routes | None = None
    network: Network | None = None
    pings: Pings | None = None
    forwarding: Forwarding | None = None
    terminals: Terminals | None = None  # only if configured
    apps: Apps | None = None  # of one that is not plain
    upkeep: Upkeep | None = None


class Visor:
    """`directory` replaces the one the config names; `dmsg_server`, if given, is the only one used.
    Runs once.

    A `plain` one belongs to a program, not to a machine: it has no log server, survey and uptime,
    and keeps no log.
    """

    def __init__(
        self,
        file: ConfigFile,
        directory: Directory | None = None,
        *,
        plain: bool = False,
        dmsg_server: PubKey | None = None,
    ) -> None:
        self.file = file
        self._plain = plain
        self.modules = Modules("visor")
        self.parts = Parts()
        self.logs = RuntimeLog()
        self.wants_reload = False  # once `run` has returned: start another one from the same file
        self._ended = asyncio.Event()
        self._patience: asyncio.Timeout | None = None  # with the parts that still start
        self._directory = directory
        self._dmsg_server = dmsg_server
        self._started = time.monotonic()
        self._more: list[Module] = []
        self._rpc: RpcServer = rpc_server(self)
        self._links = HypervisorLinks(lambda pk, port: self.dmsg.dial(pk, port), self._serve_peer)
        self.fetching = Fetching(lambda pk, port: self.dmsg.dial(pk, port))
        self.reward = RewardAddress(file.config.local_path)
        self.managed: Managed | None = None  # the visors of our hypervisor, while it runs
        self.make_hypervisor: Callable[[], Part] | None = None  # when the config asks for one later
        self.above: list[PubKey] = []  # hypervisors of our hypervisors, as these have told

    @property
    def config(self) -> VisorConfig:
        return self.file.config

    @property
    def pk(self) -> PubKey:
        return self.config.pk

    @property
    def dmsg(self) -> DmsgClient:
        """There while the visor runs, as what follows. Raises NotSupported before and after."""
        return _running(self.parts.dmsg)

    @property
    def services(self) -> Services:
        return _running(self.parts.services)

    @property
    def transports(self) -> Transports:
        return _running(self.parts.transports)

    @property
    def routes(self) -> Routes:
        return _running(self.parts.routes)

    @property
    def network(self) -> Network:
        """Dials and listens, over routes and over dmsg."""
        return _running(self.parts.network)

    @property
    def pings(self) -> Pings:
        return _running(self.parts.pings)

    @property
    def forwarding(self) -> Forwarding:
        return _running(self.parts.forwarding)

    @property
    def apps(self) -> Apps:
        return _running(self.parts.apps)

    @property
    def terminals(self) -> Terminals | None:
        """There while the visor runs, if configured."""
        return self.parts.terminals

    @property
    def connected_hypervisors(self) -> Sequence[PubKey]:
        return self._links.connected

    def add_part(self, name: str, part: Part, *, after: tuple[str, ...] = ()) -> None:
        """Run `part` with the others; before `run`."""
        self._more.append(Module(name, part, after))

    async def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled or `end`; then everything has been closed, within `STOP_LIMIT`.

        `on_ready` is called once, when every part serves or has failed, or after `READY_LIMIT`.
        """
        stack = AsyncExitStack()
        if not self._plain:  # the logging of a program is its own
            self.logs.attach()
            stack.callback(self.logs.detach)
        try:
            topics = await self._enter(stack)
            stack.push_async_callback(self.modules.close)
            self.modules.start_all(topics)
            await self._settle()
            if not self._ended.is_set():
                on_ready()
            await self._ended.wait()
        finally:
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await stack.aclose()
            except TimeoutError:
                log.warning("visor did not close in order within seconds=%g", STOP_LIMIT)

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(READY_LIMIT) as self._patience:
                await self.modules.settled()
        except TimeoutError:
            log.warning("visor is not complete after seconds=%g", READY_LIMIT)
        finally:
            self._patience = None

    def end(self, *, reload: bool = False) -> None:
        """Have `run` return soon, so that whoever asks for it has an answer."""
        log.info("visor is asked to %s", "start anew" if reload else "stop")
        self.wants_reload = reload
        asyncio.get_running_loop().call_later(ANSWER_TIME, self._end)

    def _end(self) -> None:
        self._ended.set()
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    def reload(self) -> None:
        """`end`, to start anew from the config file.

        Raises NotSupported when there is none, InvalidValue when it cannot be used.
        """
        if self.file.path is None:
            raise NotSupported(
                "the config did not come from a file: there is nothing to read again"
            )
        ConfigFile.load(self.file.path)
        self.end(reload=True)

    async def _enter(self, stack: AsyncExitStack) -> list[Module]:
        """Build the parts, in their order; what they run is the answer."""
        config, parts, enter = self.config, self.parts, stack.enter_async_context
        found: list[Module] = []
        if config.cli_addr:
            local = LocalRpc(config.cli_addr, self._rpc, self._dial_by_scheme)
            found.append(Module("rpc", local.serve))
        directory = self._directory
        if directory is None:
            dial = lambda pk, port: self.dmsg.dial(pk, port)  # noqa: E731
            directory = await enter(open_directory(config.dmsg, known_to(config), dial))
        if self._dmsg_server is not None:
            directory = OneServer(directory, self._dmsg_server)
        client = DmsgClient(
            self.pk,
            config.sk,
            directory,
            min_sessions=config.dmsg.sessions_count,
            client_type="" if self._plain else CLIENT_TYPE,
        )
        tcp_events = TcpEvents()
        client.on_dial = partial(tcp_events.dialling, "tcp")
        client.on_close = partial(tcp_events.closed, "tcp")
        dmsg = parts.dmsg = await enter(client)
        found += DmsgParts(dmsg).modules()
        services = parts.services = await enter(
            Services(self.pk, config.sk, dmsg, twins_of(config))
        )
        transports = parts.transports = await enter(Transports(config, dmsg, services, tcp_events))
        found += transports.modules()
        routes = parts.routes = await enter(Routes(config, dmsg, transports, services))
        network = parts.network = Network(dmsg, routes)
        pings = parts.pings = Pings(self.pk, routes)
        found.append(Module("ping", pings.serve))
        forwarding = Forwarding(self.pk, network, Path(config.local_path), config.cli_addr)
        parts.forwarding = await enter(forwarding)
        found += forwarding.modules()
        if config.pty is not None:
            admitted = [self.pk, *config.hypervisors]
            terminals = await enter(Terminals(config.pty, dmsg, network, admitted, config.sk))
            parts.terminals = terminals
            found += terminals.modules()
        if not self._plain:
            facts = Facts(dmsg.connected, lambda: dmsg.server_addresses, tcp_events.stcpr_addresses)
            apps = Apps(self.file, network, services, tcp_events.events, facts)
            parts.apps = await enter(apps)
            found += apps.modules()
        found += RemoteRpc(self._rpc, network, self._admits).modules()
        upkeep = parts.upkeep = Upkeep(lambda: self.config, dmsg, services, transports, self.reward)
        if not self._plain:
            found += upkeep.modules()
        found += self._links.modules(pk for pk in config.hypervisors if pk != self.pk)
        return found + self._more

    async def _dial_by_scheme(self, pk: PubKey, port: int, scheme: str) -> Stream:
        return await self.network.dial_by_scheme(pk, port, scheme)

    async def _serve_peer(self, stream: Stream) -> None:
        await serve_peer(self._rpc, stream)

    def _admits(self, pk: PubKey) -> bool:
        """Whether `pk` may call the operations from afar."""
        if self.terminals is not None:
            return pk in self.terminals.host.whitelist
        return pk == self.pk or pk in self.config.hypervisors

    async def disconnect_from_hypervisor(self, pk: PubKey) -> None:
        for module in self._links.modules([pk]):
            await self.modules.stop(module.name)

    def connect_to_hypervisor(self, pk: PubKey) -> None:
        """From now on, for as long as the visor runs."""
        self.modules.start_all(self._links.modules([pk]))

    # What the operations ask for.

    def uptime(self) -> float:
        """Seconds."""
        return time.monotonic() - self._started

    def health(self) -> HealthInfo:
        connected = self.parts.dmsg is not None and self.parts.dmsg.sessions
        return health(self.modules, connected=bool(connected))

    def overview(self) -> Overview:
        return description.overview(self)

    def summary(self, load: LoadStats) -> Summary:
        return description.summary(self, load)

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
        keys = list(keys)
        if is_one_of(self.config.hypervisors):  # it reaches our visors anyway, by way of us
            self._admit_above(keys)
        self.own_terminals().allow(keys)

    def _admit_above(self, keys: Iterable[PubKey]) -> None:
        """Have the visors of our hypervisor let the owners of `keys` open terminals, too."""
        new = [key for key in dict.fromkeys(keys) if key not in self.above]
        self.above += new[: MAX_ABOVE - len(self.above)]
        if self.managed is not None:
            self.managed.admit(self.above)

    async def execute_remotely(
        self, pk: PubKey, port: int, request: CommandExecReq, scheme: str
    ) -> CommandExecResult:
        """Run a command on another visor. Raises NotSupported when we have no terminals."""
        return await self.own_terminals().commands.execute(pk, port, request, scheme)

    def own_terminals(self) -> Terminals:
        if self.terminals is None:
            raise NotSupported("this visor has no terminals: its config has no pty section")
        return self.terminals


def _running(part: _Part | None) -> _Part:
    if part is None:
        raise NotSupported("this visor does not run")
    return part
