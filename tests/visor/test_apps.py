"""The apps of a visor, as its RPC shows and changes them; each way to run one."""

import asyncio
import json
import logging
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.appkit.network import DMSG
from skywire.config.load import ConfigFile
from skywire.errors import Conflict
from skywire.testing.wait import eventually
from skywire.visor import ops_apps
from skywire.visor.types_apps import (
    StartApp,
)
from skywire.visor.visor import Visor
from skywire.wire.gob_types import GoTime
from tests.visor.network import SOON, Net, Node, network

ECHO = "example-server-app"
PORT = 4500
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
    await eventually(lambda: status(visor, name)[0] == wanted)


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
