"""What the VPN apps must know of the visor's own connections, as variables. Source: apps.md §2.

They keep these addresses out of the tunnel.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from skywire.config.model import VisorConfig
from skywire.errors import Unavailable

KINDS = ("vpn-client", "vpn-server")
SESSION_WAIT = 30.0  # seconds until there is a dmsg server; Go waits for ever


class Facts(NamedTuple):
    """Addresses ("ip:port") of what the visor is connected to just now."""

    connected: Callable[[], Awaitable[None]]  # waits for a dmsg server
    dmsg_servers: Callable[[], Sequence[str]]
    transports: Callable[[], Sequence[str]]  # stcpr


async def variables(kind: str, config: VisorConfig, facts: Facts) -> list[str]:
    """ "NAME=value" for an app of this kind; values that would be empty are left out.

    Raises Unavailable when there is no dmsg server for `SESSION_WAIT` seconds.
    """
    if kind not in KINDS:
        return []
    tracker = config.uptime_tracker
    values = {
        "ADDR_DMSG_DISC": config.dmsg.discovery,
        "ADDR_TP_DISC": config.transport.discovery,
        "ADDR_ADDRESS_RESOLVER": config.transport.address_resolver,
        "ADDR_RF": config.routing.route_finder,
        "ADDR_UPTIME_TRACKER": "" if tracker is None else tracker.addr,
    }
    servers = await _servers(facts)
    values["DMSG_SRV_COUNT"] = str(len(servers))
    values |= {f"ADDR_DMSG_SRV_{index}": server for index, server in enumerate(servers)}
    table = {} if config.skywire_tcp is None else config.skywire_tcp.pk_table
    values["STCP_TABLE_LEN"] = str(len(table))
    for index, (key, address) in enumerate(table.items()):
        values |= {f"STCP_TABLE_KEY_{index}": key, f"STCP_TABLE_{key}": address}
    if kind == "vpn-client":
        remotes = facts.transports()
        values["TP_REMOTE_IPS_LEN"] = str(len(remotes))
        values |= {f"ADDR_TP_REMOTE_{index}": remote for index, remote in enumerate(remotes)}
    return [f"{name}={value}" for name, value in values.items() if value]


async def _servers(facts: Facts) -> Sequence[str]:
    try:
        async with asyncio.timeout(SESSION_WAIT):
            await facts.connected()
        return facts.dmsg_servers()
    except TimeoutError:
        raise Unavailable(f"no dmsg server within {SESSION_WAIT:g} s: the VPN needs one") from None
