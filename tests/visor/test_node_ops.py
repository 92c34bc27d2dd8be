"""A visor as a program: reload, shutdown, runtime logs, how long its logs are kept."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.dmsg.direct import StaticDirectory
from skywire.errors import InvalidValue, NotSupported
from skywire.rpc.client import RpcClient
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_node
from skywire.visor.client import LocalVisor, RemoteVisor
from skywire.visor.visor import Visor

SK = deterministic_key_pair(b"node ops")[1]
DAY = 24 * 3600 * 10**9  # ns


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.1)


def written(tmp_path: Path, **more: Any) -> Path:
    path = tmp_path / "visor.json"
    document = {
        "sk": SK.hex(),
        "cli_addr": "127.0.0.1:0",
        "dmsg": {"discovery": ""},
        "transport": {"log_store": {"type": "file", "location": str(tmp_path / "logs")}},
        "pty": {"cli_address": str(tmp_path / "pty.sock")},
        "local_path": str(tmp_path / "local"),
    }
    path.write_text(json.dumps(document | more))
    return path


class Running:
    def __init__(self, file: ConfigFile) -> None:
        self.visor = Visor(file, StaticDirectory())
        self._tasks = Tasks("test")

    async def __aenter__(self) -> "Running":
        ready = asyncio.Event()
        self.task = self._tasks.spawn(self.visor.run(ready.set))
        async with asyncio.timeout(15):
            await ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()

    async def rpc(self) -> RpcClient:
        host, _, port = str(self.visor.modules["rpc"].facts["rpc"]).rpartition(":")
        async with asyncio.timeout(5):
            return RpcClient(await dial_tcp(host, int(port)))


async def test_shutdown_is_answered_and_then_done(tmp_path: Path) -> None:
    async with Running(ConfigFile.load(written(tmp_path))) as node:
        async with await node.rpc() as rpc, asyncio.timeout(5):
            await RemoteVisor(rpc).call(ops_node.shutdown)
        async with asyncio.timeout(5):
            await asyncio.shield(node.task)
        assert not node.visor.wants_reload
        assert not (tmp_path / "pty.sock").exists()


async def test_reload_is_answered_and_asks_for_another_run(tmp_path: Path) -> None:
    async with Running(ConfigFile.load(written(tmp_path))) as node:
        async with await node.rpc() as rpc, asyncio.timeout(5):
            await RemoteVisor(rpc).call(ops_node.reload)
        async with asyncio.timeout(5):
            await asyncio.shield(node.task)
        assert node.visor.wants_reload


async def test_a_broken_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = written(tmp_path)
    async with Running(ConfigFile.load(path)) as node:
        path.write_text("{")
        with pytest.raises(InvalidValue, match="not valid JSON"):
            node.visor.reload()
        assert not node.task.done()
    async with Running(ConfigFile(written(tmp_path).read_text(), "stdin")) as node:
        with pytest.raises(NotSupported, match="did not come from a file"):
            node.visor.reload()


async def test_an_end_is_not_held_up_by_parts_that_start(tmp_path: Path) -> None:
    visor = Visor(ConfigFile.load(written(tmp_path)), StaticDirectory())

    async def slow(_: object) -> None:
        await asyncio.Event().wait()

    visor.add_part("slow", slow)
    tasks = Tasks("test")
    task = tasks.spawn(visor.run(lambda: pytest.fail("it was never ready")))
    await eventually(lambda: "slow" in visor.modules.reports())
    visor.end()
    async with asyncio.timeout(5):
        await asyncio.shield(task)
    await tasks.close()


async def test_the_last_log_entries_are_told(tmp_path: Path) -> None:
    async with Running(ConfigFile.load(written(tmp_path))) as node:
        logging.getLogger("skywire.visor.test").warning("look here number=%d", 7)
        async with await node.rpc() as rpc, asyncio.timeout(5):
            entries = json.loads(await RemoteVisor(rpc).call(ops_node.runtime_logs))
        assert entries[-1]["msg"] == "look here number=7"
        assert entries[-1]["_module"] == "visor.test"
    logging.getLogger("skywire.visor.test").warning("not heard any more")
    assert "not heard" not in node.visor.logs.text()


async def test_how_long_logs_are_kept_is_written_down(tmp_path: Path) -> None:
    path = written(tmp_path)
    async with Running(ConfigFile.load(path)) as node:
        visor = LocalVisor(node.visor)
        assert await visor.call(ops_node.log_rotation_interval) == 7 * DAY
        await visor.call(ops_node.set_log_rotation_interval, 2 * DAY)
        assert await visor.call(ops_node.log_rotation_interval) == 2 * DAY
        with pytest.raises(InvalidValue, match="expected at least 24h0m0s"):
            await visor.call(ops_node.set_log_rotation_interval, DAY - 1)
    store = json.loads(path.read_text())["transport"]["log_store"]
    assert store["rotation_interval"] == "48h0m0s"
