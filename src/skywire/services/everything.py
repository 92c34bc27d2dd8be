"""All services of a deployment in one process, on one database. Source: services.md.

Every service has its own port and, with a dmsg discovery, its own key (`host.service_key`).
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from skywire.config.deployment import Deployment
from skywire.config.values import HostPort
from skywire.crypto.keys import SecKey
from skywire.ports import DMSG_SETUP_NODE
from skywire.router.setup_node import SetupNode
from skywire.services import (
    address_resolver,
    service_discovery,
    transport_discovery,
    uptime_tracker,
)
from skywire.services.address_resolver import AddressResolver
from skywire.services.base import Common
from skywire.services.config_bootstrapper import ConfigBootstrapper
from skywire.services.host import Host, Service, service_key
from skywire.services.node_visualizer import NodeVisualizer
from skywire.services.route_finder import RouteFinder
from skywire.services.service_discovery import ServiceDiscovery
from skywire.services.transport_discovery import TransportDiscovery
from skywire.services.uptime_tracker import PrivateApi, UptimeTracker
from skywire.stores.open import Stores

TPD = "tpd"
RF = "rf"
AR = "ar"
SD = "sd"
CONF = "conf"
NV = "nv"
UT = "ut"
UT_PRIVATE = "ut-private"  # for the node visualizer and the operator: on this machine only
SETUP_NODE = "sn"
PORTS: Mapping[str, int] = {
    TPD: 9091,
    RF: 9092,
    AR: 9093,
    SD: 9098,
    UT: 9096,
    UT_PRIVATE: 9086,
    CONF: 9082,
    NV: 9081,
}
LOOPBACK = "127.0.0.1"


async def start_all(
    stack: AsyncExitStack,
    host: Host,
    stores: Stores,
    places: Mapping[str, HostPort],
    common: Common,
    *,
    secret: SecKey | None = None,
    dmsg_discovery: str = "",
    address: str = "127.0.0.1",
    stun_servers: tuple[str, ...] = (),
) -> dict[str, str]:
    """The URL of each service, by its name; "sn" is the setup node's public key.

    `places` has a place for every name in `PORTS`; `address` is where clients reach them. Without
    `secret` and `dmsg_discovery` nothing is on dmsg, and there is no setup node.
    """

    def key(name: str) -> SecKey | None:
        return service_key(secret, name) if secret else None

    resolver = AddressResolver(stores.bindings(), stores.nonces(address_resolver.PREFIX), common)
    tracker = UptimeTracker(stores.uptimes(), stores.nonces(uptime_tracker.PREFIX), common)
    services: dict[str, Service] = {
        TPD: TransportDiscovery(
            stores.transports(),
            stores.nonces(transport_discovery.PREFIX),
            common,
            uptimes=stores.transport_uptimes(),
        ),
        RF: RouteFinder(stores.transports(), common.metrics),
        SD: ServiceDiscovery(stores.services(), stores.nonces(service_discovery.PREFIX), common),
        UT: tracker,
    }
    for name, service in services.items():
        await host.add(name, service, places[name], key(name))
    await host.add(AR, resolver, places[AR], key(AR), udp=resolver.serve_udp)
    urls = {name: f"http://{address}:{running.port}" for name, running in host.running.items()}
    private = HostPort(f"{LOOPBACK}:{places[UT_PRIVATE].port}")
    tracked = await host.add(UT_PRIVATE, PrivateApi(tracker, common), private)
    urls[UT_PRIVATE] = f"http://{LOOPBACK}:{tracked.port}"
    setup_nodes: tuple[str, ...] = ()
    if secret and dmsg_discovery:
        client = await host.client(service_key(secret, SETUP_NODE))
        node = SetupNode(client.dial, metrics=common.metrics)
        stack.push_async_callback(node.close)
        host.spawn(node.serve_all(client.listen(DMSG_SETUP_NODE)), "setup node")
        setup_nodes = (str(client.public),)
    deployment = Deployment(
        dmsg_discovery=dmsg_discovery,
        transport_discovery=urls[TPD],
        address_resolver=urls[AR],
        route_finder=urls[RF],
        route_setup_nodes=setup_nodes,
        uptime_tracker=urls[UT],
        service_discovery=urls[SD],
        stun_servers=stun_servers,
    )
    conf = ConfigBootstrapper(deployment, common.metrics)
    await host.add(CONF, conf, places[CONF], key(CONF))
    visualizer = NodeVisualizer(urls[TPD], urls[UT_PRIVATE], common.metrics)
    await host.add(NV, visualizer, places[NV])
    for name in (CONF, NV):
        urls[name] = f"http://{address}:{host.running[name].port}"
    return urls | dict(zip((SETUP_NODE,), setup_nodes, strict=False))
