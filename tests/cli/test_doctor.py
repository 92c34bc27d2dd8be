"""`skywire doctor`: visors that are well, ill or not there, and machines that are in their way."""

import asyncio
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli import doctor_local, doctor_visor, net_probes
from skywire.cli.doctor_local import Local, disk, file_descriptors, ports, pty_socket
from skywire.cli.findings import Check, Verdict
from skywire.cli.main import root
from skywire.cli.net_targets import CONF, Target, Targets
from skywire.config.deployment import Deployment
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.http.app import listen, running
from skywire.platform.lock import locked
from skywire.services.config_bootstrapper import ConfigBootstrapper
from skywire.testing.wait import eventually
from skywire.visor.modules import State
from tests.cli.test_visor_words import fits
from tests.visor.network import SOON, Net, network

OTHER = deterministic_key_pair(b"other")[0]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has a config, and there is no public deployment."""
    (tmp_path / "none.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKYDEPLOY", str(tmp_path / "none.json"))


async def doctor(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, root, ["doctor", *words])


async def report(*words: str) -> dict[str, Any]:
    result = await doctor(*words, "--json")
    found: dict[str, Any] = json.loads(result.stdout)["output"]
    assert result.exit_code == (found["verdict"] == "RED")
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in found["checks"]}


def causes(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in found["causes"]]


def written(folder: Path, document: dict[str, Any], mode: int = 0o600) -> Path:
    file = folder / "skywire-config.json"
    file.write_text(json.dumps(document))
    file.chmod(mode)
    return file


async def started(net: Net) -> None:
    await net.start_discovery()
    await net.start_server()


async def test_a_visor_that_is_well(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await started(net)
        setup = await net.start(net.config("setup"))
        more = {"routing": {"route_setup_nodes": [str(setup.pk)]}}
        file = written(tmp_path, net.document("a", **more))
        node = await net.start(ConfigFile.load(file))
        await eventually(lambda: node.state("dmsg") is State.RUNNING, SOON)
        address = node.fact("rpc", "rpc")
        found = await report("--rpc", address)
        shape = json.loads((await doctor("--shape")).stdout)["output"]
        assert fits(found, shape)
        known = verdicts(found)
        for name in (
            "config file",
            "config mode",
            "config keys",
            "exposure",
            "disk",
            "file descriptors",
            "pty socket",
            "visor",
            "dmsg sessions",
            "parts",
            "transports",
            "discovery entry",
            "services over http",
            "dmsg servers",
            "clock",
            "dns",
        ):
            assert known[name] == "GREEN", (name, found)
        assert "ports" not in known
        assert known["setup nodes"] == "RED"  # there is a visor, which listens on no such port
        assert causes(found) == ["setup nodes"]

        other = await report("--rpc", address, "-c", str(written(tmp_path, net.document("b"))))
        (visor,) = [each for each in other["checks"] if each["name"] == "visor"]
        assert visor["verdict"] == "YELLOW"
        assert str(node.pk) in visor["evidence"]


async def test_causes_stand_before_what_follows_from_them(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await started(net)
        file = written(tmp_path, net.document("a"))
        node = await net.start(ConfigFile.load(file))
        await eventually(lambda: node.state("dmsg") is State.RUNNING, SOON)
        address = node.fact("rpc", "rpc")
        (server,) = node.visor.dmsg.sessions
        await net.stop_server(server)
        await eventually(lambda: node.state("dmsg") is State.FAILED, SOON)
        found = await report("--rpc", address)
        assert causes(found)[:2] == ["dmsg servers", "dmsg sessions"]
        by_name = {each["name"]: each for each in found["causes"]}
        assert by_name["dmsg sessions"]["follows_from"] == ["dmsg servers"]
        text = await doctor("--rpc", address)
        assert text.exit_code == 1
        assert "1. RED dmsg servers: " in text.stdout
        assert "2. RED dmsg sessions (follows from: dmsg servers): " in text.stdout
        assert "   fix: skywire netcheck" in text.stdout


async def test_neither_config_nor_visor() -> None:
    found = await report("--rpc", "127.0.0.1:1")
    by_name = {each["name"]: each for each in found["causes"]}
    assert by_name["config file"]["fix"] == "skywire cli config gen"
    assert by_name["visor"]["fix"] == "skywire visor"
    assert "127.0.0.1:1" in by_name["visor"]["evidence"]
    assert verdicts(found)["discovery entry"] == "SKIPPED"


async def test_a_config_that_cannot_be_read(tmp_path: Path) -> None:
    written(tmp_path, {"sk": "00", "dmsg": {}})
    found = await report("--rpc", "127.0.0.1:1")
    assert causes(found) == ["config file", "visor"]
    assert found["causes"][1]["follows_from"] == ["config file"]
    assert "sk" in found["causes"][0]["evidence"]
    assert verdicts(found)["network"] == "SKIPPED"


async def test_a_config_that_is_strange(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "sk": deterministic_key_pair(b"x")[1].hex(),
        "dmsg": {"discovery": "http://127.0.0.1:1", "sesions_count": 1},
        "hypervisor": {"http_addr": ":8000", "enable_auth": False},
        "cli_addr": "0.0.0.0:1",
        "local_path": "/proc/nothing",
        "is_public": True,
    }
    written(tmp_path, document, mode=0o644)
    found = await report("--rpc", "127.0.0.1:1")
    known = {each["name"]: each for each in found["checks"]}
    assert known["config mode"]["verdict"] == "RED"
    assert known["config mode"]["fix"].startswith("chmod 600 ")
    assert known["exposure"]["verdict"] == "RED"
    assert "cli_addr" in known["exposure"]["evidence"]
    assert "hypervisor.enable_auth" in known["exposure"]["evidence"]
    assert known["config keys"]["verdict"] == "YELLOW"
    assert 'did you mean "sessions_count"' in known["config keys"]["evidence"]
    assert known["disk"]["verdict"] == "RED"
    assert document["sk"] not in json.dumps(found)


async def test_something_else_is_where_the_visor_should_be() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await report("--rpc", f"127.0.0.1:{port}")
    (visor,) = [each for each in found["checks"] if each["name"] == "visor"]
    assert "does not answer as a visor does" in visor["evidence"]
    assert visor["fix"] == f"ss -ltnp sport = :{port}"


async def test_a_visor_that_runs_and_does_not_answer(tmp_path: Path) -> None:
    file = written(tmp_path, {"dmsg": {"discovery": "http://127.0.0.1:1"}, "pty": None})
    with locked(file, "visor"):
        found = await report("--rpc", "127.0.0.1:1")
    (visor,) = [each for each in found["checks"] if each["name"] == "visor"]
    assert f"process {os.getpid()} runs and does not answer" in visor["evidence"]
    assert visor["fix"].endswith(f"kill {os.getpid()}")


async def test_old_words_still_work_and_are_not_shown() -> None:
    old = await asyncio.to_thread(
        CliRunner().invoke, root, ["cli", "visor", "doctor", "--rpc", "127.0.0.1:1"]
    )
    assert old.exit_code == 1
    assert "RED" in old.stdout
    assert "doctor" not in CliRunner().invoke(root, ["cli", "visor", "--help"]).stdout


@pytest.mark.parametrize("words", [["-c", "/"], ["--rpc", "x"], ["--timeout", "-1"], ["more"]])
async def test_what_is_refused(words: list[str]) -> None:
    result = await doctor(*words)
    assert (result.exit_code, result.stdout) == (2, "")


# Parts


def config(**more: Any) -> ConfigFile:
    return ConfigFile(json.dumps({"dmsg": {"discovery": "http://127.0.0.1:1"}} | more), "test")


def test_ports_that_are_free_or_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        more = {"cli_addr": f"127.0.0.1:{port}", "launcher": {"server_addr": "localhost:0"}}
        found = ports(config(**more).config)
        assert found.verdict is Verdict.RED
        assert f"cli_addr 127.0.0.1:{port}: Address already in use" in found.evidence
        assert f"process {os.getpid()}" in found.evidence
    more["transport"] = {"sudph_port": 0}
    assert ports(config(**more).config).verdict is Verdict.GREEN


def test_a_port_of_udp() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        more = {
            "cli_addr": "",
            "launcher": {"server_addr": ""},
            "transport": {"sudph_port": port},
        }
        found = ports(config(**more).config)
    assert found.verdict is Verdict.RED
    assert "transport.sudph_port" in found.evidence


def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk(tmp_path / "not" / "made" / "yet").verdict is Verdict.GREEN
    monkeypatch.setattr(doctor_local, "FREE_YELLOW", 1e18)
    assert disk(tmp_path).verdict is Verdict.YELLOW
    monkeypatch.setattr(doctor_local, "FREE_RED", 1e18)
    assert disk(tmp_path).verdict is Verdict.RED
    assert "cannot write in /proc" in disk(Path("/proc/nothing")).evidence


@pytest.mark.parametrize(("limit", "verdict"), [(65536, "GREEN"), (512, "YELLOW"), (100, "RED")])
def test_file_descriptors(limit: int, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_local, "open_files", lambda: limit)
    found = file_descriptors(None)
    assert found.verdict.value == verdict
    assert bool(found.fix) == (verdict != "GREEN")


def test_the_control_socket(tmp_path: Path) -> None:
    place = tmp_path / "pty.sock"

    def check(*, visor_runs: bool) -> Check:
        mine = config(pty={"cli_address": str(place)}).config
        (found,) = pty_socket(mine, visor_runs=visor_runs)
        return found

    assert check(visor_runs=False).evidence.endswith("free")
    assert check(visor_runs=True).verdict is Verdict.YELLOW
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        assert check(visor_runs=True).verdict is Verdict.GREEN
        assert check(visor_runs=False).verdict is Verdict.RED
    assert check(visor_runs=True).verdict is Verdict.YELLOW  # left over
    assert check(visor_runs=False).verdict is Verdict.GREEN
    place.unlink()
    place.write_text("")
    assert check(visor_runs=False).verdict is Verdict.RED
    place = tmp_path / ("x" * 120)
    assert "longer than" in check(visor_runs=False).evidence
    (off,) = pty_socket(config(pty=None).config, visor_runs=True)
    assert off.verdict is Verdict.SKIPPED


def test_a_relative_path_is_meant_from_the_config(tmp_path: Path) -> None:
    document = {"dmsg": {"discovery": "http://127.0.0.1:1"}, "local_path": "./local"}
    (tmp_path / "other").mkdir()
    local = Local(written(tmp_path / "other", document))
    (found,) = [each for each in local.checks(visor_answers=True) if each.name == "disk"]
    assert str(tmp_path / "other") in found.evidence


def log_line(message: Any, minutes: float = 1) -> dict[str, Any]:
    when = datetime.now(UTC) - timedelta(minutes=minutes)
    return {"msg": message, "time": when.isoformat()}


def test_transports_that_end_again_and_again() -> None:
    down = f"transport down id=1 remote={OTHER} reason=silent"
    now = datetime.now(UTC).timestamp()
    recent = [log_line(down) for _ in range(doctor_visor.FLAPPING)]
    assert doctor_visor._flapping(json.dumps(recent), now) == {str(OTHER): len(recent)}
    old = [log_line(down, minutes=60) for _ in range(doctor_visor.FLAPPING)]
    assert doctor_visor._flapping(json.dumps(recent[1:] + old), now) == {}


@pytest.mark.parametrize(
    "logs",
    ["", "{", "7", '[1, null, {"msg": 3}]', '[{"msg": "transport down x", "time": "never"}]'],
)
def test_logs_that_make_no_sense(logs: str) -> None:
    assert doctor_visor._flapping(logs, 0.0) == {}


async def test_whether_the_services_are_still_the_same() -> None:
    told = Deployment(
        transport_discovery="http://new.test",
        route_setup_nodes=(str(OTHER),),
        stun_servers=("a:1",),
    )
    more = {"transport": {"discovery": "http://old.test"}, "stun_servers": ["a:1"]}
    mine = config(**more, routing={"route_setup_nodes": [str(OTHER)]}).config
    app = ConfigBootstrapper(told).app()
    async with running(app) as runner, net_probes.http_session() as session:
        port = await listen(runner, "127.0.0.1", 0, what="test")
        targets = Targets([Target(CONF, f"http://127.0.0.1:{port}", "")], [], [], [])
        found = await doctor_visor.lists(session, targets, mine)
        assert found.verdict is Verdict.YELLOW
        assert found.evidence.startswith("transport.discovery: ")
        assert found.fix == "skywire cli config update --fetch"
        targets = Targets([Target(CONF, f"http://127.0.0.1:{port}/no", "")], [], [], [])
        found = await doctor_visor.lists(session, targets, mine)
        assert found.verdict is Verdict.SKIPPED
