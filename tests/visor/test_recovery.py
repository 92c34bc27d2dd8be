"""All services are away when the visor starts, and come back."""

import asyncio
import socket
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.rpc.client import RpcClient
from skywire.services.base import Common
from skywire.services.everything import PORTS, start_all
from skywire.services.host import Host
from skywire.stores.open import open_stores
from skywire.streams.tcp import dial_tcp
from skywire.testing.stun import stun_server
from skywire.testing.wait import eventually
from skywire.visor import ops_info, transports
from skywire.visor.client import RemoteVisor
from skywire.visor.modules import State
from tests.visor.network import Node, network

AWAY = 16.0  # seconds; pauses between attempts have grown to their limits by then
RECOVERY = 30.0  # seconds it may take


def free_ports(count: int) -> list[int]:
    """Free for TCP and UDP just now."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found


def not_running(node: Node) -> dict[str, str]:
    """Those that are not, with the reason; reachability has its first look after a minute."""
    reports = node.visor.modules.reports()
    return {
        name: report.reason
        for name, report in reports.items()
        if report.state is not State.RUNNING and name != "reachability"
    }


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_visor_without_services_is_there_and_finds_them_when_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "local_addresses", lambda: ["127.0.0.1"])
    names = [*PORTS, "dmsgd"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(tmp_path))
        net.discovery = urls["dmsgd"]
        more: dict[str, Any] = {
            "transport": {
                "discovery": urls["tpd"],
                "address_resolver": urls["ar"],
                "log_store": {"type": "memory"},
            },
            "routing": {"route_finder": urls["rf"]},
            "launcher": {"service_discovery": urls["sd"], "server_addr": "127.0.0.1:0"},
            "uptime_tracker": {"addr": urls["ut"]},
        }
        node = await net.start(net.config("a", **more))

        # It is there, answers, and says what is wrong.
        host, _, port = node.fact("rpc", "rpc").rpartition(":")
        async with RpcClient(await dial_tcp(host, int(port))) as rpc, asyncio.timeout(5):
            summary = await RemoteVisor(rpc).call(ops_info.summary)
        assert summary.health is not None
        assert summary.health.services_health == "connecting"
        failed = not_running(node)
        assert "no server yet" in failed["dmsg"]
        assert str(ports["ut"]) in failed["uptime"]
        assert node.visor.modules["dmsg"].age < 20
        await asyncio.sleep(AWAY)

        await net.start_discovery(ports["dmsgd"])
        await net.start_server()
        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        services = await stack.enter_async_context(Host(net.discovery))
        await start_all(
            stack,
            services,
            stores,
            {name: HostPort(f"127.0.0.1:{ports[name]}") for name in PORTS},
            Common(allow_loopback=True),
            secret=deterministic_key_pair(b"services")[1],
            dmsg_discovery=net.discovery,
        )
        await eventually(lambda: not not_running(node), RECOVERY)
        async with ClientSession() as session, session.get(f"{urls['ut']}/uptimes") as answer:
            assert await answer.json() == [{"key": str(node.pk), "online": True}]
        assert node.visor.health().services_health == "healthy"
        async with asyncio.timeout(5):
            await node.visor.dmsg.ready()
        await node.stop()


async def test_stun_is_found_when_it_comes(tmp_path: Path) -> None:
    async with stun_server() as server, network(tmp_path) as net:
        server.silent = True
        await net.start_discovery()
        node = await net.start(net.config("a", stun_servers=[server.url]))
        assert node.visor.overview().public_ip == ""
        await eventually(lambda: server.requests)
        server.silent = False
        await eventually(lambda: node.state("stun") is State.RUNNING, RECOVERY)
        assert node.visor.overview().public_ip == "127.0.0.1"


async def test_names_nobody_resolves_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **others: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return known(host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with network(tmp_path) as net:
        net.discovery = "http://discovery.invalid"
        node = await net.start(net.config("a", uptime_tracker={"addr": "http://ut.invalid"}))
        await eventually(lambda: node.state("uptime") is State.FAILED)
        reason = node.visor.modules["uptime"].reason
        assert "ut.invalid" in reason
        assert "name resolution" in reason
        assert node.state("rpc") is State.RUNNING
