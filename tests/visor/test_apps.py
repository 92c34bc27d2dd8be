"""The apps of a visor, as its RPC shows and changes them; each way to run one."""

import asyncio
import json
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.appkit.client import AppClient
from skywire.appkit.network import DMSG
from skywire.appkit.types import RUNNING, ProcConfig
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Conflict, InvalidValue, NotFound, Refused, SkywireError
from skywire.rpc.client import RpcClient
from skywire.rpc.server import Method, RpcServer
from skywire.streams.tcp import listen_tcp
from skywire.testing.processes import alive
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.visor import ops_apps
from skywire.visor.client import RemoteVisor
from skywire.visor.types_apps import (
    AddApp,
    LogsRequest,
    SetAll,
    SetAutoStart,
    SetError,
    SetNetworkInterface,
    SetPassword,
    SetPk,
    SetStatus,
    SetSwitch,
    SetText,
    SetWhitelist,
    StartApp,
)
from skywire.visor.visor import Visor
from skywire.wire.gob_types import EMPTY, STRING, GoTime
from tests.visor.network import SOON, Net, Node, network

SERVER = deterministic_key_pair(b"server")[0]

ECHO = "example-server-app"
PORT = 4500
START_LIMIT = 30.0  # seconds a process may take to start on a busy machine
OVER_DMSG = ["app", ECHO, "--network", "dmsg"]


def app(name: str = ECHO, **more: Any) -> dict[str, Any]:
    return {"name": name, "binary": "skywire", "args": OVER_DMSG, "port": PORT} | more


def launcher(tmp_path: Path, *apps: dict[str, Any]) -> dict[str, Any]:
    return {
        "launcher": {
            "server_addr": "127.0.0.1:0",
            "bin_path": str(tmp_path / "bin"),
            "apps": list(apps),
        }
    }


def script(tmp_path: Path, text: str, name: str = "skywire") -> None:
    """The program of all apps."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{text}")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@asynccontextmanager
async def node(tmp_path: Path, *apps: dict[str, Any]) -> AsyncIterator[tuple[Net, Node]]:
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        path = tmp_path / "node.json"
        path.write_text(json.dumps(net.document("node", **launcher(tmp_path, *apps))))
        yield net, await net.start(ConfigFile.load(path))


def status(visor: Visor, name: str = ECHO) -> tuple[int, str]:
    found = visor.apps.state(name)
    return found.status, found.detailed_status


async def until(visor: Visor, wanted: int, name: str = ECHO) -> None:
    await eventually(lambda: status(visor, name)[0] == wanted, START_LIMIT)


async def echoes(net: Net, node: Node) -> None:
    other = await net.start(net.config("other"))
    async with asyncio.timeout(SOON):
        stream = await other.visor.network.dial(node.pk, PORT, DMSG)
        await stream.write(b"hello")
        assert await stream.read() == b"hello"
        (held,) = await ops_apps.app_connections(node.visor, ECHO)
        assert (held.bandwidth_received, held.bandwidth_sent) == (5, 5)
        assert held.error == "Can't get such info from this conn"
        await stream.close()


@pytest.mark.parametrize("mode", ["internal", "external"])
async def test_an_app_of_ours_runs_inside_and_as_a_process(tmp_path: Path, mode: str) -> None:
    logging.getLogger().setLevel(logging.INFO)  # as in a visor that runs
    async with node(tmp_path, app()) as (net, node_):
        visor = node_.visor
        assert status(visor) == (0, "")
        await ops_apps.start_app(visor, StartApp(ECHO, mode))
        with pytest.raises(Conflict, match=r"^app already started$"):
            await ops_apps.start_app(visor, ECHO)
        await until(visor, 1)
        assert status(visor) == (1, "Running")
        await echoes(net, node_)
        assert (await ops_apps.app_stats(visor, ECHO)).start_time is not None
        lines = await visor.apps.logs_since(ECHO, GoTime(0))
        assert any("echo for remote=" in line for line in lines)
        await ops_apps.stop_app(visor, ECHO)
        assert status(visor) == (0, "")
        with pytest.raises(Conflict, match=r"^app not running$"):
            await ops_apps.stop_app(visor, ECHO)
        await ops_apps.start_app(visor, ECHO)  # its port is free again
        await until(visor, 1)
        await ops_apps.restart_app(visor, ECHO)
        await until(visor, 1)
        await ops_apps.kill_app(visor, ECHO)
        assert status(visor)[0] == 0


async def test_one_that_the_config_names_starts_with_the_visor(tmp_path: Path) -> None:
    broken = app("gone", binary="nothing", args=[], auto_start=True)
    async with node(tmp_path, broken, app(auto_start=True)) as (_, node_):
        await until(node_.visor, 1)
        assert status(node_.visor, "gone") == (0, "")  # told in the logs, and no more
        lines = await node_.visor.apps.logs_since("gone", GoTime(0))
        assert "no such file or directory" in lines[0]
        (told,) = [each for each in node_.visor.overview().apps if each.app_config.name == ECHO]
        assert told.status == 1


async def test_an_app_server_that_cannot_listen_stops_nothing(tmp_path: Path) -> None:
    busy = await listen_tcp("127.0.0.1", 0)
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        more = launcher(tmp_path, app(auto_start=True))
        more["launcher"]["server_addr"] = str(busy.address)
        started = await net.start(net.config("node", **more))
        await until(started.visor, 1)  # inside: it needs no app server
        assert "in use" in started.visor.modules["app server"].reason
    await busy.close()


CRASH = "import sys\nprint('about to')\nprint('boom', file=sys.stderr)\nsys.exit(3)\n"
HANG = """
import json, os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
FLOOD = "while True: print('x' * 1000, flush=True)\n"
GARBAGE = """
import json, os, socket, time
config = json.loads(os.environ["PROC_CONFIG"])
host, _, port = config["app_server_addr"].rpartition(":")
hello = json.dumps({"proc_key": config["proc_key"]}).encode()
with socket.create_connection((host, int(port))) as sock:
    sock.sendall(len(hello).to_bytes(2, "big") + hello + bytes(range(256)) * 64)
    while sock.recv(4096):
        pass
print("cut", flush=True)
time.sleep(60)
"""


