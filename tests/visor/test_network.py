"""The whole of it: discovery, server, nodes and a hypervisor talk over real dmsg on loopback."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.errors import Refused, SkywireError
from skywire.ports import DMSG_PTY
from skywire.pty.client import PtyClient
from skywire.pty.direct import dial_direct
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import modules
from skywire.visor.modules import State
from skywire.visor.ops_terminals import DmsgPtyExecArgs
from skywire.wire.gob_types import EMPTY, STRING, Slice
from tests.visor.network import SOON, Net, Node, network

PID = rb"pid-(\d+)-\r\n"


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    async with network(tmp_path) as started:
        await started.start_discovery()
        await started.start_server()
        yield started


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def rows(http: ClientSession, url: str) -> dict[str, Any]:
    async with http.get(f"{url}api/visors-summary") as response:
        assert response.status == 200
        return {row["overview"]["local_pk"]: row for row in await response.json()}


async def wait_for_row(
    http: ClientSession, url: str, pk: PubKey, online: bool, health: str = "healthy"
) -> Any:
    """The row of `pk` once it has this state and health."""
    async with asyncio.timeout(SOON):
        while True:
            row = (await rows(http, url)).get(str(pk))
            told = ((row and row["health"]) or {}).get("services_health")
            if row and row["online"] is online and told == health:
                return row
            await asyncio.sleep(0.05)


async def output_until(ws: ClientWebSocketResponse, pattern: bytes) -> bytes:
    """Terminal bytes until they contain the regular expression."""
    output = b""
    async with asyncio.timeout(SOON):
        while not re.search(pattern, output):
            message = await ws.receive()
            assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), (message, output)
            if message.type is WSMsgType.BINARY:
                output += message.data
    return output


async def shell_pid(ws: ClientWebSocketResponse) -> bytes:
    await ws.send_str("echo pid-$$-\n")
    found = re.search(PID, await output_until(ws, PID))
    assert found is not None
    return found[1]


async def test_a_node_appears_goes_away_and_comes_back(net: Net, http: ClientSession) -> None:
    hypervisor = await net.start(net.hypervisor_config("a"))
    url = hypervisor.fact("hypervisor", "url")
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    row = await wait_for_row(http, url, node.pk, True)
    assert list(await rows(http, url)) == [str(hypervisor.pk), str(node.pk)]
    assert row["overview"]["hypervisors"] == [str(hypervisor.pk)]
    assert row["overview"]["connected_hypervisor"] == [str(hypervisor.pk)]
    assert row["load"]["cpu_cores"] >= 1
    assert row["connected_dmsg_servers"]
    async with http.get(f"{url}api/visors/{node.pk}/uptime") as response:
        assert 0 < await response.json() < SOON

    await node.stop()
    row = await wait_for_row(http, url, node.pk, False)
    assert row["offline_since"]
    assert row["last_seen_at"] <= row["offline_since"]
    async with http.get(f"{url}api/visors/{node.pk}/uptime") as response:
        assert response.status == 503

    again = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    assert again.pk == node.pk
    row = await wait_for_row(http, url, node.pk, True)
    assert row["offline_since"] is None


async def test_a_node_runs_a_command_on_another(net: Net) -> None:
    here = await net.start(net.config("a"))
    there = await net.start(net.config("b", pty={"cli_network": "", "whitelist": [str(here.pk)]}))
    host, port = here.fact("rpc", "rpc").split(":")
    async with RpcClient(await dial_tcp(host, int(port))) as client:

        async def run(pk: PubKey, *command: str, **more: Any) -> CommandExecResult:
            request = CommandExecReq(command[0], list(command[1:]), stdin=bytes(1 << 20))
            argument = DmsgPtyExecArgs(remote_pk=pk, req=request, **more)
            found: CommandExecResult = await client.call(
                "app-visor.DmsgPtyExec", DmsgPtyExecArgs, argument, CommandExecResult
            )
            return found

        assert (await run(there.pk, "wc", "-c")).stdout.strip() == b"1048576"
        assert (await run(there.pk, "false", scheme="dmsg", remote_port=22)).exit_code == 1
        with pytest.raises(Refused, match="unknown scheme"):
            await run(there.pk, "true", scheme="tor")
        with pytest.raises(Refused, match="no setup node"):
            await run(there.pk, "true", scheme="skynet")


async def remote_visors(node: Node) -> list[str]:
    """As `skywire cli pty list` asks for them."""
    host, port = node.fact("rpc", "rpc").split(":")
    async with RpcClient(await dial_tcp(host, int(port))) as client:
        found: list[str] = await client.call("app-visor.RemoteVisors", EMPTY, None, Slice(STRING))
        return found


async def test_a_node_lists_the_nodes_of_its_hypervisor(net: Net, http: ClientSession) -> None:
    hypervisor = await net.start(net.hypervisor_config("a"))
    assert await remote_visors(hypervisor) == []
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    await wait_for_row(http, hypervisor.fact("hypervisor", "url"), node.pk, True)
    assert await remote_visors(hypervisor) == [str(node.pk)]
    assert await remote_visors(node) == [], "it has no hypervisor of its own"


async def test_the_way_to_each_node_is_measured(net: Net, http: ClientSession) -> None:
    hypervisor = await net.start(net.hypervisor_config("a"))
    url = hypervisor.fact("hypervisor", "url")
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    await wait_for_row(http, url, node.pk, True)
    (server,) = hypervisor.visor.dmsg.sessions
    async with asyncio.timeout(SOON):
        while True:
            async with http.get(f"{url}api/dmsg") as response:
                stats = {one["public_key"]: one for one in await response.json()}
            if stats.keys() == {str(hypervisor.pk), str(node.pk)}:
                break
            await asyncio.sleep(0.05)
    for one in stats.values():
        assert one["server_public_key"] == str(server)
        assert 0 < one["round_trip"] < SOON * 1e9


async def test_a_terminal_opens_on_a_node_and_on_our_own(net: Net, http: ClientSession) -> None:
    hypervisor = await net.start(net.hypervisor_config("a"))
    url = hypervisor.fact("hypervisor", "url")
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    await wait_for_row(http, url, node.pk, True)
    for pk in (node.pk, hypervisor.pk):
        async with http.ws_connect(f"{url}pty/{pk}?scheme=dmsg") as ws:
            await ws.send_str("echo $((40+2))-answer\n")
            await output_until(ws, b"42-answer")
            await ws.send_str("exit\n")


async def test_a_foreign_key_gets_no_terminal(net: Net) -> None:
    node = await net.start(net.config("b"))
    stranger = await net.start(net.config("c"))
    stream = await stranger.visor.dmsg.dial(node.pk, DMSG_PTY)
    async with asyncio.timeout(SOON):
        with pytest.raises(Refused):
            await PtyClient.connect(stream)


async def test_a_terminal_over_plain_tcp(net: Net) -> None:
    """`pty.ssh_listen`: no dmsg server is needed between the two."""
    pty = {"cli_network": "", "ssh_listen": "127.0.0.1:0"}
    node = await net.start(net.config("b", pty=pty))
    await eventually(lambda: node.state("terminals tcp") is State.RUNNING)
    port = int(node.fact("terminals tcp", "address").rpartition(":")[2])
    async with asyncio.timeout(SOON):
        stream = await dial_direct(node.pk, "127.0.0.1", port, node.visor.config.sk)
        async with await PtyClient.connect(stream) as client:
            done = await client.execute(CommandExecReq("echo", ["there"], [], b"", 5000))
        assert done.stdout == b"there\n"
        _, stranger = generate.key_pair()
        stream = await dial_direct(node.pk, "127.0.0.1", port, stranger)
        with pytest.raises(SkywireError):
            await PtyClient.connect(stream)


async def test_a_hypervisors_hypervisor_may_open_a_terminal(net: Net, http: ClientSession) -> None:
    """hypervisor.md §7: B pushes A's key to C, so that A opens a shell on C by itself."""
    a = await net.start(net.config("a"))
    b = await net.start(net.hypervisor_config("b", hypervisors=[str(a.pk)]))
    c = await net.start(net.config("c", hypervisors=[str(b.pk)]))
    await wait_for_row(http, b.fact("hypervisor", "url"), c.pk, True)
    async with asyncio.timeout(SOON):
        while True:
            stream = await a.visor.dmsg.dial(c.pk, DMSG_PTY)
            try:
                client = await PtyClient.connect(stream)
            except Refused:
                await asyncio.sleep(0.05)
                continue
            break
    await client.close()


