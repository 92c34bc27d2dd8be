"""What a visor says about itself, and how it starts and stops."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from skywire import __version__
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.direct import StaticDirectory
from skywire.errors import InvalidValue, NotSupported, Refused
from skywire.operations import operations
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_info
from skywire.visor.client import RemoteVisor
from skywire.visor.description import local_ip
from skywire.visor.directory import ServersOfType, open_directory
from skywire.visor.go_types import go_type
from skywire.visor.modules import State
from skywire.visor.rpc import rpc_server
from skywire.visor.types import DmsgStats, HealthInfo, LoadStats
from skywire.visor.visor import Visor
from skywire.wire.entry import Entry
from skywire.wire.gob_types import BOOL, EMPTY, FLOAT, INT, PUBKEY, STRING, Map, Slice

PK, SK, _SEED = deterministic_key_pair(b"visor")
OTHER = deterministic_key_pair(b"other")[0]


def config(tmp_path: Path, **more: Any) -> ConfigFile:
    document = {
        "sk": SK.hex(),
        "cli_addr": "127.0.0.1:0",
        "dmsg": {"discovery": ""},
        "transport": {"log_store": {"type": "memory"}},
        "pty": {"cli_address": str(tmp_path / "pty.sock")},
    }
    return ConfigFile(json.dumps(document | more), "test")


class Running:
    """A visor in an empty dmsg network."""

    def __init__(self, file: ConfigFile) -> None:
        self.visor = Visor(file, StaticDirectory())
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Visor:
        self._task = asyncio.get_running_loop().create_task(self.visor.run(self._ready.set))
        ready = asyncio.get_running_loop().create_task(self._ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()
        return self.visor

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=5)
        assert self._task.done()


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.1)


async def test_the_summary_says_what_is_known(tmp_path: Path) -> None:
    async with Running(config(tmp_path, hypervisors=[str(OTHER)], version="v1.3.29")) as visor:
        summary = visor.summary(LoadStats(load1=1.5))
        assert summary.overview is not None
        assert summary.overview.local_pk == PK
        assert summary.overview.build_info is not None
        assert summary.overview.build_info.version == f"v{__version__}"
        assert summary.overview.hypervisors == [OTHER]
        assert summary.overview.connected_hypervisor == []
        assert summary.health is not None
        assert summary.health.services_health == "connecting"
        assert summary.health.transportability_health == "connecting"
        assert summary.health.uptime_tracker_health == ""  # it has none
        assert (summary.online, summary.is_hypervisor) == (True, False)
        assert summary.config_version == "v1.3.29"
        assert summary.load is not None
        assert summary.dmsg_stats == DmsgStats()  # Go's `visor info` does not survive its absence
        assert 0 < summary.uptime < 10
        assert visor.modules[f"hypervisor {OTHER}"].state in (State.STARTING, State.FAILED)


async def test_the_local_rpc_answers_every_operation(tmp_path: Path) -> None:
    async with Running(config(tmp_path)) as visor, RpcClient(await dial_rpc(visor)) as rpc:
        remote = RemoteVisor(rpc)
        assert (await remote.call(ops_info.overview)).local_pk == PK
        assert (await remote.call(ops_info.summary)).load is not None
        assert (await remote.call(ops_info.health)).services_health == "connecting"
        assert 0 < await remote.call(ops_info.uptime) < 10
        await remote.call(ops_info.add_pty_whitelist, [OTHER])
        assert visor.terminals is not None
        assert OTHER in visor.terminals.host.whitelist
        with pytest.raises(Refused, match=r"find method app-visor\.NoSuch"):
            await rpc.call("app-visor.NoSuch", EMPTY, None, EMPTY)


async def dial_rpc(visor: Visor) -> Any:
    host, _, port = str(visor.modules["rpc"].facts["rpc"]).rpartition(":")
    return await dial_tcp(host, int(port))


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\xff" * 9000, b""])
async def test_garbage_on_the_local_rpc_harms_nobody_else(tmp_path: Path, data: bytes) -> None:
    async with Running(config(tmp_path)) as visor:
        bad = await dial_rpc(visor)
        await bad.write(data)
        async with RpcClient(await dial_rpc(visor)) as rpc:
            assert await RemoteVisor(rpc).call(ops_info.uptime) > 0
        await bad.close()


async def test_a_visor_without_terminals_says_so(tmp_path: Path) -> None:
    async with Running(config(tmp_path, pty=None)) as visor:
        assert visor.terminals is None
        with pytest.raises(NotSupported, match="no pty section"):
            await ops_info.add_pty_whitelist(visor, [OTHER])


async def test_without_addresses_nothing_listens(tmp_path: Path) -> None:
    file = config(tmp_path, cli_addr="", pty={"cli_network": "", "dmsg_port": 0})
    async with Running(file) as visor:
        served = {"rpc", "terminals", "terminals skynet", "terminal control socket"}
        assert not served & set(visor.modules.reports())
    assert not (tmp_path / "pty.sock").exists()


async def test_a_visor_that_does_not_run_says_so(tmp_path: Path) -> None:
    visor = Visor(config(tmp_path), StaticDirectory())
    assert visor.uptime() >= 0
    assert visor.health() == HealthInfo("connecting")
    with pytest.raises(NotSupported, match="does not run"):
        _ = visor.dmsg


async def test_the_socket_is_gone_after_a_stop(tmp_path: Path) -> None:
    async with Running(config(tmp_path)):
        await eventually((tmp_path / "pty.sock").exists)
    assert not (tmp_path / "pty.sock").exists()


async def test_a_discovery_that_cannot_be_used_is_named() -> None:
    for discovery, servers, error, text in (
        ("ftp://x", [], InvalidValue, "dmsg.discovery"),
        ("dmsg://02ab:80", [], InvalidValue, "dmsg.discovery"),
        ("", [], InvalidValue, "nowhere to connect"),
        ("", [{"static": "zz"}], InvalidValue, "dmsg.servers"),
    ):
        file = ConfigFile(
            json.dumps({"sk": SK.hex(), "dmsg": {"discovery": discovery, "servers": servers}}), "f"
        )
        with pytest.raises(error, match=text):
            async with open_directory(file.config.dmsg):
                pass


async def test_fixed_servers_replace_a_discovery() -> None:
    server = {"version": "0.0.1", "static": str(OTHER), "server": {"address": "127.0.0.1:1"}}
    file = ConfigFile(
        json.dumps({"sk": SK.hex(), "dmsg": {"discovery": "", "servers": [server]}}), "f"
    )
    async with open_directory(file.config.dmsg) as directory:
        assert [entry.static for entry in await directory.all_servers()] == [OTHER]


async def test_servers_of_another_type_are_not_offered() -> None:
    servers = [
        Entry.of_server(pk, "127.0.0.1:1", 1, kind)
        for pk, kind in ((PK, "official"), (OTHER, "community"))
    ]
    directory = ServersOfType(StaticDirectory(servers), "community")
    for offered in (await directory.available_servers(), await directory.all_servers()):
        assert [entry.static for entry in offered] == [OTHER]
    assert (await directory.entry(PK)).static == PK
    with pytest.raises(InvalidValue, match=r"dmsg\.servers_type"):
        ConfigFile(json.dumps({"sk": SK.hex(), "dmsg": {"servers_type": "best"}}), "f")


def test_a_hint_has_a_go_type() -> None:
    assert go_type(None) == EMPTY
    assert go_type(float) == FLOAT
    assert go_type(bool) == BOOL
    assert go_type(list[str]) == Slice(STRING)
    assert go_type(list[PubKey]) == Slice(PUBKEY)
    assert go_type(dict[str, int]) == Map(STRING, INT)
    assert go_type(HealthInfo) is HealthInfo
    with pytest.raises(Exception, match="no Go type"):
        go_type(set[str])


def test_the_operations_of_this_version_are_served() -> None:
    assert rpc_server(Visor(ConfigFile(json.dumps({"sk": SK.hex()}), "f"))) is not None
    names = {known.rpc: known.http for known in operations()}
    assert names.keys() >= {"Overview", "Summary", "Health", "Uptime", "AddPtyWhitelist"}
    assert names["Uptime"] == ("GET", "/visors/{pk}/uptime")


def test_our_address_is_found_without_asking_anybody() -> None:
    assert local_ip() == "" or local_ip().count(".") == 3
