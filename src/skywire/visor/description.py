"""What a visor tells about itself: overview, summary, health. Source: visor.md §3.3."""

import socket
from typing import TYPE_CHECKING

from skywire import __version__
from skywire.visor import shown
from skywire.visor.types import (
    BuildInfo,
    DmsgServer,
    DmsgStats,
    LoadStats,
    Overview,
    RouteRow,
    Summary,
)

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

APP_PROTOCOL_VERSION = "0.1.0"
MAX_SHOWN_RULES = 1000  # in a summary


def overview(visor: "Visor") -> Overview:
    """Also of one that starts or ends: what is not there is left out."""
    transports, routes, config = visor.parts.transports, visor.parts.routes, visor.config
    nat = None if transports is None else transports.nat
    links = [] if transports is None else transports.links
    return Overview(
        local_pk=visor.pk,
        build_info=BuildInfo(f"v{__version__}", "unknown", "unknown"),
        app_protocol_version=APP_PROTOCOL_VERSION,
        apps=[] if visor.parts.apps is None else visor.parts.apps.states(),
        transports=[shown.transport(link, visor.pk) for link in links],
        routes_count=0 if routes is None else len(routes.router.rules),
        local_ip=local_ip(),
        public_ip="" if nat is None else nat.public_ip,
        is_symmetic_nat=nat is not None and nat.type.is_symmetric,
        nat_type="" if nat is None else nat.type.value,
        hypervisors=list(config.hypervisors),
        connected_hypervisor=list(visor.connected_hypervisors),
        hostname=config.hostname or socket.gethostname(),
    )


def summary(visor: "Visor", load: LoadStats) -> Summary:
    config, servers = visor.config, dmsg_servers(visor)
    stats = DmsgStats()  # always there: Go's command line relies on it
    if servers:
        stats = DmsgStats(visor.pk, servers[0].pk, servers[0].latency)
    return Summary(
        overview=overview(visor),
        health=visor.health(),
        uptime=visor.uptime(),
        routes=_route_rows(visor),
        is_hypervisor=config.hypervisor is not None,
        dmsg_stats=stats,
        connected_dmsg_servers=[str(server.pk) for server in servers],
        dmsg_servers=servers,
        online=True,
        min_hops=config.routing.min_hops,
        persistent_transports=visor.persistent_transports(),
        public_autoconnect=config.transport.public_autoconnect,
        is_public=config.is_public,
        reward_address=visor.reward.get(),
        build_tag="python",
        config_version=config.version,
        load=load,
    )


def dmsg_servers(visor: "Visor") -> list[DmsgServer]:
    """Those there is a session with."""
    dmsg = visor.parts.dmsg
    if dmsg is None:
        return []
    return [
        DmsgServer(server, round((dmsg.round_trip(server) or 0.0) * 1e9))
        for server in dmsg.sessions
    ]


def _route_rows(visor: "Visor") -> list[RouteRow]:
    routes = visor.parts.routes
    if routes is None:
        return []
    return [shown.route_row(rule) for rule in routes.router.rules.all()[:MAX_SHOWN_RULES]]


def local_ip() -> str:
    """The address this machine would use towards others; "" when there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a test address; connecting a datagram sends nothing
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return address
