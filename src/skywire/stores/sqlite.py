"""SQLite: one reader on the event loop, one writer in a thread of its own.

A point read takes about 10 µs, less than a hop to a thread, so reads run where they are called.
A write may wait for the disk: it runs in the writer thread, on a second connection, and write-ahead
logging lets reads go on meanwhile. `:memory:` has no disk and one connection for both.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, Self, TypeVar

from skywire.errors import Unavailable

MEMORY = ":memory:"
BUSY_TIMEOUT = 5.0  # seconds to wait for another process that writes

T = TypeVar("T")
Parameters = Sequence[str | bytes | int | float | None]


class Database:
    def __init__(self, path: str) -> None:
        """Opens or creates the file and brings its tables up to date.

        Raises Unavailable, naming the file, when it cannot be opened or written.
        """
        self.path = path
        self._thread: ThreadPoolExecutor | None = None
        try:
            self._writer = self._connect()
            try:
                _migrate(self._writer, path)
                self._reader = self._writer if path == MEMORY else self._connect()
            except (sqlite3.Error, Unavailable):
                self._writer.close()
                raise
        except sqlite3.Error as error:
            folder = Path(path).parent
            raise Unavailable(
                f"database {path} cannot be opened for writing: {error}; "
                f"check that {folder} exists, is writable and has free space"
            ) from error
        if path != MEMORY:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite writer")

    def _connect(self) -> sqlite3.Connection:
        # Autocommit: transactions are begun by hand. Used by one thread at a time.
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # In WAL mode a power cut may cost the last transactions, never the file.
            connection.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def read(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """All rows. Raises Unavailable."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"database {self.path}: {error}") from error

    def mark(self) -> tuple[int, int]:
        """Equal to an earlier mark: nobody wrote to the file since. Raises Unavailable."""
        ((version,),) = self.read("PRAGMA data_version")
        return version, self._reader.total_changes

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction and return what it returns; any exception undoes it.

        Raises Unavailable for errors of the database. A cancelled caller does not stop it.
        """
        if self._thread is None:
            return self._transact(work)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            with self._writer:
                return work(self._writer)
        except sqlite3.Error as error:
            raise Unavailable(f"database {self.path}: {error}") from error

    async def close(self) -> None:
        """Waits for writes under way. Idempotent."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        self._reader.close()
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    """Run the sections of schema.sql that the file has not seen. Always writes, as a test.

    Raises Unavailable for a file of a later release.
    """
    text = resources.files("skywire.stores").joinpath("schema.sql").read_text()
    sections = re.split(r"^-- version (\d+).*$", text, flags=re.MULTILINE)[1:]
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        newest = 0
        for number, section in zip(map(int, sections[::2]), sections[1::2], strict=True):
            if number > version:
                for statement in section.split(";\n"):
                    connection.execute(statement.replace("BIGSERIAL", "INTEGER"))
                version = number
            newest = number
        if version > newest:
            raise Unavailable(
                f"database {path} has version {version}, this release knows {newest}: "
                "use a later release, or another file"
            )
        connection.execute(f"PRAGMA user_version = {version}")
