"""Which IP addresses this computer has. Source: transport.md §4.2."""

import ipaddress
from collections.abc import Iterable

import psutil

_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8"))
)
MAX_ADDRESSES = 64  # what an address resolver takes


def local_addresses() -> list[str]:
    """Global unicast and loopback addresses of all interfaces that are up, v4 before v6."""
    states = psutil.net_if_stats()
    found = set()
    for name, entries in psutil.net_if_addrs().items():
        if name in states and not states[name].isup:
            continue
        for entry in entries:
            try:
                address = ipaddress.ip_address(entry.address.partition("%")[0])
            except ValueError:
                continue  # a hardware address
            if not (address.is_link_local or address.is_multicast or address.is_unspecified):
                found.add(address)
    ordered = sorted(found, key=lambda address: (address.version, int(address)))
    return [str(address) for address in ordered][:MAX_ADDRESSES]


def is_public(text: str) -> bool:
    """Is it an IPv4 address that is neither private, link-local nor loopback?"""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or any(address in network for network in _PRIVATE)
    )


def public_address(addresses: Iterable[str]) -> str | None:
    """The first public one."""
    return next(filter(is_public, addresses), None)
