"""A visor that tells what a test wants it to tell, over the real RPC protocol."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID, uuid5

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, SkywireError
from skywire.operations import operation_of
from skywire.rpc.server import Method, RpcServer
from skywire.transport.service_directory import ListedService
from skywire.visor import (
    ops_apps,
    ops_info,
    ops_node,
    ops_reward,
    ops_routes,
    ops_services,
    ops_state,
    ops_transports,
)
from skywire.visor.go_types import SERVICE, go_type, go_types
from skywire.visor.ops_services import ServiceHealth
from skywire.visor.ops_state import PartState
from skywire.visor.ops_transports import AddTransportIn
from skywire.visor.types import (
    AppConfig,
    AppState,
    BuildInfo,
    DmsgServer,
    HealthInfo,
    LoadStats,
    LogEntry,
    Overview,
    RouteGroupInfo,
    Summary,
    TransportSummary,
)
from skywire.visor.types_apps import ConnectionSummary, SetAutoStart, SetPk, StartApp
from tests.hypervisor.harness import key

NAMES = UUID(int=7)  # name space of transport ids
RUNNING = 1
DAY = 24 * 3600 * 10**9  # ns
VPN, CHAT = "vpn-client", "skychat"
VERSION = "v1.3.29"

_Answer = TypeVar("_Answer")
Play = Callable[[Any], Any]


class Played:
    """`summary` is told as it is; `play` replaces an answer; `asked` are calls that were made.

    It is also a client for calls within this process, so that it can be the hypervisor's own.
    """

    def __init__(self, name: str, *, pk: PubKey | None = None, hostname: str | None = None) -> None:
        self.pk = pk or key(name)
        self.summary = Summary(
            overview=Overview(
                local_pk=self.pk,
                build_info=BuildInfo(VERSION, "0123456", "2026-11-20"),
                apps=[
                    AppState(AppConfig(VPN, "skywire", ["app", VPN], port=43)),
                    AppState(AppConfig(CHAT, "skywire", ["app", CHAT], True, 1), RUNNING),
                ],
                local_ip="192.168.1.7",
                public_ip="198.51.100.7",
                country_code="DE",
                hostname=name if hostname is None else hostname,
            ),
            health=HealthInfo("healthy", "healthy", "healthy", "healthy"),
            uptime=93_600.0,
            online=True,
            min_hops=1,
            build_tag="linux_amd64",
            load=LoadStats(0.4, 0.5, 0.5, 4, 37.0, 61.0),
        )
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[Callable[..., Awaitable[Any]], Play] = {
            ops_info.summary: lambda _: self.summary,
            ops_info.overview: lambda _: self.overview,
            ops_info.health: lambda _: self.summary.health,
            ops_info.uptime: lambda _: self.summary.uptime,
            ops_info.host_stats: lambda _: self.summary.load,
            ops_info.add_pty_whitelist: lambda _: None,
            ops_apps.apps: lambda _: self.overview.apps,
            ops_apps.app: self.app,
            ops_apps.start_app: self._start,
            ops_apps.stop_app: self._stop,
            ops_apps.set_app_pk: self._set_server,
            ops_apps.set_auto_start: self._set_auto_start,
            ops_apps.app_connections: lambda _: [
                ConnectionSummary(True, 41_000_000, 52_000, 1_240_000, 9_100_000, 310_000_000)
            ],
            ops_node.runtime_logs: lambda _: "[]",
            ops_node.log_rotation_interval: lambda _: 7 * DAY,
            ops_reward.reward_address: lambda _: self.summary.reward_address,
            ops_routes.routing_rules: lambda _: [],
            ops_routes.route_groups: lambda _: list[RouteGroupInfo](),
            ops_services.vpn_servers: lambda _: list[ListedService](),
            ops_services.service_health: lambda _: list[ServiceHealth](),
            ops_state.part_states: lambda _: [PartState("dmsg", ops_state.RUNNING, 12.0)],
            ops_transports.transport_types: lambda _: ["stcpr", "sudph", "dmsg"],
            ops_transports.transports: lambda _: self.overview.transports,
            ops_transports.add_transport: self._add_transport,
            ops_transports.persistent_transports: lambda _: [],
            ops_transports.transport_figures: lambda _: [],
        }

    @property
    def overview(self) -> Overview:
        assert self.summary.overview is not None
        return self.summary.overview

    def play(self, function: Callable[..., Awaitable[Any]], answer: Any) -> None:
        """From now on `function` has this answer."""
        self.answers[function] = lambda _: answer

    def link(self, other: PubKey, latency: float = 0.0, kind: str = "stcpr") -> TransportSummary:
        """A transport that this one tells of."""
        edges = " ".join(sorted([str(self.pk), str(other), kind]))
        made = TransportSummary(
            uuid5(NAMES, edges), self.pk, other, kind, LogEntry(7_300_000, 910_000), True, "user"
        )
        made.latency_ms = latency
        self.overview.transports.append(made)
        return made

    def reached_through(self, server: PubKey, milliseconds: float) -> None:
        """It says that it has a session with a dmsg server."""
        self.summary.dmsg_servers.append(DmsgServer(server, round(milliseconds * 1e6)))
        self.summary.connected_dmsg_servers.append(str(server))

    def app(self, name: str) -> AppState:
        for state in self.overview.apps:
            if state.app_config.name == name:
                return state
        raise NotFound(f"app {name} is not there")

    def _start(self, request: StartApp | str) -> None:
        state = self.app(request if isinstance(request, str) else request.name)
        state.status, state.detailed_status = RUNNING, "Connected"

    def _stop(self, name: str) -> None:
        state = self.app(name)
        state.status, state.detailed_status = 0, ""

    def _set_server(self, request: SetPk) -> None:
        config = self.app(request.name).app_config
        config.args = ["app", request.name, "--srv", str(request.pk)]

    def _set_auto_start(self, request: SetAutoStart) -> None:
        self.app(request.name).app_config.auto_start = request.auto_start

    def _add_transport(self, request: AddTransportIn) -> TransportSummary:
        return self.link(request.remote_pk, 33.0, request.type)

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        """As a client of this process."""
        answer: _Answer = self._answer(function, *request)
        return answer

    async def close(self) -> None:
        """Nothing to close."""

    def server(self) -> RpcServer:
        methods = {}
        for function in self.answers:
            known = operation_of(function)
            arguments = go_types(known.request)
            methods[f"{SERVICE}.{known.rpc}"] = Method(
                arguments, go_type(known.answer), self._handler(function)
            )
        return RpcServer(methods)

    def _handler(self, function: Callable[..., Awaitable[Any]]) -> Play:
        return lambda argument: self._answer(function, argument)

    def _answer(self, function: Callable[..., Awaitable[Any]], argument: Any = None) -> Any:
        self.asked.append((operation_of(function).rpc, argument))
        if function not in self.answers:
            raise SkywireError(f"rpc: can't find method {operation_of(function).rpc}")
        return self.answers[function](argument)
