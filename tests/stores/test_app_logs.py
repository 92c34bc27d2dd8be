"""The apps' log file: bounded, robust, in order."""

from pathlib import Path

import pytest

from skywire.errors import Unavailable
from skywire.stores import app_logs
from skywire.stores.app_logs import AppLogStore, Line


def lines(count: int, app: str = "a", begin: int = 1) -> list[Line]:
    return [Line(app, at, f"line {at}\n") for at in range(begin, begin + count)]


def test_lines_come_back_in_order_and_apart(tmp_path: Path) -> None:
    store = AppLogStore(tmp_path / "deep" / "logs.db")
    store.add([*lines(3)[::-1], *lines(2, "b")])
    assert store.since("a", 0, 10, 1000) == lines(3)
    assert store.since("a", 1, 10, 1000) == lines(3)[1:]
    assert store.since("a", 3, 10, 1000) == []
    assert store.since("a", 0, 2, 1000) == lines(2)
    assert store.since("a", 0, 10, 14) == lines(2)  # characters
    assert store.since("b", 0, 10, 1000) == lines(2, "b")
    assert (tmp_path / "deep" / "logs.db").stat().st_mode & 0o777 == 0o600
    store.close()
    store.close()
    assert store.since("a", 0, 10, 1000) == lines(3)  # it opens again
    store.close()


def test_only_the_newest_lines_of_each_app_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_logs, "KEPT_LINES", 3)
    store = AppLogStore(tmp_path / "logs.db")
    store.add(lines(2, "b"))
    store.add(lines(10))
    assert store.since("a", 0, 10, 1000) == lines(3, begin=8)
    assert store.since("b", 0, 10, 1000) == lines(2, "b")
    store.close()


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "logs.db").write_bytes(b"this is no database, but long enough to be read " * 50)
    store = AppLogStore(tmp_path / "logs.db")
    store.add(lines(1))
    assert store.since("a", 0, 10, 1000) == lines(1)
    assert (tmp_path / "logs.db.broken").read_bytes().startswith(b"this is no database")
    store.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = AppLogStore(tmp_path / "file" / "logs.db")
    with pytest.raises(Unavailable, match="the apps' log"):
        store.add(lines(1))
