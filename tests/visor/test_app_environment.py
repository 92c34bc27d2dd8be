"""What VPN apps are told of the visor's connections."""

import asyncio
from typing import Any

import msgspec
import pytest

from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Unavailable
from skywire.visor import app_environment
from skywire.visor.app_environment import Facts, variables
from skywire.visor.tcp_events import TcpEvents

PK = str(deterministic_key_pair(b"stcp")[0])


async def at_once() -> None: ...


async def never() -> None:
    await asyncio.get_running_loop().create_future()


def facts(connected: Any = at_once) -> Facts:
    return Facts(connected, lambda: ["192.0.2.1:80", "192.0.2.2:80"], lambda: ["192.0.2.3:7777"])


def config() -> Any:
    document = {
        "sk": deterministic_key_pair(b"x")[1].hex(),
        "dmsg": {"discovery": "http://disc.example"},
        "transport": {"discovery": "http://tpd.example", "address_resolver": ""},
        "routing": {"route_finder": "http://rf.example"},
        "uptime_tracker": None,
        "skywire-tcp": {"pk_table": {PK: "192.0.2.9:7777"}},
    }
    return ConfigFile(msgspec.json.encode(document), "test").config


async def test_a_client_learns_every_address() -> None:
    assert await variables("vpn-client", config(), facts()) == [
        "ADDR_DMSG_DISC=http://disc.example",
        "ADDR_TP_DISC=http://tpd.example",
        "ADDR_RF=http://rf.example",
        "DMSG_SRV_COUNT=2",
        "ADDR_DMSG_SRV_0=192.0.2.1:80",
        "ADDR_DMSG_SRV_1=192.0.2.2:80",
        "STCP_TABLE_LEN=1",
        f"STCP_TABLE_KEY_0={PK}",
        f"STCP_TABLE_{PK}=192.0.2.9:7777",
        "TP_REMOTE_IPS_LEN=1",
        "ADDR_TP_REMOTE_0=192.0.2.3:7777",
    ]


async def test_a_server_does_not_learn_the_transports_and_others_nothing() -> None:
    told = await variables("vpn-server", config(), facts())
    assert not any("REMOTE" in variable for variable in told)
    assert await variables("skychat", config(), facts(never)) == []


async def test_without_a_dmsg_server_a_vpn_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_environment, "SESSION_WAIT", 0.01)
    with pytest.raises(Unavailable, match="no dmsg server within"):
        await variables("vpn-client", config(), facts(never))


async def test_addresses_of_transports_are_remembered() -> None:
    events = TcpEvents()
    for number in range(100):
        await events.dialling("stcpr", f"192.0.2.1:{number}")
        await events.dialling("stcpr", f"192.0.2.1:{number}")
    await events.dialling("stcp", "192.0.2.2:1")
    await events.closed("tcp", "192.0.2.2:1")
    assert events.stcpr_addresses() == [f"192.0.2.1:{number}" for number in range(36, 100)]