async def said(visor: Visor, name: str, text: str) -> list[str]:
    """Its log, once it has `text`."""
    async with asyncio.timeout(SOON):
        while True:
            lines = await visor.apps.logs_since(name, GoTime(0))
            if any(text in line for line in lines):
                return lines
            await asyncio.sleep(0.02)


async def test_a_crash_is_shown_and_what_it_printed_kept(tmp_path: Path) -> None:
    script(tmp_path, CRASH)
    async with node(tmp_path, app("bad")) as (_, node_):
        await ops_apps.start_app(node_.visor, "bad")
        await until(node_.visor, 2, "bad")
        assert status(node_.visor, "bad") == (2, "it ended with exit code 3")
        assert await ops_apps.app_error(node_.visor, "bad") == "it ended with exit code 3"
        lines = await said(node_.visor, "bad", "boom")
        first, second = sorted(
            [line for line in lines if "(STD" in line], key=lambda line: line[38:]
        )
        assert first.endswith(" DEBUG [bad]: (STDOUT) about to\n")
        assert second.endswith(" ERROR [bad]: (STDERR) boom\n")
        assert (first[0], first[36]) == ("[", "]")  # where hypervisors of 2024 cut the time out
        script(tmp_path, HANG)
        await ops_apps.start_app(node_.visor, "bad")
        assert status(node_.visor, "bad") == (3, "Starting")  # the error was the last one's


async def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.appkit.launcher.STOP_LIMIT", 0.2)
    script(tmp_path, HANG)
    async with node(tmp_path, app("slow")) as (_, node_):
        visor = node_.visor
        await ops_apps.start_app(visor, "slow")
        await said(visor, "slow", "ready")
        (line,) = (tmp_path / "apps-pid.txt").read_text().splitlines()
        name, pid = line.split()
        assert (name, alive(int(pid))) == ("slow", True)
        await ops_apps.stop_app(visor, "slow")
        assert not alive(int(pid))
        assert status(visor, "slow") == (0, "")
        assert (tmp_path / "apps-pid.txt").read_text() == ""
        await ops_apps.start_app(visor, "slow")
        await said(visor, "slow", "ready")
        (line,) = (tmp_path / "apps-pid.txt").read_text().splitlines()
        async with asyncio.timeout(SOON):
            await node_.stop()
        assert not alive(int(line.split()[1]))  # ended with the visor


async def test_one_that_floods_or_sends_garbage_harms_itself_only(tmp_path: Path) -> None:
    script(tmp_path, FLOOD, "flood")
    script(tmp_path, GARBAGE, "garbage")
    apps = [app("flood", binary="flood"), app("garbage", binary="garbage"), app()]
    async with node(tmp_path, *apps) as (net, node_):
        visor = node_.visor
        for name in ("flood", "garbage"):
            await ops_apps.start_app(visor, name)
        await ops_apps.start_app(visor, ECHO)
        await until(visor, 1)
        await said(visor, "garbage", "cut")
        await said(visor, "flood", "more lines")
        await echoes(net, node_)
        lines = await visor.apps.logs_since("flood", GoTime(0))
        assert len(lines) <= 5000
        assert sum(map(len, lines)) <= 1 << 20
        async with asyncio.timeout(SOON):
            await ops_apps.kill_app(visor, "flood")


