"""One action on many visors: preview, results, streaming, and what is refused."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from skywire.hypervisor.bulk_actions import ACTIONS
from skywire.testing.wait import eventually
from tests.hypervisor.harness import OWN, FakeVisor, hypervisor, key
from tests.hypervisor.test_accounts import error
from tests.hypervisor.test_apps import WithApps
from tests.hypervisor.test_server import token

A, B = key("a"), key("b")
START = {"action": "start-app", "args": {"app": "vpn-client"}}
EXAMPLES: dict[str, dict[str, Any]] = {
    "start-app": {"app": "vpn-client"},
    "stop-app": {"app": "vpn-client"},
    "restart-app": {"app": "vpn-client"},
    "set-autostart": {"app": "vpn-client", "autostart": True},
    "set-min-hops": {"min_hops": 2},
    "set-public-autoconnect": {"public_autoconnect": False},
    "set-reward": {"reward_address": "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"},
    "add-transport": {"remote_pk": str(B), "transport_type": "dmsg"},
    "remove-transports": {},
    "set-log-rotation": {"log_rotation_interval": "168h"},
    "reload": {},
    "shutdown": {},
}


async def test_each_visor_has_its_own_result(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        visor = WithApps()
        await network.connect(visor)
        await eventually(lambda: context.visors.row(A) is not None)
        body = START | {"visors": [str(B), str(A), str(A)]}
        assert (await client.post("/api/bulk", json=body)).status == 403  # no token
        response = await client.post("/api/bulk", json=body, headers=await token(client))
        found = await response.json()
        assert (found["action"], found["done"], found["failed"]) == ("start-app", 1, 1)
        unknown, started = found["results"]
        assert (unknown["pk"], unknown["ok"], unknown["status"]) == (str(B), False, 404)
        assert unknown["error"] == f"visor of pk '{B}' not found"
        assert (started["pk"], started["ok"], started["error"]) == (str(A), True, "")
        assert started["command"] == (f"skywire cli --via dmsg://{A} visor app start vpn-client")
        assert visor.apps.did == ["start"]
        log = await (await client.get("/api/audit")).json()
        assert {(one["action"], one["visor"], one["ok"]) for one in log} == {
            ("start-app", str(A), True),
            ("start-app", str(B), False),
        }


async def test_a_preview_changes_nothing(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, network, context):
        visor = WithApps()
        visor.overview().apps.extend(visor.apps.states())
        await network.connect(visor)
        await eventually(lambda: (context.visors.row(A) or {}).get("summary_age") is not None)
        body = {
            "action": "set-min-hops",
            "args": {"min_hops": 2},
            "visors": [str(A), str(B)],
            "preview": True,
        }
        found = await (await client.post("/api/bulk", json=body)).json()
        assert (found["preview"], found["done"], found["failed"]) == (True, 1, 1)
        first, second = found["results"]
        assert (first["now"], first["then"], first["changes"]) == ("0", "2", True)
        assert first["age"] >= 0
        assert (second["ok"], second["now"], second["changes"]) == (False, None, None)
        assert await (await client.get("/api/audit")).json() == []
        found = await (
            await client.post("/api/bulk", json=START | {"visors": [str(A)], "preview": True})
        ).json()
        assert found["results"][0]["error"] == (
            f"can not find app of name vpn-client from visor {A}"
        )


async def test_results_come_as_lines(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, _, _):
        body = START | {"visors": [str(A), str(B)]}
        lines = {"Accept": "application/x-ndjson"}
        response = await client.post("/api/bulk", json=body, headers=lines)
        assert response.content_type == "application/x-ndjson"
        *results, last = [json.loads(line) for line in (await response.text()).splitlines()]
        assert {one["pk"] for one in results} == {str(A), str(B)}
        assert last == {"action": "start-app", "preview": False, "done": 0, "failed": 2}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"action": "explode", "visors": []}, "action 'explode': expected one of start-app, "),
        ({"action": "start-app", "visors": []}, "args of 'start-app': "),
        ({"action": "start-app", "visors": [], "args": {"app": 5}}, "args of 'start-app': "),
        (START | {"visors": ["zz"]}, "request format is malformed"),
        (START | {"visors": [], "more": 1}, "request format is malformed"),
        (START | {"visors": [str(A)] * 1025}, "request format is malformed"),
        (
            {"action": "set-reward", "visors": [], "args": {"reward_address": "x"}},
            "args of 'set-reward': ",
        ),
        (
            {"action": "set-log-rotation", "visors": [], "args": {"log_rotation_interval": "x"}},
            "args of 'set-log-rotation': expected a duration",
        ),
    ],
)
async def test_other_requests_are_refused(tmp_path: Path, body: Any, text: str) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, _, _):
        status, told = await error(await client.post("/api/bulk", json=body))
        assert status == 400
        assert text in told


async def test_the_actions_say_what_they_take(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        listed = await (await client.get("/api/bulk")).json()
        assert [one["action"] for one in listed] == list(EXAMPLES) == list(ACTIONS)
        assert "app" in json.dumps(listed[0]["arguments"])


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "set-log-rotation"])
async def test_each_action_has_a_command_that_parses(tmp_path: Path, name: str) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, network, context):
        await network.connect(FakeVisor(A))
        await eventually(lambda: (context.visors.row(A) or {}).get("summary_age") is not None)
        body = {"action": name, "args": EXAMPLES[name], "visors": [str(OWN)], "preview": True}
        found = await (await client.post("/api/bulk", json=body)).json()
        command = shlex.split(found["results"][0]["command"])
        assert command[:4] == ["skywire", "cli", "--via", f"dmsg://{OWN}"]
