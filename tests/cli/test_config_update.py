"""`skywire cli config update`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.config.deployment import TEST, Deployment, deployment
from skywire.config.load import ConfigFile
from skywire.config.services import parse_services
from skywire.crypto.generate import deterministic_key_pair
from skywire.testing.vectors import ROOT

PK, SK, _ = deterministic_key_pair(b"config")
OTHER, _, _ = deterministic_key_pair(b"other")
THIRD, _, _ = deterministic_key_pair(b"third")
PATH = Path("skywire-config.json")
GO_FILE = (ROOT / "config" / "go_gen.json").read_bytes()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory with a Go visor's config that has keys of another program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("SKYDEPLOY", "SKYWIRETEST"):
        monkeypatch.delenv(name, raising=False)
    document = json.loads(GO_FILE) | {"unknown": {"x": [1]}}
    document["launcher"]["apps"][0]["launcher_mode"] = "internal"
    PATH.write_text(json.dumps(document, indent=2))


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(root, ["cli", "config", "update", *arguments])
    return result.exit_code, result.stdout, result.stderr


def changed(*arguments: str) -> list[str]:
    """The keys that a command says it changed: exactly those differ from the copy."""
    before = PATH.read_bytes()
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    result = json.loads(out)["output"]
    assert result["file"] == str(PATH)
    assert Path(result["backup"]).read_bytes() == before
    told: list[str] = result["changed"]
    return told


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PATH.read_bytes())
    assert found["unknown"] == {"x": [1]}
    assert found["launcher"]["apps"][0]["launcher_mode"] == "internal"
    return found


def app(name: str) -> dict[str, Any]:
    apps: list[dict[str, Any]] = document()["launcher"]["apps"]
    return next(each for each in apps if each["name"] == name)


def test_settings_change_and_nothing_else() -> None:
    before = document()
    told = changed("--log-level", "WARN", "--public-autoconn", "false", "--set-minhop", "3")
    assert told == ["transport.public_autoconnect", "routing.min_hops", "log_level"]
    after = document()
    assert after.pop("log_level") == "warn"
    assert after["routing"].pop("min_hops") == 3
    assert after["transport"].pop("public_autoconnect") is False
    before.pop("log_level")
    before["routing"].pop("min_hops")
    before["transport"].pop("public_autoconnect")
    assert after == before
    assert PATH.read_bytes().startswith(b'{\n  "version"')
    assert PATH.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", [[], ["--set-minhop", "0"], ["hv", "-+", ""]])
def test_nothing_is_written_when_nothing_differs(arguments: list[str]) -> None:
    before = PATH.stat().st_mtime_ns
    code, out, _ = run(*arguments)
    if code == 0:
        assert out == "Nothing to change.\n"
    assert PATH.stat().st_mtime_ns == before
    assert list(Path().iterdir()) == [PATH]


def test_hypervisors_are_added_and_removed() -> None:
    assert changed("hv", "--add-pks", f"{OTHER},{THIRD}") == ["hypervisors"]
    assert document()["hypervisors"][-2:] == [str(OTHER), str(THIRD)]
    assert changed("hv", "-r", "-+", str(OTHER)) == ["hypervisors"]
    assert document()["hypervisors"] == [str(OTHER)]


def test_the_apps_change() -> None:
    assert changed("sc", "-+", str(OTHER)) == ["launcher.apps"]
    assert app("skysocks-client")["args"][4:] == ["--srv", str(OTHER)]
    changed("ss", "-s", "open")
    assert app("skysocks")["args"] == ["app", "skysocks", "--passcode", "open"]
    changed("vpnc", "-x", "true", "--add-server", str(OTHER), "-s", "open")
    assert app("vpn-client")["args"][4:] == [
        "--killswitch=true",
        "--srv",
        str(OTHER),
        "--passcode",
        "open",
    ]
    changed("vpnc", "-x", "false")
    assert app("vpn-client")["args"][4] == "--killswitch=false"
    changed("vpns", "-s", "open", "--secure", "true", "--autostart", "false", "--netifc", "eth0")
    assert app("vpn-server")["auto_start"] is False
    assert app("vpn-server")["args"][2:] == [
        "--passcode",
        "open",
        "--netifc",
        "eth0",
        "--secure=true",
    ]


def test_a_reset_app_keeps_its_name() -> None:
    changed("vpnc", "--add-server", str(OTHER))
    changed("vpnc", "-r")
    assert app("vpn-client")["args"] == ["app", "vpn-client", "--dns", "1.1.1.1"]


@pytest.mark.parametrize("apps", [None, [], [{"name": "mine", "port": 77}]])
def test_an_app_that_is_not_there_is_added(apps: list[Any] | None) -> None:
    PATH.write_text(json.dumps({"sk": SK.hex(), "launcher": {"apps": apps}}))
    assert run("ss", "-s", "open")[0] == 0
    written = json.loads(PATH.read_bytes())["launcher"]["apps"]
    assert written[:-1] == (apps or [])
    assert written[-1]["name"] == "skysocks"
    assert "open" in written[-1]["args"]


def test_services_are_brought_up_to_date() -> None:
    known = deployment()
    assert changed("-a") == ["stun_servers"]
    assert document()["stun_servers"] == list(known.stun_servers)
    config = ConfigFile.load(PATH).config
    assert config.launcher.apps
    assert config.dmsg.sessions_count == 2
    assert len(config.routing.route_setup_nodes) == 3
    changed("-t")
    moved = ConfigFile.load(PATH).config
    assert moved.dmsg.discovery == deployment(TEST).dmsg_discovery
    assert moved.transport.discovery == deployment(TEST).transport_discovery
    assert moved.launcher.apps == config.launcher.apps


def test_services_on_dmsg_stay_on_dmsg() -> None:
    PATH.write_bytes((ROOT / "config" / "go_gen_dmsg.json").read_bytes())
    run("-a")
    config = ConfigFile.load(PATH).config
    assert config.transport.discovery == deployment().transport_discovery_dmsg
    assert config.transport.discovery_dmsg == ""


def test_a_private_deployment_has_to_be_named() -> None:
    PATH.write_text(json.dumps({"sk": SK.hex(), "dmsg": {"discovery": "http://d.example"}}))
    code, _, err = run("-a")
    assert code == 2
    assert 'dmsg.discovery: "http://d.example" is no deployment' in err
    code, _, err = run("-a", "-b", "http://127.0.0.1:1")
    assert (code, "no config service answered" in err) == (1, True)


def test_another_file_may_be_written() -> None:
    before = PATH.read_bytes()
    assert run("--log-level", "debug", "-o", "new.json")[0] == 0
    assert PATH.read_bytes() == before
    assert json.loads(Path("new.json").read_text()) == document() | {"log_level": "debug"}
    Path("other.json").write_bytes(before)
    assert run("-i", "other.json", "hv")[0] == 2
    assert run("hv", "-r", "-i", "other.json")[0] == 0
    assert json.loads(Path("other.json").read_text())["hypervisors"] == []


def test_the_file_of_a_user_is_found() -> None:
    code, _, err = run("-u", "--log-level", "debug")
    assert code == 2
    assert "home/skywire-config.json" in err
    Path("home").mkdir()
    Path("home/skywire-config.json").write_bytes(GO_FILE)
    assert run("-u", "--log-level", "debug")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hv"], "nothing to do"),
        (["sc"], "nothing to do"),
        (["ss"], "nothing to do"),
        (["vpnc"], "nothing to do"),
        (["vpns"], "nothing to do"),
        (["hv", "-+", "02ab"], "66 hexadecimal"),
        (["vpns", "--secure", "perhaps"], "perhaps"),
        (["--set-minhop", "-1"], "-1"),
        (["--log-level", "loud"], "loud"),
        (["-i", "none.json", "--log-level", "debug"], "config file not found: none.json"),
        (["-p", "-u", "--log-level", "debug"], "exclude"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_changes_nothing(arguments: list[str], expected: str) -> None:
    before = PATH.read_bytes()
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert PATH.read_bytes() == before
    assert list(Path().iterdir()) == [PATH]


def test_a_broken_file_is_not_touched() -> None:
    PATH.write_text('{"sk": 7')
    code, _, err = run("--log-level", "debug")
    assert (code, "not valid JSON" in err) == (2, True)
    assert PATH.read_text() == '{"sk": 7'


def test_no_copy_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = PATH.read_bytes()
    Path(f"{PATH}.bak").mkdir()
    code, _, err = run("--log-level", "debug")
    assert (code, "cannot write" in err) == (1, True)
    assert PATH.read_bytes() == before


def test_the_services_are_written_for_later() -> None:
    code, out, _ = run("svc", "-p", "s.json", "--known")
    assert (code, out) == (0, "Services: s.json\n")
    text = Path("s.json").read_bytes()
    for name in ("prod", TEST):
        assert parse_services(text, "s.json", name, Deployment()) == deployment(name)
