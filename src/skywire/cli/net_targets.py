"""What `netcheck` and `doctor` ask: the services of a config, or those of a deployment."""

from typing import NamedTuple

from skywire.config.deployment import SERVICES, Deployment, base_deployment, of_discovery
from skywire.config.model import VisorConfig
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire.dmsg_url import parse_url
from skywire.wire.entry import Entry

DISCOVERY = "dmsg discovery"
CONF = "conf"
_LEFT_OUT = "reward_system"  # no visor needs it


class Target(NamedTuple):
    """A service; `url` (HTTP) and `twin` (dmsg) are "" where there is none."""

    name: str
    url: str
    twin: str

    @property
    def twin_key(self) -> PubKey | None:
        """None for no address of dmsg."""
        try:
            return parse_url(self.twin).pk if self.twin else None
        except InvalidValue:
            return None


class Targets(NamedTuple):
    services: list[Target]
    servers: list[Entry]  # dmsg servers known in advance
    stun_servers: list[str]
    setup_nodes: list[PubKey]

    def service(self, name: str) -> Target:
        """With nothing in it when there is no such service."""
        return next((each for each in self.services if each.name == name), Target(name, "", ""))


def of_deployment(known: Deployment) -> Targets:
    """Raises InvalidValue for a key of a server that is none."""
    services = [
        Target(name.replace("_", " "), getattr(known, name), getattr(known, f"{name}_dmsg"))
        for name in SERVICES
        if name != _LEFT_OUT
    ]
    return Targets(
        [each for each in services if each.url or each.twin],
        known.server_entries(),
        list(known.stun_servers),
        [PubKey.parse(key) for key in known.route_setup_nodes],
    )


def of_config(config: VisorConfig) -> Targets:
    """What a visor with this config asks. Raises InvalidValue as a visor does."""
    from skywire.visor.seeding import servers_of, service_addresses

    base = base_deployment()
    known = of_discovery(config.dmsg.discovery) or Deployment()
    if config.dmsg.discovery == base.dmsg_discovery:
        known = base
    twins = service_addresses(config)
    tracker = config.uptime_tracker
    named = {
        DISCOVERY: (config.dmsg.discovery, twins["dmsg.discovery_dmsg"]),
        "transport discovery": (
            config.transport.discovery,
            twins["transport.discovery_dmsg"],
        ),
        "address resolver": (
            config.transport.address_resolver,
            twins["transport.address_resolver_dmsg"],
        ),
        "route finder": (config.routing.route_finder, twins["routing.route_finder_dmsg"]),
        "uptime tracker": (tracker.addr if tracker else "", twins["uptime_tracker.addr_dmsg"]),
        "service discovery": (
            config.launcher.service_discovery,
            twins["launcher.service_discovery_dmsg"],
        ),
        CONF: (known.conf, twins["conf_service_dmsg"]),
    }
    return Targets(
        [
            Target(name, "" if url.startswith("dmsg://") else url, twin)
            for name, (url, twin) in named.items()
            if url or (name == CONF and twin)
        ],
        servers_of(config.dmsg, known),
        list(config.stun_servers),
        list(config.routing.route_setup_nodes),
    )
