"""`skywire cli survey` prints what this machine would tell, and keeps nothing."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.testing.deployment import deployment

PUBLIC, SECRET, _ = deterministic_key_pair(b"surveyed")
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


def survey(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(root, ["cli", "survey", *words])
    return done.exit_code, done.stdout, done.stderr


async def test_the_survey_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "reward.txt").write_text(f"{ADDRESS}\n")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"sk": SECRET.hex(), "local_path": str(tmp_path / "local")}))
    async with deployment() as net:
        words = ("-c", str(path), "-D", net.url)
        code, out, err = await asyncio.to_thread(survey, *words)
        as_json = await asyncio.to_thread(survey, *words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert out.startswith('{\n\t"timestamp"')
    assert (found["public_key"], found["skycoin_address"]) == (str(PUBLIC), ADDRESS)
    assert found["ip_address"] == "127.0.0.1"
    assert found["dmsg_servers"] == [str(net.servers[0].public)]
    assert json.loads(as_json[1])["output"].keys() == found.keys()
    assert os.listdir(tmp_path / "local") == ["reward.txt"]
    assert SECRET.hex() not in out + err


def test_nobody_tells_our_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = survey("-D", "http://127.0.0.1:1", "--timeout", "0.3")
    assert (code, out) == (1, "")
    assert "no dmsg server told our address within 0.3 s" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [(["-p", "-u"], "name one config file"), (["-c", "missing.json"], "config file not found")],
)
def test_a_config_that_is_not_there_is_named(words: list[str], text: str) -> None:
    code, out, err = survey(*words)
    assert (code, out) == (2, "")
    assert text in err
