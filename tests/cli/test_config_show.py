"""`skywire cli config check|show|parse|pk|identity|priv`."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.testing.vectors import ROOT

PK, SK, _ = deterministic_key_pair(b"config")
PATH = Path("skywire-config.json")
GO_FILE = (ROOT / "config" / "go_gen.json").read_bytes()
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PATH.write_bytes(GO_FILE)
    PATH.chmod(0o600)


def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    result = CliRunner().invoke(root, ["cli", "config", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_a_good_config_is_told_so() -> None:
    code, out, err = run("check")
    assert (code, out) == (0, f"Valid config of {PK}\n")
    assert err.startswith("Warning: hypervisor.enable_auth")
    code, out, err = run("check", "--json")
    assert json.loads(out)["output"]["pk"] == str(PK)
    assert len(json.loads(out)["output"]["warnings"]) == 1
    assert err == ""
    assert run("check", str(PATH))[1] == run("check", "-", stdin=GO_FILE)[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not valid JSON"),
        ('{"prod": 1}', "no config of a visor"),
        ('{"dmsg": {"sessions_count": "two"}}', 'dmsg.sessions_count: "two" is not accepted'),
        ('{"sk": "TOPSECRET"}', "config has invalid secret key"),
    ],
)
def test_what_is_wrong_is_told(text: str, expected: str) -> None:
    code, out, err = run("check", "-", stdin=text.encode())
    assert (code, out) == (2, "")
    assert f"standard input: {expected}" in err
    assert "TOPSECRET" not in err
    assert run("check", "none.json")[0] == 2


def test_the_file_is_shown_without_secrets() -> None:
    code, out, _ = run("show")
    assert (code, json.loads(out)["pk"], json.loads(out)["sk"]) == (0, str(PK), "(hidden)")
    assert SK.hex() not in out
    assert "ab" * 64 not in out
    assert SK.hex() in run("show", "--secrets")[1]
    assert json.loads(run("show", "--json")[1])["output"]["sk"] == "(hidden)"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".dmsg.sessions_count", "2"),
        ("dmsg.discovery", "http://dmsgd.skywire.skycoin.com"),
        (".launcher.apps[1].name", "skychat"),
        (".skywire-tcp.listening_address", ":7777"),
        (".log_level", '""'),
        (".is_public", "false"),
        (".persistent_transports", "null"),
        (".sk", "(hidden)"),
    ],
)
def test_a_part_is_shown(path: str, expected: str) -> None:
    assert run("show", path)[:2] == (0, f"{expected}\n")


@pytest.mark.parametrize("path", [".dmsg.nothing", ".launcher.apps[99]", ".log_level.x"])
def test_a_part_that_is_not_there_is_told(path: str) -> None:
    code, out, err = run("show", path)
    assert (code, out) == (1, "")
    assert "in the config" in err


def test_the_name_of_the_file_is_shown() -> None:
    assert run("show", "--path")[1] == f"{PATH}\n"
    assert run("show", "--path", "-p")[1] == "/opt/skywire/skywire.json\n"


def test_a_config_is_printed_as_it_is_understood() -> None:
    code, out, _ = run("parse", "-", stdin=b"{}")
    document = json.loads(out)
    assert code == 0
    assert document["transport"]["discovery"] == "http://tpd.skywire.skycoin.com"
    assert document["pty"]["persistent_sessions"] is False
    assert document["sk"] == "(hidden)"
    assert ConfigFile(run("parse", "--secrets")[1], "out").config == ConfigFile.load(PATH).config


def test_the_public_key_is_printed() -> None:
    assert run("pk")[:2] == (0, f"{PK}\n")
    PATH.write_text("{}")
    code, _, err = run("pk")
    assert (code, "no sk" in err) == (1, True)
    assert run("check-pk", str(PK))[0] == 0
    assert len(run("gen-keys")[1].splitlines()) == 2


def test_an_identity_moves_to_another_config() -> None:
    code, out, _ = run("identity", "export", "-f", "id.json")
    assert (code, SK.hex() in out) == (0, False)
    assert stat.S_IMODE(Path("id.json").stat().st_mode) == 0o600
    assert json.loads(Path("id.json").read_text()) == {"pk": str(PK), "sk": SK.hex()}
    public, secret = key_pair()
    Path("other.json").write_text(json.dumps({"sk": secret.hex(), "unknown": 1, "dmsg": {}}))
    assert run("identity", "import", "id.json", "-i", "other.json")[0] == 0
    file = ConfigFile.load("other.json")
    assert (file.config.pk, file.document["unknown"]) == (PK, 1)
    assert ConfigFile.load("other.json.bak").config.pk == public
    code, _, err = run("identity", "export", "-f", "id.json")
    assert (code, "exists" in err) == (1, True)


def test_an_identity_is_read_in_each_form() -> None:
    public, secret = key_pair()
    forms = [f"{public}\n{secret.hex()}\n", secret.hex(), json.dumps({"sk": secret.hex()})]
    for text in forms:
        PATH.write_bytes(GO_FILE)
        assert run("identity", "import", "-", stdin=text.encode())[0] == 0
        assert ConfigFile.load(PATH).config.pk == public
    PATH.write_bytes(GO_FILE)
    Path("config.json").write_bytes(GO_FILE.replace(SK.hex().encode(), secret.hex().encode()))
    assert run("identity", "import", "config.json")[0] == 0
    assert ConfigFile.load(PATH).config.pk == public


@pytest.mark.parametrize("text", ["", "{}", "x" * 64, "0" * 64, f"{'1' * 64} {'2' * 64}"])
def test_what_is_no_identity_changes_nothing(text: str) -> None:
    code, _, err = run("identity", "import", "-", stdin=text.encode())
    assert code == 2
    assert "secret key" in err
    assert PATH.read_bytes() == GO_FILE
    assert run("identity", "import", "none")[0] == 2


def test_what_a_visor_tells_of_itself() -> None:
    assert run("priv", "get")[0] == 0
    assert run("priv", "set", ADDRESS, "--publicip", "true")[0] == 0
    told = json.loads(run("priv", "get", "--json")[1])["output"]
    assert told == {"display_node_ip": True, "reward_address": ADDRESS}
    assert Path("local/reward.txt").read_text().strip() == ADDRESS
    assert run("priv", "set")[0] == 2
    assert run("priv", "set", "nonsense")[0] == 2


@pytest.mark.parametrize(
    "words", [["check"], ["show"], ["parse"], ["pk"], ["update"], ["identity", "export"]]
)
def test_a_file_that_is_not_there_is_told(words: list[str]) -> None:
    PATH.unlink()
    code, _, err = run(*words)
    assert (code, "config file not found" in err) == (2, True)
