"""`skywire netcheck`: at a whole deployment on loopback, and at ones that are broken."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from skywire.cli import net_probes
from skywire.cli.main import root
from skywire.cli.net_targets import Target, of_deployment
from skywire.cli.netcheck import SKEW_RED, SKEW_YELLOW, Found, checks, clock, look
from skywire.cli.shape import skeleton
from skywire.config.deployment import Deployment
from skywire.crypto.generate import deterministic_key_pair
from skywire.http.app import listen, running
from skywire.testing.stun import stun_server
from tests.cli.test_visor_words import fits
from tests.visor.private import Private, private_deployment

PK = deterministic_key_pair(b"nobody")[0]
NAMES = ("dns", "clock", "services over http", "dmsg servers", "services over dmsg", "nat")


async def run(*words: str) -> Result:
    """The command, in a thread: it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, root, list(words))


@pytest.fixture
async def private(tmp_path: Path) -> AsyncIterator[Private]:
    async with private_deployment(tmp_path) as found:
        yield found


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has a config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("elsewhere")
async def test_a_deployment_that_is_well(private: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYDEPLOY", str(private.write(http=True)))
    result = await run("netcheck", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["output"]
    shape = json.loads((await run("netcheck", "--shape")).stdout)["output"]
    assert fits(found, shape)
    verdicts = {each["name"]: each["verdict"] for each in found["checks"]}
    assert tuple(verdicts) == NAMES
    assert verdicts == dict.fromkeys(NAMES, "GREEN") | {"nat": "SKIPPED"}
    assert {each["over"] for each in found["services"]} == {"http", "dmsg"}
    assert len(found["services"]) == 14
    assert all(each["latency_ms"] > 0 for each in found["services"])
    (server,) = found["dmsg_servers"]
    assert server["public_key"] == str(private.servers[0].public)
    assert server["session_ms"] > 0
    assert server["own_address"] == "127.0.0.1"
    assert found["reachable_by"][-2:] == ["dmsg", "skynet"]
    assert found["causes"] == []
    assert found["tcp"] is True
    assert found["udp"] is None

    text = (await run("netcheck")).stdout
    assert "reachable by" in text
    assert str(private.servers[0].public) in text
    assert " ms" in text


@pytest.mark.usefixtures("elsewhere")
async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Causes stand before what follows from them, and the command does not take for ever."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        file = tmp_path / "gone.json"
        names = ("dmsg_discovery", "transport_discovery")
        file.write_text(
            json.dumps(
                {
                    "prod": dict.fromkeys(names, f"http://127.0.0.1:{port}")
                    | {
                        "dmsg_servers": [
                            {"static": str(PK), "server": {"address": f"127.0.0.1:{port}"}}
                        ]
                    }
                }
            )
        )
        monkeypatch.setenv("SKYDEPLOY", str(file))
        result = await run("netcheck", "--json")
        text = await run("netcheck")
    assert (result.exit_code, text.exit_code) == (1, 1)
    found = json.loads(result.stdout)["output"]
    assert found["verdict"] == "RED"
    assert [each["name"] for each in found["causes"]] == ["services over http", "dmsg servers"]
    assert found["causes"][1]["follows_from"] == ["services over http"]
    assert found["causes"][0]["fix"].startswith("curl ")
    assert not {"dmsg", "skynet"} & set(found["reachable_by"])
    assert "1. RED services over http" in text.stdout
    assert "fix: " in text.stdout


@pytest.mark.usefixtures("elsewhere")
async def test_a_config_says_what_is_asked(private: Private, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"dmsg": {"discovery": private.urls["dmsg_discovery"]}}))
    result = await run("netcheck", "-c", str(file), "--json")
    found = json.loads(result.stdout)["output"]
    assert [each["name"] for each in found["services"]] == ["dmsg discovery"]
    assert [each["error"] for each in found["dmsg_servers"]] == [""]


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "missing.json"],
        ["--deployment", "mine"],
        ["--loglvl", "loud"],
        ["--timeout", "0"],
        ["more"],
    ],
)
@pytest.mark.usefixtures("elsewhere")
async def test_what_is_refused(words: list[str]) -> None:
    result = await run("netcheck", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")


@pytest.mark.parametrize(
    ("skew", "verdict"),
    [
        (None, "SKIPPED"),
        (0.0, "GREEN"),
        (-1.5, "GREEN"),
        (SKEW_YELLOW, "YELLOW"),
        (-SKEW_RED, "RED"),
        (86_400.0, "RED"),
    ],
)
def test_the_clock(skew: float | None, verdict: str) -> None:
    found = clock(skew)
    assert found.verdict.value == verdict
    assert bool(found.fix) == (verdict in ("YELLOW", "RED"))


async def bad_service(answer: Any, limit: float = 5.0) -> net_probes.ServiceResult:
    app = web.Application()
    app.router.add_get("/health", answer)
    async with running(app) as runner, net_probes.http_session() as session:
        port = await listen(runner, "127.0.0.1", 0, what="test")
        target = Target("bad", f"http://127.0.0.1:{port}", "")
        return await net_probes.ask_service(session, target, limit)


async def test_a_service_whose_clock_differs() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="{}", headers={"Date": "Tue, 24 Nov 2020 00:00:00 GMT"})

    found = await bad_service(answer)
    assert found.is_well
    assert found.clock_skew_s is not None
    assert found.clock_skew_s > 86_400


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"\xff", b'{"build_info": 7}', b"x" * 10**6])
async def test_an_answer_that_makes_no_sense_is_an_answer(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Date": "yesterday"})

    found = await bad_service(answer)
    assert (found.status, found.version, found.clock_skew_s) == ("healthy", "", None)


async def test_a_service_that_is_ill_and_one_that_is_silent() -> None:
    async def ill(_: web.Request) -> web.Response:
        return web.Response(status=503)

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    assert (await bad_service(ill)).error == "status 503"
    found = await bad_service(silent, 0.2)
    assert (found.status, found.error) == ("down", "no answer within 0.2 s")


async def test_a_dead_dns_costs_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the lookups nor the end of the loop wait for it."""

    def never(*_: Any, **__: Any) -> Any:
        time.sleep(3)
        raise OSError("gone")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    targets = of_deployment(Deployment(dmsg_discovery="http://a.test", conf="http://b.test"))
    async with asyncio.timeout(2):
        found = await look(targets, most=0.1)
    verdicts = {each.name: each for each in checks(found, targets)}
    assert verdicts["dns"].verdict.value == "RED"
    assert "no answer within 0.1 s" in verdicts["dns"].evidence


def test_names_are_asked_for_and_addresses_are_not() -> None:
    urls = [
        "http://a.test/x",
        "https://10.0.0.1",
        "dmsg://02",
        "b.test:3478",
        "[::1]:80",
        "http://[",
    ]
    assert net_probes.hosts_of(urls) == ["a.test", "b.test"]


async def test_the_nat() -> None:
    async with stun_server() as server:
        found = await net_probes.ask_stun([server.url])
    assert (found.nat_type, found.public_ip, found.udp) == ("Not behind a NAT", "127.0.0.1", True)
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = await net_probes.ask_stun([f"127.0.0.1:{silent.getsockname()[1]}"], 0.2)
    assert "no answer within 0.2 s" in found.error


@pytest.mark.parametrize(
    ("nat", "verdict", "ways"),
    [
        (net_probes.NatResult("Full cone NAT", "192.0.2.9", True), "GREEN", ["sudph"]),
        (net_probes.NatResult("Symmetric NAT", "192.0.2.9", True, True), "YELLOW", []),
        (net_probes.NatResult("unknown", udp=False, error="no answer"), "YELLOW", []),
        (net_probes.NatResult("unknown", "192.0.2.9", True), "GREEN", []),
    ],
)
def test_what_a_nat_means(nat: net_probes.NatResult, verdict: str, ways: list[str]) -> None:
    found = Found(["127.0.0.1"], nat, [], [], [])
    targets = of_deployment(Deployment(stun_servers=("a:1",)))
    (check,) = [each for each in checks(found, targets) if each.name == "nat"]
    assert check.verdict.value == verdict
    assert bool(check.fix) == (verdict == "YELLOW")
    assert found.reachable_by == ways


async def test_nobody_to_tell_the_nat() -> None:
    assert (await net_probes.ask_stun([])).udp is None
    assert skeleton(net_probes.NatResult)["udp"] == "boolean"
