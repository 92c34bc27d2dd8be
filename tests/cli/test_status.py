"""`skywire status` at visors that run, are ill, are of another make, or are not there."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli.health import problems, ways
from skywire.cli.main import root
from skywire.cli.snapshot import Snapshot
from skywire.crypto.generate import deterministic_key_pair
from skywire.testing.wait import eventually
from skywire.visor import ops_info, ops_routes, ops_state, ops_transports
from skywire.visor.modules import State
from skywire.visor.ops_state import PartState
from skywire.visor.types import (
    AppConfig,
    AppState,
    DmsgServer,
    HealthInfo,
    LoadStats,
    Overview,
    PersistentTransport,
    Summary,
)
from tests.cli.fake_rpc import fake_rpc
from tests.cli.test_visor_words import fits
from tests.visor.network import SOON, Net, network

OWN, OTHER, SERVER = (deterministic_key_pair(name)[0] for name in (b"a", b"b", b"c"))


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, root, list(words))


async def started(net: Net) -> None:
    await net.start_discovery()
    await net.start_server()


async def test_a_visor_that_is_well_and_one_that_lost_dmsg(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await started(net)
        setup = {"routing": {"route_setup_nodes": [str(OTHER)]}}
        node = await net.start(net.config("a", **setup))
        await eventually(lambda: node.state("dmsg") is State.RUNNING, SOON)
        address = node.fact("rpc", "rpc")
        result = await run("status", "--rpc", address, "--json")
        assert result.exit_code == 0, result.stdout + result.stderr
        found = json.loads(result.stdout)["output"]
        assert fits(found, json.loads((await run("status", "--shape")).stdout)["output"])
        assert found["public_key"] == str(node.pk)
        by = {way["name"]: way["reachable"] for way in found["ways"]}
        assert by == {"stcpr": False, "sudph": False, "dmsg": True, "skynet": True}
        assert found["problems"] == []
        known = {ops_state.DMSG, ops_state.RPC, ops_state.REACHABILITY}
        assert known <= node.visor.modules.reports().keys()
        text = await run("status", "--rpc", address)
        assert text.exit_code == 0
        assert "Nothing is wrong." in text.stdout
        assert "1 server" in text.stdout
        assert len(text.stdout.splitlines()) < 24

        (server,) = node.visor.dmsg.sessions
        await net.stop_server(server)
        await eventually(lambda: node.state("dmsg") is State.FAILED, SOON)
        result = await run("cli", "status", "--rpc", address)
        assert result.exit_code == 1
        assert "1. RED dmsg: " in result.stdout
        assert "fix: skywire netcheck" in result.stdout


async def test_no_visor_is_told_with_a_way_out() -> None:
    result = await run("status", "--rpc", "127.0.0.1:1", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr)["code"] == "dial_failed"


def test_a_glance_is_quick_and_needs_no_network_library() -> None:
    program = (
        "import sys\n"
        "from skywire.cli import health, snapshot, status\n"
        "bad = {'aiohttp', 'rich', 'psutil', 'skywire.dmsg.client'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def part(name: str, state: str, reason: str = "", **facts: str) -> PartState:
    return PartState(name, state, 65.0, reason, facts)


def snapshot(*parts: PartState, **more: Any) -> Snapshot:
    overview = more.pop("overview", Overview(local_pk=OWN))
    servers = more.pop("dmsg_servers", [DmsgServer(SERVER, 31_000_000)])
    summary = Summary(overview=overview, dmsg_servers=servers, **more)
    return Snapshot(0.0, summary, {each.name: each for each in parts}, {}, [])


@pytest.mark.parametrize(
    ("parts", "name", "reachable", "detail"),
    [
        ([part("transport stcpr", "running", stcpr_port="7000")], "stcpr", True, "TCP port 7000"),
        ([part("transport stcpr", "running")], "stcpr", False, "no public address"),
        ([part("transport stcpr", "failed", "resolver is away")], "stcpr", False, "is away"),
        ([], "stcpr", False, "names no address resolver"),
        ([part("transport sudph", "running", sudph_port="9")], "sudph", True, "UDP port 9"),
        ([part("transport sudph", "starting")], "sudph", False, "starting"),
        ([part("transport stcp", "running", stcp=":7777")], "stcp", True, "listens :7777"),
        ([part("dmsg", "running")], "dmsg", True, "1 server, the nearest 31 ms away"),
        ([part("dmsg", "failed", "no server yet")], "dmsg", False, "no server yet"),
        (
            [part("dmsg", "running"), part("reachability", "failed", "not reachable over dmsg")],
            "dmsg",
            False,
            "not reachable over dmsg",
        ),
        ([], "dmsg", False, "does not run it"),
        (
            [part("dmsg", "running"), part("routing", "running", setup_nodes="3")],
            "skynet",
            True,
            "3 setup nodes",
        ),
        ([part("routing", "running", setup_nodes="3")], "skynet", False, "needs dmsg"),
        ([part("dmsg", "running"), part("routing", "off", "is empty")], "skynet", False, "empty"),
    ],
)
def test_by_what_it_is_reachable(
    parts: list[PartState], name: str, reachable: bool, detail: str
) -> None:
    (way,) = [way for way in ways(snapshot(*parts)) if way.name == name]
    assert way.reachable is reachable
    assert detail in way.detail


@pytest.mark.parametrize(
    ("found", "name", "verdict", "evidence"),
    [
        (snapshot(part("dmsg", "failed", "no server")), "dmsg", "RED", "no server; for 1 min 5 s"),
        (snapshot(part("survey", "failed", "disk full")), "survey", "YELLOW", "disk full"),
        (snapshot(part("apps", "waiting", "needs dmsg")), "apps", "YELLOW", "needs dmsg"),
        (
            snapshot(part(f"hypervisor {OTHER}", "failed", "refused")),
            f"hypervisor {OTHER}",
            "YELLOW",
            "refused",
        ),
        (
            snapshot(
                overview=Overview(apps=[AppState(AppConfig("chat"), 2, "port taken")]),
            ),
            "app chat",
            "YELLOW",
            "port taken",
        ),
        (
            snapshot(persistent_transports=[PersistentTransport(OTHER, "stcpr")]),
            "persistent transports",
            "YELLOW",
            "is not up",
        ),
        (snapshot(load=LoadStats(disk_used_percent=99.5)), "disk", "YELLOW", "99.5 %"),
    ],
)
def test_what_is_wrong(found: Snapshot, name: str, verdict: str, evidence: str) -> None:
    (check,) = problems(found)
    assert (check.name, check.verdict.value) == (name, verdict)
    assert evidence in check.evidence
    assert check.fix or verdict == "YELLOW"


def test_what_is_only_so_is_not_wrong() -> None:
    overview = Overview(local_pk=OWN, is_symmetic_nat=True, apps=[AppState(AppConfig("chat"))])
    parts = [
        part("transport sudph", "failed", "no hole can be punched"),
        part("transport stcpr", "running"),
        part("routing", "off", "no setup nodes"),
        part("dmsg", "starting"),
        PartState("apps", "waiting", 1.0, "needs dmsg, which has not come up"),
    ]
    assert problems(snapshot(*parts, overview=overview)) == []


async def test_a_go_visor_tells_less() -> None:
    health = HealthInfo("healthy", uptime_tracker_health="unhealthy")
    summary = Summary(
        overview=Overview(local_pk=OWN), health=health, connected_dmsg_servers=[str(SERVER)]
    )
    with fake_rpc({ops_info.summary: summary, ops_routes.routing_rules: []}) as fake:
        result = await run("status", "--rpc", fake.address, "--json")
    found = json.loads(result.stdout)["output"]
    assert {way["name"]: way["reachable"] for way in found["ways"]} == {
        "stcpr": None,
        "sudph": None,
        "dmsg": True,
        "skynet": None,
    }
    assert [each["name"] for each in found["problems"]] == ["uptime tracker"]
    assert result.exit_code == 1
    assert {name for name, _ in fake.asked} == {"Summary", "RoutingRules"}


async def test_a_summary_without_anything_in_it() -> None:
    answers = {
        ops_info.summary: Summary(),
        ops_state.part_states: [],
        ops_transports.transport_figures: [],
        ops_routes.route_groups: [],
    }
    with fake_rpc(answers) as fake:
        result = await run("status", "--rpc", fake.address)
    assert result.exit_code == 1
    assert "Nobody can reach this visor." in result.stdout
