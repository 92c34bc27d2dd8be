"""What visors offer, as the service discovery lists it. Source: services.md §5."""

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue

VPN = "vpn"
SKYSOCKS = "skysocks"
PROXY = "proxy"  # the same as skysocks, when asked for
VISOR = "visor"
MAX_PORT = 0xFFFF
MAX_DIGITS = 20  # of a port


class Geo(msgspec.Struct, frozen=True, omit_defaults=True):
    lat: float = 0.0  # degrees
    lon: float = 0.0
    country: str = ""  # code
    region: str = ""


class Info(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client may tell of itself; it is not stored."""

    latency: float = 0.0
    uptime: float = 0.0
    connections: int = 0


class Service(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`address` is "<pk>:<port>"."""

    address: str = ""
    type: str = ""
    geo: Geo | None = None
    display_node_ip: bool = False
    version: str = ""
    local_ips: tuple[str, ...] | None = None
    info: Info | None = None

    def for_list(self) -> "Service":
        """As lists show it: addresses only of those that want it shown."""
        return msgspec.structs.replace(
            self,
            local_ips=self.local_ips if self.display_node_ip else None,
            display_node_ip=False,
        )


def parse_address(text: str) -> tuple[PubKey, int]:
    """From "<pk>:<port>"; the port may be left out and is 0 then. Raises InvalidValue."""
    key, colon, port = text.partition(":")
    numeric = port.isascii() and port.isdigit() and len(port) <= MAX_DIGITS
    if colon and not (numeric and int(port) <= MAX_PORT):
        raise InvalidValue(f'"{text[:80]}": expected <public key>:<port>')
    return PubKey.parse(key), int(port) if colon else 0
