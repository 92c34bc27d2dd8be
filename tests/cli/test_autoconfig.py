"""`skywire autoconfig`, and the key over HTTP."""

import json
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from skywire.cli.autoconfig import autoconfig
from skywire.config.load import ConfigFile
from skywire.crypto.generate import key_pair
from skywire.errors import InvalidValue
from tests.cli.test_dmsg_pty import running

ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


def run(path: Path, *words: str) -> None:
    arguments = ["-u", "-o", str(path), *words]
    CliRunner().invoke(autoconfig, arguments, standalone_mode=False, catch_exceptions=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SKYENV", raising=False)
    return tmp_path


def test_key_and_hypervisors_stay_and_the_choices_of_the_file_count(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "skywire-config.json"
    run(path)
    first = ConfigFile.load(path).config
    hypervisor = str(key_pair()[0])
    env = home / "skywire.conf"
    env.write_text(f"REWARDSKYADDR='{ADDRESS}'\nHYPERVISORPKS=('{hypervisor}')\nMINDMSGSESS=3\n")
    monkeypatch.setenv("SKYENV", str(env))
    run(path)
    second = ConfigFile.load(path).config
    assert (second.sk, second.dmsg.sessions_count) == (first.sk, 3)
    assert [str(pk) for pk in second.hypervisors] == [hypervisor]
    assert (Path(second.local_path) / "reward.txt").read_text().strip() == ADDRESS
    env.write_text("MINDMSGSESS=4\n")
    run(path)
    third = ConfigFile.load(path).config
    assert (third.dmsg.sessions_count, third.hypervisors) == (4, second.hypervisors)


@pytest.mark.parametrize("line", ["REWARDSKYADDR='x'", "REWARDSKYADDR=('a' 'b')"])
def test_an_address_that_is_none_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    (home / "env").write_text(line)
    monkeypatch.setenv("SKYENV", str(home / "env"))
    with pytest.raises(InvalidValue):
        run(home / "skywire-config.json")
    assert [one.name for one in home.iterdir()] == ["env"]


async def test_the_key_is_told_over_http(tmp_path: Path) -> None:
    pk, sk = key_pair()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"pk": str(pk), "sk": sk.hex()}))
    async with running("cli", "visor", "pk", "-i", str(config), "-w", "-x", "0") as facts:
        url = f"http://127.0.0.1:{facts['port']}/"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert await answer.text() == f"{pk}\n"
