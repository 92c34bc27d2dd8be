"""Log lines: one per event, whatever a peer puts into a value."""

import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from skywire import log
from skywire.errors import InvalidValue


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_has_time_level_place_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    logging.getLogger("skywire.dmsg.server").info("session up remote=%s", "02ab")
    logging.getLogger("skywire.dmsg.server").debug("not shown")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    dmsg\.server session up remote=02ab\n",
        captured.err,
    )


def test_a_value_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    logging.getLogger("x").warning("refused reason=%s", "bad\n2026 INFO all is well\x1b[2J")
    (line,) = capsys.readouterr().err.splitlines()
    assert r"bad\n2026 INFO all is well\x1b[2J" in line
    logging.getLogger("x").warning("refused reason=%s", "\x9b2J \u2028 \u202e \x85 Zoë")
    (line,) = capsys.readouterr().err.splitlines()
    assert r"\x9b2J \u2028 \u202e \x85 Zoë" in line


def test_a_traceback_follows_indented(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    try:
        raise ValueError("oh")
    except ValueError:
        logging.getLogger("x").exception("broken")
    first, *rest = capsys.readouterr().err.splitlines()
    assert "ERROR" in first
    assert rest[-1] == "    ValueError: oh"
    assert all(line.startswith("    ") for line in rest)


def test_a_log_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    log.setup("debug", file)
    logging.getLogger("x").debug("hello")
    assert "hello" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_set_up_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.setup("error")
    logging.getLogger("x").warning("quiet")
    logging.getLogger("x").error("loud")
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("level", sorted(log.LEVELS))
def test_every_level_of_go_is_known(level: str) -> None:
    log.setup(level.upper())


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidValue, match='invalid log level "loud": expected one of trace'):
        log.setup("loud")


def test_a_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot write the log file"):
        log.setup("info", tmp_path / "missing" / "log.txt")


def test_libraries_do_not_chatter(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("debug")
    logging.getLogger("asyncio").debug("Using selector")
    logging.getLogger("aiohttp.access").info("GET /")
    assert capsys.readouterr().err == ""


def test_a_stored_log_is_private_and_rotates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "ROTATE_SIZE", 2000)
    file = tmp_path / "log" / "skywire.log"
    log.setup("info", store=file, tag="mine")
    for number in range(50):
        logging.getLogger("skywire.x").info("event number=%d text=%s", number, "y" * 40)
    assert len(capsys.readouterr().err.splitlines()) == 50  # on stderr, too
    old = file.with_name("skywire.log.1")
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, old.name]
    assert file.stat().st_size <= 2000
    assert "INFO    mine.x event number=49" in file.read_text()
    for path in (file, old):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.utime(old, (0, 0))
    log.setup("info", store=file)
    assert not old.exists()  # it was older than a day


def test_a_full_disk_costs_the_stored_log_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "skywire.log"
    file.symlink_to("/dev/full")
    log.setup("info", store=file)
    for _ in range(3):
        logging.getLogger("x").info("hello")
    lines = capsys.readouterr().err.splitlines()
    assert sum("hello" in line for line in lines) == 3
    assert [line for line in lines if "hello" not in line] == [
        f"log file {file} not written: No space left on device"
    ]


def test_a_log_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValue, match="cannot write the log file"):
        log.setup("info", store=tmp_path / "file" / "skywire.log")


def test_levels_are_coloured_on_demand_only(capsys: pytest.CaptureFixture[str]) -> None:
    for color, shown in ((True, "\x1b[33mWARNING\x1b[0m"), (None, " WARNING ")):
        log.setup(color=color)
        logging.getLogger("x").warning("look")
        assert shown in capsys.readouterr().err
