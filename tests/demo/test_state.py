"""The state directory: temporary or kept, locked while a demo runs, found by `demo break`."""

import stat
import tempfile
from pathlib import Path

import pytest

from skywire.demo.state import DemoInfo, PartInfo, StateDirectory, find_running
from skywire.errors import Conflict, InvalidValue, NotFound, Unavailable

INFO = DemoInfo(
    url="http://127.0.0.1:1/",
    user="admin",
    password="",
    state_dir="",
    parts=[
        PartInfo(name="node-a", what="node", pid=1, address="", public_key="", log=""),
    ],
)


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def test_a_temporary_directory_goes_at_the_end() -> None:
    with StateDirectory(None) as state:
        state.directory("node-a").joinpath("log.txt").write_text("x")
        assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert not state.path.exists()


def test_a_named_directory_stays_with_its_keys(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "demo") as state:
        first = state.keys(["a", "b"])
        state.publish(INFO)
    assert not (tmp_path / "demo" / "demo.json").exists()
    with StateDirectory(tmp_path / "demo") as state:
        again = state.keys(["b", "c"])
        assert stat.S_IMODE((state.path / "keys.json").stat().st_mode) == 0o600
    with StateDirectory(tmp_path / "demo") as state:
        third = state.keys(["a", "c"])
    assert again["b"] == first["b"] == (first["b"][1].public(), first["b"][1])
    assert third == {"a": first["a"], "c": again["c"]}


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"a": 5}', b'{"a": "\xff"}'])
def test_spoiled_keys_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(raw)
    with (
        StateDirectory(tmp_path) as state,
        pytest.raises(InvalidValue, match=r"keys\.json.*remove"),
    ):
        state.keys(["a"])


def test_one_demo_at_a_time_in_a_directory(tmp_path: Path) -> None:
    with (
        StateDirectory(tmp_path),
        pytest.raises(Conflict, match="a demo is running in"),
        StateDirectory(tmp_path),
    ):
        pass
    with StateDirectory(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Unavailable, match=r"cannot use the state directory .*file"),
        StateDirectory(tmp_path / "file" / "below"),
    ):
        pass


def test_the_only_temporary_demo_is_found() -> None:
    with StateDirectory(None) as state:
        state.publish(INFO)
        assert find_running(None) == INFO
        assert find_running(state.path) == INFO
    with pytest.raises(NotFound, match="no demo is running"):
        find_running(None)


def test_of_several_demos_one_must_be_named() -> None:
    with StateDirectory(None) as one, StateDirectory(None) as two:
        one.publish(INFO)
        with pytest.raises(Conflict, match="--state-dir"):
            find_running(None)
        with pytest.raises(NotFound, match="still starting"):
            find_running(two.path)
        assert find_running(one.path) == INFO


def test_what_a_killed_demo_left_is_not_running(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "demo.json").write_text("{}")
    with pytest.raises(NotFound, match="no demo is running in"):
        find_running(tmp_path)


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    assert INFO.part("node-a").pid == 1
    with pytest.raises(NotFound, match='no part "node-z"; it has node-a'):
        INFO.part("node-z")