async def test_what_an_earlier_run_left_behind_is_ended(tmp_path: Path) -> None:
    script(tmp_path, HANG)
    async with node(tmp_path, app("left")) as (_, node_):
        await ops_apps.start_app(node_.visor, "left")
        await said(node_.visor, "left", "ready")
        (line,) = (tmp_path / "apps-pid.txt").read_text().splitlines()
        pid = int(line.split()[1])
        (tmp_path / "apps-pid.txt").write_text(f"left {pid}\nleft {os.getpid()}\nleft 1\nx\n")
        again = Visor(node_.visor.file)
        task = asyncio.get_running_loop().create_task(again.run())
        await eventually(lambda: not alive(pid))
        task.cancel()
        await asyncio.wait([task])


async def test_an_app_from_outside_is_let_in_by_its_key(tmp_path: Path) -> None:
    async with node(tmp_path) as (_, node_):
        visor = node_.visor
        wanted = ProcConfig("outside", proc_key=bytes(range(16)))
        key = await ops_apps.register_app(visor, wanted)
        assert key == bytes(range(16))
        with pytest.raises(Conflict, match=r"^app already started$"):
            await ops_apps.register_app(visor, ProcConfig("outside"))
        address = node_.fact("app server", "apps")
        config = ProcConfig("outside", address, key, visor_pk=node_.pk)
        async with AppClient(config) as client:
            await client.listen(7000, DMSG)
            await client.set_status(RUNNING)
            assert visor.apps.running("outside").status == RUNNING
            assert await ops_apps.apps(visor) == []  # it is in no config
            await ops_apps.deregister_app(visor, key)
            await client.set_status("still here")
        with pytest.raises(NotFound, match=r"^no process of given app is running$"):
            await ops_apps.deregister_app(visor, key)
        async with AppClient(config) as client:
            with pytest.raises(SkywireError):
                await client.set_status(RUNNING)
        with pytest.raises(InvalidValue, match="without a name"):
            await ops_apps.register_app(visor, ProcConfig())


async def test_settings_go_into_the_config_file_and_nothing_else_changes(tmp_path: Path) -> None:
    apps = [
        app("vpn-client", args=["app", "vpn-client"], unknown_key="kept"),
        app("vpn-server", args=["app", "vpn-server"]),
        app("skysocks", args=["app", "skysocks", "--passcode", "old"]),
        app("skychat", args=["app", "skychat", "--addr", ":8001"]),
    ]
    async with node(tmp_path, *apps) as (_, node_):
        visor = node_.visor
        await ops_apps.set_app_pk(visor, SetPk("vpn-client", SERVER))
        await ops_apps.set_app_dns(visor, SetText("vpn-client", "1.1.1.1"))
        await ops_apps.set_app_killswitch(visor, SetSwitch("vpn-client", True))
        await ops_apps.set_app_secure(visor, SetSwitch("vpn-server", False))
        await ops_apps.set_app_network_interface(visor, SetNetworkInterface("vpn-server", "eth0"))
        await ops_apps.set_app_password(visor, SetPassword("skysocks", ""))
        await ops_apps.set_app_whitelist(visor, SetWhitelist("skysocks", f"{SERVER}, {SERVER}"))
        await ops_apps.set_app_address(visor, SetText("skychat", "*:9000"))
        await ops_apps.set_auto_start(visor, SetAutoStart("skychat", True))
        await ops_apps.add_app(visor, AddApp("skysocks-client-2", "skywire"))
        written = json.loads((tmp_path / "node.json").read_text())["launcher"]["apps"]
        assert [each["args"] for each in written[:4]] == [
            ["app", "vpn-client", "--srv", str(SERVER), "--dns", "1.1.1.1", "-killswitch=true"],
            ["app", "vpn-server", "-secure=false", "--netifc", "eth0"],
            ["app", "skysocks", "--whitelist", f"{SERVER},{SERVER}"],
            ["app", "skychat", "--addr", "*:9000"],
        ]
        assert written[3]["auto_start"] is True
        assert 10 <= written[4]["port"] <= 99
        with pytest.raises(Conflict):
            await ops_apps.add_app(visor, AddApp("skychat", "skywire"))
        await ops_apps.set_all_arguments(
            visor, SetAll("skysocks-client-2", {"app": "skysocks-client", "--srv": str(SERVER)})
        )
        state = await ops_apps.app(visor, "skysocks-client-2")
        assert state.app_config.args == ["app", "skysocks-client", "--srv", str(SERVER)]


