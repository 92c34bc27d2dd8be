"""Bytes per transport and day, as CSV files. Source: transport.md §6.2.

`YYYY-MM-DD.csv` (UTC), header `tp_id,recv,sent,time_stamp`: payload bytes of the day and the time
of their last change. A row stays when its transport ends; a restart goes on with the day's file.
"""

import asyncio
import csv
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from skywire.transport.link import Link

log = logging.getLogger(__name__)

HEADER = ("tp_id", "recv", "sent", "time_stamp")
WRITE_INTERVAL = 3.0  # seconds between two writes of a day's file
KEEP_TIME = 168 * 3600.0  # seconds; the reference's rotation interval
SWEEP_INTERVAL = 5 * 3600.0  # seconds
MAX_ROWS = 100_000  # read from a file that is there already

_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.csv")


class Row(NamedTuple):
    received: int
    sent: int
    changed: int  # Unix time in s


class TrafficLog:
    """`directory` is made when it is missing. `clock` is Unix time in seconds."""

    def __init__(
        self,
        directory: Path,
        *,
        keep: float = KEEP_TIME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self.keep = keep  # seconds
        self._clock = clock
        self._day = ""
        self._rows: dict[uuid.UUID, Row] = {}
        self._seen: dict[Link, tuple[int, int]] = {}  # counted already: received, sent
        self._swept = 0.0
        self._dirty = False

    async def run(self, links: Mapping[uuid.UUID, Link]) -> None:
        """Write down the traffic of `links` until cancelled."""
        try:
            while True:
                await asyncio.sleep(WRITE_INTERVAL)
                self.count(links)
                await asyncio.to_thread(self.write)
        finally:
            self.count(links)
            self.write()

    def count(self, links: Mapping[uuid.UUID, Link]) -> None:
        """Take up what has passed since the last call; today's."""
        now = self._clock()
        for link in list(links.values()):
            self._count(link, now)
        for link in [link for link in self._seen if not link.is_up]:
            self._count(link, now)
            del self._seen[link]

    def _count(self, link: Link, now: float) -> None:
        received, sent = link.payload_received, link.payload_sent
        seen = self._seen.get(link, (0, 0))
        if (received, sent) == seen:
            return
        self._turn_day(now)
        old = self._rows.get(link.id, Row(0, 0, 0))
        self._rows[link.id] = Row(
            old.received + received - seen[0], old.sent + sent - seen[1], int(now)
        )
        self._seen[link] = (received, sent)
        self._dirty = True

    def _turn_day(self, now: float) -> None:
        day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        if day != self._day:
            if self._day:
                self.write()
            self._day = day
            self._rows = read_rows(self._directory / f"{day}.csv")

    def write(self) -> None:
        """Replace the day's file, when something has changed; remove those that are old."""
        try:
            if self._dirty:
                self._dirty = False
                self._directory.mkdir(parents=True, exist_ok=True)
                path = self._directory / f"{self._day}.csv"
                part = path.with_suffix(".part")
                with part.open("w", newline="") as file:
                    table = csv.writer(file, lineterminator="\n")
                    table.writerow(HEADER)
                    for id, row in list(self._rows.items()):
                        table.writerow((id, *row))
                os.replace(part, path)
            self._sweep()
        except OSError as error:
            log.warning("traffic log not written path=%s error=%s", self._directory, error)

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept < SWEEP_INTERVAL or not self._directory.is_dir():
            return
        self._swept = now
        for path in self._directory.iterdir():
            if _NAME.fullmatch(path.name) and path.stat().st_mtime < now - self.keep:
                path.unlink()
                log.info("old traffic log removed name=%s", path.name)


def read_rows(path: Path) -> dict[uuid.UUID, Row]:
    """The rows of a day's file, those that make sense; none when there is no such file."""
    rows: dict[uuid.UUID, Row] = {}
    try:
        with path.open(newline="") as file:
            for line in csv.DictReader(file):
                if len(rows) >= MAX_ROWS:
                    break
                try:
                    rows[uuid.UUID(line["tp_id"])] = Row(
                        int(line["recv"]), int(line["sent"]), int(line["time_stamp"])
                    )
                except (KeyError, TypeError, ValueError):
                    continue
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning("traffic log not read path=%s error=%s", path, error)
    return rows
