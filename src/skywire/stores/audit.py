"""Where a hypervisor writes down who changed what: a SQLite file beside its accounts. Ours.

Bounded: the oldest entries go. Those of people who were not logged in (tries to log in) have a
bound of their own, so that nobody can flush the log from outside.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from skywire.stores.local_file import LocalFile

MAX_ENTRIES = 100_000  # some 30 MB
MAX_OUTSIDE = 5_000  # of people who were not logged in
MAX_FOUND = 1_000  # given at once

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,      -- seconds since 1970
    user TEXT NOT NULL,
    origin TEXT NOT NULL,
    action TEXT NOT NULL,
    visor TEXT NOT NULL,     -- hexadecimal key, "" when it is about none
    details TEXT NOT NULL,   -- JSON
    status INTEGER NOT NULL, -- of HTTP
    error TEXT NOT NULL,
    seconds REAL NOT NULL,
    inside INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_visor ON audit (visor, id);
CREATE INDEX IF NOT EXISTS audit_inside ON audit (inside, id);
"""
_COLUMNS = "id, time, user, origin, action, visor, details, status, error, seconds, inside"


class Entry(NamedTuple):
    """`id` is 0 before it is stored; `inside`: by somebody who was allowed to."""

    id: int
    time: float
    user: str
    origin: str
    action: str
    visor: str
    details: str
    status: int
    error: str
    seconds: float
    inside: bool


class Wanted(NamedTuple):
    """Which entries; what is None or "" does not matter. `since` is seconds since 1970."""

    since: float | None = None
    before: int | None = None  # entries with lower ids
    visor: str = ""
    user: str = ""
    action: str = ""
    failed: bool | None = None
    limit: int = 100


class AuditStore:
    """Its methods raise Unavailable, naming the file, when it cannot be read or written."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = MAX_ENTRIES,
        max_outside: int = MAX_OUTSIDE,
    ) -> None:
        self._file = LocalFile(path, _SCHEMA, what="audit log", key="hypervisor.db_path")
        self._limits = {True: max_entries, False: max_outside}

    async def add(self, entries: Iterable[Entry]) -> None:
        """Store them, and drop the oldest beyond the limits."""
        rows = [entry[1:] for entry in entries]
        await self._file.write(lambda database: _add(database, rows, self._limits))

    async def find(self, wanted: Wanted) -> list[Entry]:
        """The newest first, `wanted.limit` of them and MAX_FOUND at most."""
        return await self._file.read(lambda database: _find(database, wanted)) or []


def _add(
    database: sqlite3.Connection, rows: Sequence[tuple[object, ...]], limits: dict[bool, int]
) -> None:
    marks = ", ".join("?" * 10)
    columns = _COLUMNS.removeprefix("id, ")
    database.executemany(f"INSERT INTO audit ({columns}) VALUES ({marks})", rows)  # noqa: S608
    for inside, limit in limits.items():
        database.execute(
            "DELETE FROM audit WHERE inside = ? AND id <= "
            "(SELECT id FROM audit WHERE inside = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (inside, inside, limit),
        )


def _find(database: sqlite3.Connection, wanted: Wanted) -> list[Entry]:
    terms: list[tuple[str, object]] = []
    if wanted.since is not None:
        terms.append(("time >= ?", wanted.since))
    if wanted.before is not None:
        terms.append(("id < ?", wanted.before))
    exact = {"visor": wanted.visor, "user": wanted.user, "action": wanted.action}
    terms += [(f"{column} = ?", value) for column, value in exact.items() if value]
    if wanted.failed is not None:
        terms.append(("(status >= 400) = ?", wanted.failed))
    where = " AND ".join(["1", *(term for term, _ in terms)])
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608
        (*(value for _, value in terms), max(0, min(wanted.limit, MAX_FOUND))),
    ).fetchall()
    return [Entry._make((*row[:-1], bool(row[-1]))) for row in rows]
