"""What a hypervisor remembers of its visors: a SQLite file beside its accounts. Ours.

The last row of each, labels, and a ring of samples of one day. The page can do without all of it,
labels excepted: a file that is no database is put aside as `<name>.broken`.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable
from skywire.stores.local_file import LocalFile

log = logging.getLogger(__name__)

STEP = 300  # seconds of one sample
SLOTS = 288  # samples kept of each visor: 24 hours

_SCHEMA = """
CREATE TABLE IF NOT EXISTS visors (
    pk BLOB PRIMARY KEY,
    row BLOB NOT NULL,    -- JSON of the last summary; empty: there was none
    row_time REAL,        -- seconds since 1970, as all times here
    last_seen REAL,
    offline_since REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
    pk BLOB NOT NULL,
    slot INTEGER NOT NULL,
    number INTEGER NOT NULL, -- time / STEP; the slot is its remainder
    polls INTEGER NOT NULL,
    load REAL, mem REAL, disk REAL,
    received INTEGER NOT NULL, sent INTEGER NOT NULL,
    PRIMARY KEY (pk, slot)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    label TEXT NOT NULL
) WITHOUT ROWID;
"""
_Result = TypeVar("_Result")


class SavedVisor(NamedTuple):
    pk: PubKey
    row: bytes
    row_time: float | None
    last_seen: float | None
    offline_since: float | None


class Sample(NamedTuple):
    """What was seen of a visor in the STEP seconds that begin at `number` * STEP.

    Load and per cent are means of the polls, None when unknown; bytes are those of the interval.
    """

    pk: PubKey
    number: int
    polls: int
    load: float | None
    mem: float | None
    disk: float | None
    received: int
    sent: int


class Label(NamedTuple):
    """`id` is what the label is for: a key or the id of a transport; `kind` says which."""

    id: str
    kind: str
    label: str


class FleetStore:
    """Its methods raise Unavailable, naming the file, when it cannot be read or written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = LocalFile(path, _SCHEMA, what="fleet database", key="hypervisor.db_path")

    async def visors(self) -> list[SavedVisor]:
        """Those it can read; the first call of a run, so it is here that the file is mended."""
        try:
            rows = await self._read(
                "SELECT pk, row, row_time, last_seen, offline_since FROM visors ORDER BY pk"
            )
        except Unavailable as error:
            if not _is_broken(error.__cause__):
                raise
            aside = self._file.path.with_name(self._file.path.name + ".broken")
            self._file.path.replace(aside)
            log.warning("fleet database was broken, kept as file=%s error=%s", aside, error)
            rows = []
        found = []
        for pk, row, *times in rows:
            try:
                found.append(SavedVisor(PubKey.validated(pk), bytes(row), *times))
            except (InvalidValue, TypeError):
                log.warning("fleet database: a row without a key is passed over")
        return found

    async def save(self, visors: Sequence[SavedVisor], samples: Sequence[Sample]) -> None:
        """Replace the rows of `visors`; add `samples` to what there is of their interval."""

        def work(database: sqlite3.Connection) -> None:
            database.executemany("REPLACE INTO visors VALUES (?, ?, ?, ?, ?)", visors)
            for one in samples:
                pk, slot = one.pk, one.number % SLOTS
                database.execute(
                    "DELETE FROM samples WHERE pk = ? AND slot = ? AND number != ?",
                    (pk, slot, one.number),
                )
                database.execute(_ADD_SAMPLE, (pk, slot, *one[1:]))

        await self._file.write(work)

    async def forget(self, keys: Iterable[PubKey]) -> None:
        """Rows and samples of these visors."""
        gone = [(key,) for key in keys]

        def work(database: sqlite3.Connection) -> None:
            database.executemany("DELETE FROM visors WHERE pk = ?", gone)
            database.executemany("DELETE FROM samples WHERE pk = ?", gone)

        await self._file.write(work)

    async def samples(self, keys: Sequence[PubKey], since: int) -> list[Sample]:
        """Of these visors, from the interval with this number on, oldest first."""

        def work(database: sqlite3.Connection) -> list[Sample]:
            found = []
            for key in keys:
                rows = database.execute(
                    "SELECT number, polls, load, mem, disk, received, sent FROM samples "
                    "WHERE pk = ? AND number >= ? ORDER BY number",
                    (key, since),
                )
                found += [Sample(key, *row) for row in rows]
            return found

        return await self._file.read(work) or []

    async def labels(self) -> list[Label]:
        return [Label(*row) for row in await self._read("SELECT id, kind, label FROM labels")]

    async def set_label(self, label: Label) -> None:
        """An empty one is deleted."""
        if label.label:
            sql, parameters = "REPLACE INTO labels VALUES (?, ?, ?)", tuple(label)
        else:
            sql, parameters = "DELETE FROM labels WHERE id = ?", (label.id,)
        await self._file.write(lambda database: database.execute(sql, parameters) and None)

    async def _read(self, sql: str) -> list[tuple[Any, ...]]:
        work: Callable[[sqlite3.Connection], list[tuple[Any, ...]]]
        work = lambda database: database.execute(sql).fetchall()  # noqa: E731
        return await self._file.read(work) or []


_ADD_SAMPLE = """
INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (pk, slot) DO UPDATE SET
    load = coalesce((load * polls + excluded.load * excluded.polls) / (polls + excluded.polls),
        excluded.load, load),
    mem = coalesce((mem * polls + excluded.mem * excluded.polls) / (polls + excluded.polls),
        excluded.mem, mem),
    disk = coalesce((disk * polls + excluded.disk * excluded.polls) / (polls + excluded.polls),
        excluded.disk, disk),
    received = received + excluded.received,
    sent = sent + excluded.sent,
    polls = polls + excluded.polls
"""


def _is_broken(error: BaseException | None) -> bool:
    """Not merely busy, full or forbidden."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    )
