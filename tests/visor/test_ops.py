"""What the operations change and tell, at a visor that runs; from afar over RPC."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from skywire.config.load import ConfigFile
from skywire.errors import (
    InvalidValue,
    NotFound,
    NotSupported,
    SkywireError,
    StreamReset,
    Unavailable,
)
from skywire.ports import DMSG_RPC
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import (
    ops_dmsg,
    ops_info,
    ops_reward,
    ops_routes,
    ops_services,
    ops_transports,
)
from skywire.visor.client import RemoteVisor
from skywire.visor.modules import State
from skywire.visor.ops_services import FilterServersIn
from skywire.wire.rpc_bridge import Bridge
from skywire.wire.rule import RouteDescriptor, Rule
from tests.visor.network import network
from tests.visor.skynet import key, listed, skynet
from tests.visor.test_visor import OTHER, PK, SK, Running

ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
SECOND = 1_000_000_000
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.1)


def on_disk(tmp_path: Path, **more: Any) -> ConfigFile:
    """A config in a file, for what changes it."""
    document: dict[str, Any] = {
        "sk": SK.hex(),
        "cli_addr": "127.0.0.1:0",
        "dmsg": {"discovery": ""},
        "transport": {"log_store": {"type": "memory"}},
        "pty": {"cli_address": str(tmp_path / "pty.sock")},
        "local_path": str(tmp_path / "local"),
        "of_others": 7,
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document | more))
    return ConfigFile.load(file)


def written(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "config.json").read_text())
    assert found["of_others"] == 7
    return found


# Reward


async def test_the_reward_address_is_set_told_and_deleted(tmp_path: Path) -> None:
    changes = []
    async with Running(on_disk(tmp_path)) as visor:
        visor.reward.on_change.append(lambda: changes.append(visor.reward.get()))
        file = tmp_path / "local" / "reward.txt"
        assert await ops_reward.reward_address(visor) == ""
        assert file.read_text() == ""
        assert await ops_reward.set_reward_address(visor, f" {ADDRESS}\n") == ADDRESS
        assert file.read_text() == ADDRESS + "\n"
        assert file.stat().st_mode & 0o777 == 0o644
        assert (await ops_info.summary(visor)).reward_address == ADDRESS
        file.write_text(f"{ADDRESS[:-1]}\n")  # by another program
        assert await ops_reward.reward_address(visor) == ADDRESS[:-1]
        await ops_reward.delete_reward_address(visor)
        assert not file.exists()
        await ops_reward.delete_reward_address(visor)
        assert (await ops_info.summary(visor)).reward_address == ""
    assert changes == ["", ADDRESS, "", ""]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "Invalid base58 string"),
        ("2jBb", "Invalid address length"),
        (ADDRESS[:-1] + "7", "Invalid checksum"),
        ("0" * 35, "Invalid base58 character"),
        ("x" * 5000, "Invalid base58 string"),
    ],
)
async def test_what_is_no_address_is_refused_in_gos_words(
    tmp_path: Path, address: str, text: str
) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        with pytest.raises(InvalidValue) as caught:
            await ops_reward.set_reward_address(visor, address)
        assert str(caught.value) == text
        assert not visor.reward.path.exists()


# Settings


async def test_settings_take_effect_at_once_and_stay(tmp_path: Path) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        await ops_routes.set_min_hops(visor, 3)
        assert visor.transports.min_hops == 3
        assert visor.routes.router._dialler.bounds.low == 3
        await ops_routes.set_calculate_routes(visor, True)
        assert visor.routes.calculates
        await ops_dmsg.set_dmsg_sessions(visor, 4)
        await ops_transports.set_public_autoconnect(visor, False)
        with pytest.raises(InvalidValue, match="expected 0 to"):
            await ops_routes.set_min_hops(visor, 1000)
        with pytest.raises(InvalidValue, match="for every server"):
            await ops_dmsg.set_dmsg_sessions(visor, -1)
        with pytest.raises(NotSupported):
            await ops_routes.set_mux_routes(visor, 0)
    found = written(tmp_path)
    assert found["routing"] == {"min_hops": 3, "calculate_routes": True}
    assert found["dmsg"] == {"discovery": "", "sessions_count": 4}
    assert found["transport"]["public_autoconnect"] is False


async def test_autoconnect_is_started_and_stopped(tmp_path: Path) -> None:
    services = {
        "transport": {"address_resolver": NOWHERE, "log_store": {"type": "memory"}},
        "launcher": {"service_discovery": NOWHERE},
    }
    async with Running(on_disk(tmp_path, **services)) as visor:
        name = "public autoconnect"
        assert name in visor.modules.reports()
        for _ in range(2):
            await ops_transports.set_public_autoconnect(visor, False)
            assert name not in visor.modules.reports()
        for _ in range(2):
            await ops_transports.set_public_autoconnect(visor, True)
            await eventually(lambda: visor.modules[name].state is State.RUNNING)
        assert written(tmp_path)["transport"]["public_autoconnect"] is True


async def test_a_file_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Running(on_disk(tmp_path)) as visor:

        def full(*_: object) -> None:
            raise Unavailable("cannot write: No space left on device")

        monkeypatch.setattr("skywire.config.load.write_private", full)
        with pytest.raises(Unavailable, match="No space"):
            await ops_routes.set_min_hops(visor, 3)
        with pytest.raises(Unavailable, match="No space"):
            await ops_info.add_hypervisor(visor, OTHER)
        assert (visor.transports.min_hops, visor.config.routing.min_hops) == (0, 0)
        assert visor.config.hypervisors == []


async def test_a_hypervisor_is_added_while_the_visor_runs(tmp_path: Path) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        for _ in range(2):
            await ops_info.add_hypervisor(visor, OTHER)
        assert f"hypervisor {OTHER}" in visor.modules.reports()
        assert visor.terminals is not None
        assert OTHER in visor.terminals.host.whitelist
        with pytest.raises(InvalidValue, match="this visor itself"):
            await ops_info.add_hypervisor(visor, PK)
    assert written(tmp_path)["hypervisors"] == [str(OTHER)]


# Rules


async def test_a_rule_is_saved_told_replaced_and_removed(tmp_path: Path) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        rule = Rule.consume(7, 30 * SECOND, RouteDescriptor(OTHER, PK, 1, 2))
        await ops_routes.save_routing_rule(visor, rule.encode())
        assert await ops_routes.routing_rule(visor, 7) == rule.encode()
        other = Rule.intermediary(7, 30 * SECOND, 8, UUID(int=1))
        await ops_routes.save_routing_rule(visor, other.encode())
        assert await ops_routes.routing_rules(visor) == [other.encode()]
        await ops_routes.remove_routing_rule(visor, 7)
        assert await ops_routes.routing_rules(visor) == []
        with pytest.raises(SkywireError):
            await ops_routes.save_routing_rule(visor, rule.encode()[:-1])


# What a visor is


async def test_open_ports_are_told(tmp_path: Path) -> None:
    tcp = {"skywire-tcp": {"listening_address": "127.0.0.1:0"}}
    async with Running(on_disk(tmp_path, **tcp)) as visor:
        await eventually(lambda: visor.modules["transport stcp"].state is State.RUNNING)
        found = await ops_info.ports(visor)
        rpc, stcp = visor.modules["rpc"].facts["rpc"], visor.modules["transport stcp"].facts["stcp"]
        assert (found["cli_addr"].port, found["cli_addr"].type) == (rpc.split(":")[1], "TCP")
        assert (found["stcp_addr"].port, found["stcp_addr"].type) == (stcp.split(":")[1], "TCP")
        assert (found["dmsg_pty"].port, found["dmsg_pty"].type) == ("22", "DMSG")
        streams = {one.port for name, one in found.items() if name.startswith("dmsg_stream_")}
        assert {"7", "22", str(DMSG_RPC)} <= streams
        assert "hypervisor" not in found


async def test_without_dmsg_the_client_is_not_ready(tmp_path: Path) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        with pytest.raises(Unavailable) as caught:
            await ops_info.is_dmsg_ready(visor)
        assert str(caught.value) == "dmsg client is not ready"
        assert (await ops_info.host_stats(visor)).cpu_cores > 0


# Services


async def test_what_services_list_is_passed_on(tmp_path: Path) -> None:
    async with skynet(tmp_path) as net:
        settings = net.settings("a") | {"launcher": {"service_discovery": net.urls["sd"]}}
        node = await net.net.start(net.net.config("a", **settings))
        await listed(node)
        visor = node.visor
        assert await ops_info.is_dmsg_ready(visor)
        ports = await ops_info.ports(visor)
        assert ports["dmsg_session_0"].type == "TCP"
        assert await ops_services.vpn_servers(visor, FilterServersIn()) == []
        assert await ops_services.proxy_servers(visor, FilterServersIn(country="DE")) == []
        assert await ops_transports.transports_of(visor, key("nobody")) == []
        with pytest.raises(NotFound):
            await ops_transports.listed_transport(visor, UUID(int=1))
        health = {one.name: one for one in await ops_services.service_health(visor)}
        assert {one.status for one in health.values()} == {"healthy"}
        assert set(health) == {
            "dmsg.discovery",
            "transport.discovery",
            "routing.route_finder",
            "launcher.service_discovery",
        }
        assert health["transport.discovery"].version


async def test_services_that_are_away_are_named(tmp_path: Path) -> None:
    away = {
        "launcher": {"service_discovery": NOWHERE},
        "uptime_tracker": {"addr": NOWHERE},
    }
    async with Running(on_disk(tmp_path, **away)) as visor:
        with pytest.raises(Unavailable):
            await ops_services.vpn_servers(visor, FilterServersIn())
        with pytest.raises(Unavailable):
            await ops_services.uptime_data(visor, "")
        with pytest.raises(InvalidValue):
            await ops_services.uptime_data(visor, "no key")
        health = await ops_services.service_health(visor)
        assert {one.status for one in health} == {"down"}
        assert all(one.error for one in health)


async def test_services_that_the_config_lacks_are_named(tmp_path: Path) -> None:
    async with Running(on_disk(tmp_path)) as visor:
        with pytest.raises(NotSupported, match=r"launcher\.service_discovery"):
            await ops_services.vpn_servers(visor, FilterServersIn())
        with pytest.raises(NotSupported, match=r"transport\.discovery"):
            await ops_services.uptime_data(visor, "")
        assert await ops_transports.transports_of(visor, OTHER) == []
        assert await ops_services.service_health(visor) == []


# From afar


async def test_calls_from_afar_are_for_the_whitelist(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        friend, stranger = await net.start(net.config("friend")), await net.start(net.config("x"))
        pty = {"cli_address": str(tmp_path / "far.sock"), "whitelist": [str(friend.pk)]}
        far = await net.start(net.config("far", pty=pty))
        async with asyncio.timeout(20):
            await far.visor.dmsg.ready()
            stream = await friend.visor.dmsg.dial(far.pk, DMSG_RPC)
            async with RpcClient(stream) as rpc:
                assert (await RemoteVisor(rpc).call(ops_info.overview)).local_pk == far.pk
            for allowed in (False, True):
                stream = await stranger.visor.dmsg.dial(far.pk, DMSG_RPC)
                async with RpcClient(stream) as rpc:
                    asked = RemoteVisor(rpc).call(ops_info.overview)
                    if allowed:
                        assert (await asked).local_pk == far.pk
                    else:
                        with pytest.raises(StreamReset):
                            await asked
                await ops_info.add_pty_whitelist(far.visor, [stranger.pk])


async def test_a_program_reaches_a_far_visor_through_ours(tmp_path: Path) -> None:
    """`--via`: what a local program asks for is done with this visor's key."""
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        near = await net.start(net.config("near"))
        far = await net.start(net.config("far", hypervisors=[str(near.pk)]))
        host, _, port = near.fact("rpc", "rpc").rpartition(":")
        async with asyncio.timeout(20):
            await far.visor.dmsg.ready()
            stream = await dial_tcp(host, int(port))
            await stream.write(Bridge("dmsg", far.pk, DMSG_RPC).encode())
            async with RpcClient(stream) as rpc:
                assert (await RemoteVisor(rpc).call(ops_info.overview)).local_pk == far.pk
