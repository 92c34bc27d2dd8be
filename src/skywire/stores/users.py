"""Where a hypervisor keeps its accounts: a small SQLite file. Source: hypervisor.md §3.

The reference keeps them in a bbolt file; nothing but the hypervisor itself reads either.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from skywire.errors import Conflict, Unavailable

BUSY_LIMIT = 5.0  # seconds to wait for another process that writes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    scheme TEXT NOT NULL
) WITHOUT ROWID
"""
_Result = TypeVar("_Result")


class StoredUser(NamedTuple):
    name: str
    salt: bytes
    hash: bytes
    scheme: str  # how `hash` was made, with its parameters


class UserStore:
    """The accounts in the file `path`, made with mode 0600 on the first write.

    Every method raises Unavailable, naming the file, when it cannot be read or written. Each call
    opens the file anew: calls are rare, and the file may be replaced under a running program.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._turn = asyncio.Lock()

    async def get(self, name: str) -> StoredUser | None:
        return await self._run(lambda database: _get(database, name), create=False)

    async def is_empty(self) -> bool:
        return not await self._run(_count, create=False)

    async def add(self, user: StoredUser) -> None:
        """Raises Conflict when the name is taken."""
        await self._run(lambda database: _add(database, user), create=True)

    async def replace(self, user: StoredUser) -> None:
        """Store `user`, whether the name exists or not."""
        await self._run(
            lambda database: database.execute("REPLACE INTO users VALUES (?, ?, ?, ?)", user),
            create=True,
        )

    async def _run(
        self, work: Callable[[sqlite3.Connection], _Result], *, create: bool
    ) -> _Result | None:
        """`work` in a thread; None without running it when there is no file and none is wanted."""
        async with self._turn:
            return await asyncio.to_thread(self._work, work, create)

    def _work(self, work: Callable[[sqlite3.Connection], _Result], create: bool) -> _Result | None:
        if not create and not self.path.exists():
            return None
        with self._open() as database:
            return work(database)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self.path, timeout=BUSY_LIMIT)) as database, database:
                database.execute(_SCHEMA)
                yield database
        except FileNotFoundError as error:
            raise Unavailable(
                f"account database {self.path}: no such directory; correct hypervisor.db_path"
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(
                f"account database {self.path}: {getattr(error, 'strerror', None) or error}; "
                "check the file and the space on its disk"
            ) from error


def _get(database: sqlite3.Connection, name: str) -> StoredUser | None:
    row = database.execute(
        "SELECT name, salt, hash, scheme FROM users WHERE name = ?", (name,)
    ).fetchone()
    return StoredUser(*row) if row else None


def _count(database: sqlite3.Connection) -> int:
    row = database.execute("SELECT count(*) FROM users").fetchone()
    return int(row[0])


def _add(database: sqlite3.Connection, user: StoredUser) -> None:
    added = database.execute("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?)", user).rowcount
    if not added:
        raise Conflict("username already exists")
