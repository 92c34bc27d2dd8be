"""What apps have printed, in one SQLite file: the newest lines of each. Source: apps.md §4.

Not the files of the reference (`<app>_log.db`, in a format of its own): both may share a directory.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from skywire.errors import Unavailable

KEPT_LINES = 5000  # of each app; with lines of 4 KiB at most 20 MB
BUSY_TIMEOUT = 2.0  # seconds


class Line(NamedTuple):
    """`at` is Unix time in ns and unique in its app."""

    app: str
    at: int
    text: str


class AppLogStore:
    """Opens its file at the first use; calls block and belong into a thread.

    A file that is no database is put aside as `<name>.broken`. All methods raise Unavailable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def add(self, lines: Sequence[Line]) -> None:
        """Of one app or several; what is then too old is deleted."""
        connection = self._open()
        try:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO lines VALUES (?, ?, ?)", lines)
                for app in {line.app for line in lines}:
                    connection.execute(
                        "DELETE FROM lines WHERE app = ?1 AND at <= (SELECT at FROM lines "
                        "WHERE app = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)",
                        (app, KEPT_LINES),
                    )
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def since(self, app: str, at: int, limit: int, max_size: int) -> list[Line]:
        """The lines behind `at`, oldest first: at most `limit`, and `max_size` characters."""
        found: list[Line] = []
        try:
            rows = self._open().execute(
                "SELECT app, at, text FROM lines WHERE app = ? AND at > ? ORDER BY at LIMIT ?",
                (app, at, limit),
            )
            with closing(rows):
                for row in rows:
                    line = Line(*row)
                    max_size -= len(line.text)
                    if max_size < 0:
                        break
                    found.append(line)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return found

    def close(self) -> None:
        """Idempotent."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (sqlite3.OperationalError, OSError) as error:
                raise self._unavailable(error) from error
            except sqlite3.DatabaseError as error:
                self._connection = self._anew(error)
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")  # a power cut may cost the newest lines
            connection.execute(
                "CREATE TABLE IF NOT EXISTS lines (app TEXT NOT NULL, at INTEGER NOT NULL, "
                "text TEXT NOT NULL, PRIMARY KEY (app, at)) WITHOUT ROWID"
            )
            self._path.chmod(0o600)
        except (sqlite3.Error, OSError):
            connection.close()
            raise
        return connection

    def _anew(self, error: sqlite3.Error) -> sqlite3.Connection:
        try:
            self._path.replace(self._path.with_name(self._path.name + ".broken"))
            return self._connect()
        except (sqlite3.Error, OSError):
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the apps' log {self._path}: {error}")
