"""Which services and servers a visor knows from its start. Source: update-2026-06-12.md 3088.

For each service the config's address or, where the config has none, that of its deployment. A
private deployment, one whose dmsg discovery is no public one's, has only what its config names.
"""

import logging
from contextlib import suppress
from typing import NamedTuple

from skywire.config.deployment import SERVICES, Deployment, base_deployment, of_discovery
from skywire.config.model import DmsgConfig, VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.seeding import keys_of
from skywire.errors import InvalidValue
from skywire.wire import entry
from skywire.wire.dmsg_url import parse_url
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)


class Known(NamedTuple):
    """`discovery` is the dmsg:// address of the dmsg discovery, or "". `alone`: there is no
    deployment to belong to (SKYDEPLOY names an empty one), so to have nowhere to go is no mistake.
    """

    discovery: str
    services: list[PubKey]
    servers: list[Entry]
    alone: bool = False


def known_to(config: VisorConfig) -> Known:
    """Never raises: what makes no sense is skipped, and told."""
    addresses = service_addresses(config)
    return Known(
        addresses["dmsg.discovery_dmsg"],
        keys_of(addresses),
        servers_of(config.dmsg, _deployment(config.dmsg)),
        alone=base_deployment() == Deployment(),
    )


def known_to_helper(config: DmsgConfig) -> Known:
    """The same for a program with a dmsg section only: a setup node, a tool. It knows all services
    of the deployment that its discovery belongs to."""
    known = _deployment(config)
    addresses = {f"{name}_dmsg": getattr(known, f"{name}_dmsg") for name in SERVICES}
    addresses["dmsg.discovery_dmsg"] = _discovery(config, known)
    return Known(addresses["dmsg.discovery_dmsg"], keys_of(addresses), servers_of(config, known))


def service_addresses(config: VisorConfig) -> dict[str, str]:
    """`dmsg://` addresses by the field of the config; "" where nobody names one."""
    known = _deployment(config.dmsg)
    uptime_tracker = config.uptime_tracker
    given = {
        "transport.discovery_dmsg": (config.transport.discovery_dmsg, config.transport.discovery),
        "transport.address_resolver_dmsg": (
            config.transport.address_resolver_dmsg,
            config.transport.address_resolver,
        ),
        "routing.route_finder_dmsg": (
            config.routing.route_finder_dmsg,
            config.routing.route_finder,
        ),
        "uptime_tracker.addr_dmsg": (
            (uptime_tracker.addr_dmsg, uptime_tracker.addr) if uptime_tracker else ("", "")
        ),
        "launcher.service_discovery_dmsg": (
            config.launcher.service_discovery_dmsg,
            config.launcher.service_discovery,
        ),
        "conf_service_dmsg": (config.conf_service_dmsg, ""),
    }
    defaults = (
        known.transport_discovery_dmsg,
        known.address_resolver_dmsg,
        known.route_finder_dmsg,
        known.uptime_tracker_dmsg,
        known.service_discovery_dmsg,
        known.conf_dmsg,
    )
    found = {"dmsg.discovery_dmsg": _discovery(config.dmsg, known)}
    for (field, texts), default in zip(given.items(), defaults, strict=True):
        found[field] = _chosen(*texts, default)
    return found


def twins_of(config: VisorConfig) -> dict[str, tuple[PubKey, int]]:
    """Where on dmsg the services are whose URLs of HTTP the config has."""
    addresses = service_addresses(config)
    urls = {
        config.transport.discovery: addresses["transport.discovery_dmsg"],
        config.transport.address_resolver: addresses["transport.address_resolver_dmsg"],
        config.routing.route_finder: addresses["routing.route_finder_dmsg"],
        config.launcher.service_discovery: addresses["launcher.service_discovery_dmsg"],
    }
    if config.uptime_tracker:
        urls[config.uptime_tracker.addr] = addresses["uptime_tracker.addr_dmsg"]
    found = {}
    for url, address in urls.items():
        if url and address and not url.startswith("dmsg://"):
            with suppress(InvalidValue):  # `keys_of` has told
                where = parse_url(address)
                found[url] = (where.pk, where.port)
    return found


def _chosen(twin: str, url: str, default: str) -> str:
    """What the config says on dmsg, by its field for that or by the usual one."""
    return twin or (url if url.startswith("dmsg://") else "") or default


def _discovery(config: DmsgConfig, known: Deployment) -> str:
    return _chosen(config.discovery_dmsg, config.discovery, known.dmsg_discovery_dmsg)


def _deployment(config: DmsgConfig) -> Deployment:
    base = base_deployment()
    if config.discovery == base.dmsg_discovery:
        return base
    return of_discovery(config.discovery) or Deployment()


def servers_of(config: DmsgConfig, known: Deployment) -> list[Entry]:
    """The config's dmsg servers, else the deployment's; those that are none are skipped."""
    try:
        if config.servers:
            return [entry.from_json(server) for server in config.servers]
        return known.server_entries()
    except InvalidValue as error:
        if not config.discovery:
            raise InvalidValue(f"dmsg.servers: {error}") from error
        log.warning("dmsg servers not understood, asking the discovery alone error=%s", error)
        return []
