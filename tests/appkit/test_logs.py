"""What apps log: when, how much, and when it cannot be kept."""

import asyncio
import logging
from pathlib import Path

import pytest

from skywire.appkit import logs as module
from skywire.appkit.logs import AppLogs, LogHandler, logs_of, rfc3339_nano
from skywire.errors import Unavailable
from skywire.stores.app_logs import AppLogStore
from skywire.testing.wait import eventually
from skywire.wire.gob_types import GoTime


def test_a_time_has_always_35_characters() -> None:
    assert rfc3339_nano(1_786_000_000_000_000_001) == "2026-08-06T07:06:40.000000001+00:00"
    assert len(rfc3339_nano(1_786_000_000_500_000_000)) == 35


async def test_lines_are_written_soon_and_found_before(tmp_path: Path) -> None:
    store = AppLogStore(tmp_path / "logs.db")
    async with AppLogs(store) as logs:
        logs.add("a", "INFO", "x\ny" + "z" * 5000)
        (line,) = await logs.since("a", GoTime(0))
        assert line.startswith("[20")
        assert line[37:].startswith(" INFO [a]: x yzz")
        assert len(line) < 4200
        logs.add("a", "INFO", "later")
        await eventually(lambda: not logs._waiting)
        logs.add("a", "INFO", "last")
    again = AppLogStore(tmp_path / "logs.db")
    assert len(again.since("a", 0, 10, 10_000)) == 3
    again.close()


async def test_a_flood_is_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AppLogs(AppLogStore(tmp_path / "logs.db")) as logs:
        for number in range(module.MAX_WAITING + 5):
            logs.add("a", "INFO", str(number))
        assert len(await logs.since("a", GoTime(0))) == module.MAX_WAITING
    assert "lines dropped=5" in caplog.text


async def test_a_full_disk_is_told_once_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    async with AppLogs(AppLogStore(tmp_path / "file" / "logs.db")) as logs:
        for number in range(3):
            logs.add("a", "INFO", str(number))
            await logs._flush()
        with pytest.raises(Unavailable):
            await logs.since("a", GoTime(0))
    assert caplog.text.count("what apps print is lost") == 1


async def test_what_an_app_inside_logs_is_its_own(tmp_path: Path) -> None:
    async with AppLogs(AppLogStore(tmp_path / "logs.db")) as logs:
        logger = logging.getLogger("tests.appkit.some_app")
        logger.setLevel(logging.INFO)
        handler = LogHandler(logs)
        logger.addHandler(handler)

        async def work() -> None:
            logger.info("from a task of app=%s", "a")

        with logs_of("a", logs):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(work())
        with logs_of("a", AppLogs(AppLogStore(tmp_path / "other.db"))):
            logger.info("of another visor")
        logger.info("from the visor")
        logger.removeHandler(handler)
        (line,) = await logs.since("a", GoTime(0))
        assert line.endswith("INFO [a]: from a task of app=a\n")