async def test_a_node_starts_without_discovery_and_recovers(
    tmp_path: Path, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.2)
    async with network(tmp_path) as net:
        port = await net.start_discovery()
    async with network(tmp_path) as net:
        net.discovery = f"http://127.0.0.1:{port}"  # nobody answers there
        hypervisor = await net.start(net.hypervisor_config("a"))
        url = hypervisor.fact("hypervisor", "url")
        await wait_for_row(http, url, hypervisor.pk, True, "connecting")
        report = hypervisor.visor.modules["dmsg"]
        await eventually(lambda: report.state is State.FAILED)
        assert report.reason == "no server yet: is the discovery up?"
        await net.start_discovery(port)
        await net.start_server()
        await eventually(lambda: hypervisor.state("dmsg") is State.RUNNING, SOON + 20)
        await wait_for_row(http, url, hypervisor.pk, True)


async def test_a_lost_network_is_reported(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.1)
    node = await net.start(net.config("b"))
    assert node.state("dmsg") is State.RUNNING
    (server,) = node.visor.dmsg.sessions
    await net.stop_server(server)
    await eventually(lambda: node.state("dmsg") is State.FAILED)
    assert node.visor.health().services_health == "connecting"
    await net.start_server()
    await eventually(lambda: node.state("dmsg") is State.RUNNING, SOON)


