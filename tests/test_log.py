"""Log lines: one per event, whatever a peer puts into a value."""

import logging
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
