"""The ports of a visor's route groups. Source: routing.md §6.5."""

from typing import TypeAlias

from skywire.router.route_group import RouteGroup
from skywire.streams.ports import PortListener, PortTable

BACKLOG = 64  # groups waiting for `accept`; a further one is refused
APPS = {1: "skychat", 3: "skysocks", 13: "skysocks-client", 43: "vpn-client", 44: "vpn-server"}

RouteListener: TypeAlias = PortListener[RouteGroup]
Ports: TypeAlias = PortTable[RouteGroup]


def route_ports() -> Ports:
    return PortTable(BACKLOG, "in use on this visor")


def offline(port: int) -> str:
    """What a dialler is told when nobody listens; reference apps compare this text."""
    return f"no listener on port {port}, {APPS.get(port, 'service')} offline"