async def test_a_part_that_cannot_start_is_named_and_stops_nothing(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "FIRST_PAUSE", 0.05)
    first = await net.start(net.config("b"))
    taken = first.fact("rpc", "rpc").rpartition(":")[2]
    second = await net.start(net.config("c", cli_addr=f"127.0.0.1:{taken}"))
    report = second.visor.modules["rpc"]
    assert second.state("rpc") is State.FAILED
    assert f"port {taken}" in report.reason
    assert "in use" in report.reason
    assert second.state("terminals") is State.RUNNING
    await first.stop()
    await eventually(lambda: second.state("rpc") is State.RUNNING, SOON)


async def test_stopping_is_quick_and_complete(net: Net, tmp_path: Path) -> None:
    hypervisor = await net.start(net.hypervisor_config("a"))
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    clock = asyncio.get_running_loop().time
    started = clock()
    await node.stop()
    await hypervisor.stop()
    assert clock() - started < 5
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".sock")]


class Terminal:
    """A web terminal as the page uses it: it remembers the session and comes back with it."""

    def __init__(self, http: ClientSession, url: str, pk: PubKey) -> None:
        self._http = http
        self._url = f"{url}pty/{pk}?scheme=dmsg"
        self.session = ""

    async def connect(self) -> tuple[ClientWebSocketResponse, bytes]:
        """The websocket, once the shell is there, and what it printed so far."""
        ws = await self._http.ws_connect(f"{self._url}&sid={self.session}")
        output = b""
        async with asyncio.timeout(SOON):
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self.session = json.loads(message.data)["id"]
                else:
                    output += message.data
                    if b"$" in output or b"#" in output:
                        return ws, output
        raise ConnectionError("the terminal closed before the shell was there")


async def test_a_terminal_survives_the_death_of_a_server(net: Net, http: ClientSession) -> None:
    """update-2026-06-12, 3093 a: the same shell, all output once, no banner."""
    hypervisor = await net.start(net.hypervisor_config("a"))
    url = hypervisor.fact("hypervisor", "url")
    node = await net.start(net.config("b", hypervisors=[str(hypervisor.pk)]))
    await wait_for_row(http, url, node.pk, True)
    terminal = Terminal(http, url, node.pk)
    ws, _ = await terminal.connect()
    pid = await shell_pid(ws)
    await ws.send_str("(sleep 1; echo late-$((6*7))-)&\n")
    (used,) = node.visor.dmsg.sessions
    await net.start_server()
    await net.stop_server(used)
    async with asyncio.timeout(SOON):
        async for _ in ws:  # until it is closed from there
            pass
    replay = b""
    async with asyncio.timeout(2 * SOON):
        while not replay:
            try:
                ws, replay = await terminal.connect()
            except ConnectionError:
                await asyncio.sleep(0.2)
    if b"late-42-" not in replay:
        replay += await output_until(ws, b"late-42-")
    assert replay.count(b"late-42-") == 1
    assert b"PTY-HOST" not in replay
    assert await shell_pid(ws) == pid
    await wait_for_row(http, url, node.pk, True)
    await ws.send_str("exit\n")
