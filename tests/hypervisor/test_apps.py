"""The apps of a visor over HTTP: what is asked of it, Go's answers and errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.appkit.launcher import NO_PROC
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Conflict, NotFound
from skywire.testing.wait import eventually
from skywire.visor.types import AppConfig, AppState
from skywire.visor.types_apps import RUNNING, AppStats, ConnectionSummary
from skywire.wire.gob_types import GoTime
from tests.hypervisor.harness import FakeVisor, hypervisor, key

A = key("a")
SERVER = deterministic_key_pair(b"server")[0]


class FakeLauncher:
    def __init__(self, apps: "FakeApps") -> None:
        self._apps = apps

    async def stop(self, name: str) -> None:
        if self._apps.status != RUNNING:
            raise Conflict("app not running")
        self._apps.did.append("stop")


class FakeApps:
    """Of one app, `vpn-client`."""

    def __init__(self) -> None:
        self.status = 0
        self.did: list[Any] = []
        self.lines: list[str] = []
        self.asked_since: GoTime | None = None
        self._config = AppConfig("vpn-client", "skywire", ["app", "vpn-client"])
        self.launcher = FakeLauncher(self)

    def states(self) -> list[AppState]:
        return [AppState(self._config, self.status, "")]

    def state(self, name: str) -> AppState:
        self.config(name)
        return self.states()[0]

    def config(self, name: str) -> AppConfig:
        if name != "vpn-client":
            raise NotFound(NO_PROC)
        return self._config

    def require(self, name: str, *_: str) -> AppConfig:
        return self.config(name)

    def set_arguments(self, name: str, arguments: list[str]) -> None:
        self._config.args = arguments
        self.did.append("set")

    def set_auto_start(self, name: str, value: bool) -> None:
        self._config.auto_start = value

    async def start(self, name: str, mode: str = "") -> None:
        self.did.append("start")

    async def restart(self, name: str) -> None:
        self.did.append("restart")

    def connections(self, name: str) -> list[ConnectionSummary]:
        if self.status != RUNNING:
            raise NotFound(NO_PROC)
        return [ConnectionSummary(True, 7_000_000)]

    def stats(self, name: str) -> AppStats:
        return AppStats(self.connections(name), GoTime(0))

    async def logs_since(self, name: str, moment: GoTime) -> list[str]:
        self.asked_since = moment
        return self.lines


class WithApps(FakeVisor):
    def __init__(self) -> None:
        super().__init__(A)
        self.apps = FakeApps()


class Client:
    def __init__(self, http: Any, visor: WithApps) -> None:
        self._http = http
        self.apps = visor.apps

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"/api/visors/{A}/apps{path}"
        async with self._http.request(method, url, json=body) as answer:
            return answer.status, await answer.json()

    async def put(self, **body: Any) -> Any:
        status, answer = await self("PUT", "/vpn-client", body)
        assert status == 200, answer
        return answer


@asynccontextmanager
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    visor = WithApps()
    async with hypervisor(tmp_path, auth=False, csrf=False) as (http, network, context):
        await network.connect(visor)
        await eventually(lambda: A in context.visors._known)
        yield Client(http, visor)


SHOWN = {
    "name": "vpn-client",
    "binary": "skywire",
    "args": ["app", "vpn-client"],
    "auto_start": False,
    "port": 0,
    "status": 0,
    "detailed_status": "",
}


async def test_apps_and_one_app(tmp_path: Path) -> None:
    async with client(tmp_path) as ask:
        assert await ask("GET", "") == (200, [SHOWN])
        assert await ask("GET", "/vpn-client") == (200, SHOWN)
        told = f"can not find app of name nobody from visor {A}"
        for path in ("/nobody", "/nobody/logs", "/nobody/stats"):
            assert await ask("GET", path) == (404, {"error": told})
        assert await ask("PUT", "/nobody", {}) == (404, {"error": told})


async def test_settings_then_start_or_restart(tmp_path: Path) -> None:
    async with client(tmp_path) as ask:
        changed = await ask.put(
            pk=str(SERVER), killswitch=True, dns="1.1.1.1", autostart=True, status=1
        )
        assert changed["args"] == [
            *("app", "vpn-client", "--srv", str(SERVER), "-killswitch=true", "--dns", "1.1.1.1")
        ]
        assert changed["auto_start"] is True
        assert ask.apps.did == ["set", "set", "set", "start"]
        ask.apps.status, ask.apps.did = RUNNING, []
        await ask.put(custom_setting={"srv": str(SERVER), "secure": True})
        assert ask.apps.config("vpn-client").args[2:] == [*("--srv", str(SERVER), "-secure=true")]
        assert ask.apps.did == ["set", "restart"]  # it runs: with the new settings
        await ask.put(whitelist=f"{SERVER}, {A}", status=1)
        assert ask.apps.config("vpn-client").args[-2:] == ["--whitelist", f"{SERVER},{A}"]
        ask.apps.did = []
        await ask.put()
        await ask.put(dns="")
        await ask.put(status=0)
        assert ask.apps.did == ["set", "stop"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"status": 2}, 400, "value of 'status' field is 2 when expecting 0 or 1"),
        ({"status": 0}, 500, "app not running"),
        ({"pk": "nokey"}, 400, "request format is malformed"),
        ({"unknown": 1}, 400, "request format is malformed"),
        ({"autostart": "yes"}, 400, "request format is malformed"),
        ([], 400, "request format is malformed"),
    ],
)
async def test_other_changes_are_refused(
    tmp_path: Path, body: Any, status: int, error: str
) -> None:
    async with client(tmp_path) as ask:
        assert await ask("PUT", "/vpn-client", body) == (status, {"error": error})
        assert ask.apps.did == []


async def test_streams_of_an_app(tmp_path: Path) -> None:
    async with client(tmp_path) as ask:
        for path in ("/vpn-client/stats", "/vpn-client/connections"):
            assert await ask("GET", path) == (500, {"error": "no such app"})
        ask.apps.status = RUNNING
        status, (found,) = await ask("GET", "/vpn-client/connections")
        assert (status, found["latency"], found["is_alive"]) == (200, 7, True)
        _, stats = await ask("GET", "/vpn-client/stats")
        assert stats == {"connections": [found], "start_time": "1970-01-01T00:00:00Z"}


async def test_logs_since_a_moment(tmp_path: Path) -> None:
    async with client(tmp_path) as ask:
        told = {"error": "no new available logs"}
        assert await ask("GET", "/vpn-client/logs") == (500, told)
        nothing: dict[str, Any] = {"last_log_timestamp": "", "logs": []}
        assert await ask("GET", "/vpn-client/logs?empty=1") == (200, nothing)
        stamp = "2026-06-12T08:00:00.000000001+00:00"
        ask.apps.lines = ["[x] y\n", f"[{stamp}] INFO z\n"]
        found = {"last_log_timestamp": stamp, "logs": ask.apps.lines}
        assert await ask("GET", f"/vpn-client/logs?since={stamp}") == (200, found)
        assert ask.apps.asked_since == GoTime(1_781_251_200, 1)
        status, answer = await ask("GET", "/vpn-client/logs?since=yesterday")
        assert (status, "expected one such as" in answer["error"]) == (400, True)