async def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with node(tmp_path, app("skychat", args=["app", "skychat"])) as (_, node_):
        visor, before = node_.visor, (tmp_path / "node.json").read_bytes()
        for refused in (
            ops_apps.set_app_pk(visor, SetPk("skychat", SERVER)),
            ops_apps.set_app_password(visor, SetPassword("skychat", "code")),
            ops_apps.set_app_address(visor, SetText("skychat", "0.0.0.0:9000")),
            ops_apps.set_app_address(visor, SetText("skychat", ":80")),
            ops_apps.set_app_whitelist(visor, SetWhitelist("skychat", "x")),
            ops_apps.add_app(visor, AddApp("../x", "skywire")),
            ops_apps.set_all_arguments(visor, SetAll("skychat", {"a": [1]})),
            ops_apps.start_app(visor, StartApp("skychat", "elsewhere")),
        ):
            with pytest.raises(InvalidValue):
                await refused
        with pytest.raises(NotFound, match=r"^app not found$"):
            await ops_apps.start_app(visor, "nobody")
        with pytest.raises(NotFound, match=r"^no process of given app is running$"):
            await ops_apps.app(visor, "nobody")
        for unknown in (
            ops_apps.set_app_status(visor, SetStatus("skychat", "x")),
            ops_apps.set_app_error(visor, SetError("skychat", "x")),
            ops_apps.app_stats(visor, "skychat"),
        ):
            with pytest.raises(NotFound):
                await unknown
        assert (tmp_path / "node.json").read_bytes() == before


async def test_a_client_for_one_time_leaves_the_config_alone(tmp_path: Path) -> None:
    script(tmp_path, "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    apps = [
        app("skysocks-client", args=["app", "skysocks-client", "--addr", ":1080"]),
        app("more", args=["app", "skysocks-client", "--srv", str(SERVER)]),
    ]
    async with node(tmp_path, *apps) as (_, node_):
        visor, before = node_.visor, (tmp_path / "node.json").read_bytes()
        await ops_apps.start_skysocks_client(visor, str(SERVER))
        state = await ops_apps.app(visor, "skysocks-client")
        assert state.app_config.args == [
            *("app", "skysocks-client", "--srv", str(SERVER), "--addr", ":1080")
        ]
        await ops_apps.start_app(visor, "more")
        assert {state.status for state in await ops_apps.apps(visor)} == {3}
        await said(visor, "more", "ready")
        await ops_apps.stop_skysocks_clients(visor)
        assert {state.status for state in await ops_apps.apps(visor)} == {0}
        with pytest.raises(NotFound):
            await ops_apps.start_vpn_client(visor, SERVER)
        assert (tmp_path / "node.json").read_bytes() == before


async def test_a_visor_of_2024_is_asked_in_its_own_form() -> None:
    started: list[str] = []
    here, there = stream_pair()
    server = RpcServer({"app-visor.StartApp": Method(STRING, EMPTY, started.append)})
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(there))
        async with RpcClient(here) as rpc:
            for _ in range(2):
                await RemoteVisor(rpc).call(ops_apps.start_app, StartApp("skychat", "internal"))
            with pytest.raises(Refused, match="can't find method"):  # absent, and no harm
                await RemoteVisor(rpc).call(ops_apps.set_app_dns, SetText("vpn-client", "x"))
        await asyncio.wait([serving])
    assert started == ["skychat", "skychat"]


async def test_logs_begin_behind_the_time_that_is_given(tmp_path: Path) -> None:
    async with node(tmp_path, app("x")) as (_, node_):
        logs = node_.visor.apps.logs
        for number in range(5):
            logs.add("x", "INFO", f"line {number}")
        times = [line.at for line in logs._waiting]
        assert len(set(times)) == 5

        async def since(at: int) -> list[str]:
            request = LogsRequest(GoTime.from_unix_ns(at), "x")
            found = await ops_apps.logs_since(node_.visor, request)
            return [line.rpartition(" ")[2].strip() for line in found]

        assert await since(0) == ["0", "1", "2", "3", "4"]
        assert await since(times[1]) == ["2", "3", "4"]  # a line has this time: those behind it
        assert await since(times[1] - 1)  # no line has it: the next one is the first
        assert (await since(times[2] - 1))[0] in ("2", "1")
        assert await since(times[4]) == []
        assert await since(1 << 70) == await since(times[4])
        with pytest.raises(NotFound):
            await ops_apps.logs_since(node_.visor, LogsRequest(GoTime(0), "nobody"))
