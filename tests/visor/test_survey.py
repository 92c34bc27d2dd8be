"""The survey: made with a reward address, told to a few, kept in a file."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.config.load import ConfigFile
from skywire.crypto.address import address_of
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.testing.wait import eventually
from skywire.visor import survey
from skywire.visor.modules import Modules, State
from skywire.visor.reward import RewardAddress
from skywire.visor.survey import EMPTY, Survey

PK, SK, _SEED = deterministic_key_pair(b"survey")
ADDRESS = address_of(PK)


class Dmsg:
    """What a survey asks a dmsg client for."""

    def __init__(self, address: str = "203.0.113.7") -> None:
        self.sessions = (PK,)
        self.asked = 0
        self._address = address

    async def look_up_ip(self) -> str:
        self.asked += 1
        if self.asked < 3:
            raise Unavailable("no session with a dmsg server yet")
        return self._address


@asynccontextmanager
async def surveyed(
    tmp_path: Path, dmsg: Any
) -> AsyncIterator[tuple[Survey, RewardAddress, Modules]]:
    file = ConfigFile(json.dumps({"sk": SK.hex(), "local_path": str(tmp_path)}), "test")
    reward = RewardAddress(str(tmp_path))
    made = Survey(lambda: file.config, dmsg, reward)
    modules = Modules("test")
    modules.start_all(made.modules())
    async with asyncio.timeout(10):
        await modules.settled()
    try:
        yield made, reward, modules
    finally:
        await modules.close()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "ADDRESS_PAUSE", 0.01)


async def test_without_an_address_nothing_is_told(tmp_path: Path) -> None:
    dmsg = Dmsg()
    async with surveyed(tmp_path, dmsg) as (made, _, modules):
        assert modules["survey"].state is State.RUNNING
        assert made.current is EMPTY
        assert dmsg.asked == 0
    assert not (tmp_path / "node-info.json").exists()


async def test_setting_an_address_is_the_consent(tmp_path: Path) -> None:
    dmsg = Dmsg()
    async with surveyed(tmp_path, dmsg) as (made, reward, _):
        reward.set(ADDRESS)
        await eventually(lambda: made.current is not EMPTY)
        assert dmsg.asked == 3  # it tries again
        told = made.current
        assert told["public_key"] == str(PK)
        assert told["skycoin_address"] == ADDRESS
        assert told["ip_address"] == "203.0.113.7"
        assert told["go_os"] == "linux"
        assert told["dmsg_servers"] == [str(PK)]
        assert told["services"]["route_setup_nodes"]  # of the public deployment
        assert SK.hex() not in json.dumps(told)
        path = tmp_path / "node-info.json"
        await eventually(path.exists)
        text = path.read_text()
        assert json.loads(text) == json.loads(json.dumps(told))
        assert text.splitlines()[1].startswith('\t"timestamp": ')
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reward.delete()
        await eventually(lambda: made.current is EMPTY)


async def test_a_bad_address_in_the_file_stops_it(tmp_path: Path) -> None:
    (tmp_path / "reward.txt").write_text("no address\n")
    async with surveyed(tmp_path, Dmsg()) as (made, reward, modules):
        assert modules["survey"].state is State.FAILED
        assert "reward.txt" in modules["survey"].reason
        assert made.current is EMPTY
        reward.set(ADDRESS)
        await eventually(lambda: modules["survey"].state is State.RUNNING)
        await eventually(lambda: made.current is not EMPTY)


async def test_what_cannot_be_stored_is_told_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "reward.txt").write_text(f"{ADDRESS}\n")
    (tmp_path / "node-info.json").mkdir()
    async with surveyed(tmp_path, Dmsg()) as (made, _, __):
        await eventually(lambda: "survey not stored" in caplog.text)
        assert made.current["skycoin_address"] == ADDRESS


async def test_an_address_nobody_tells_is_left_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "ADDRESS_TRIES", 2)
    (tmp_path / "reward.txt").write_text(ADDRESS)
    async with surveyed(tmp_path, Dmsg()) as (made, _, __):
        await eventually(lambda: made.current is not EMPTY)
        assert made.current["ip_address"] == ""


def test_keys_of_the_empty_survey_are_those_of_a_full_one() -> None:
    assert EMPTY["public_key"] == str(PubKey(bytes(33)))
