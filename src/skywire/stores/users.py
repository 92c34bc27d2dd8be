"""Where a hypervisor keeps its accounts: a small SQLite file. Source: hypervisor.md §3.

The reference keeps them in a bbolt file; nothing but the hypervisor itself reads either.
"""

import os
import sqlite3
from typing import NamedTuple

from skywire.errors import Conflict
from skywire.stores.local_file import LocalFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    scheme TEXT NOT NULL
) WITHOUT ROWID
"""


class StoredUser(NamedTuple):
    name: str
    salt: bytes
    hash: bytes
    scheme: str  # how `hash` was made, with its parameters


class UserStore:
    """The accounts in the file `path`.

    Every method raises Unavailable, naming the file, when it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = LocalFile(path, _SCHEMA, what="account database", key="hypervisor.db_path")
        self.path = self._file.path

    async def get(self, name: str) -> StoredUser | None:
        return await self._file.read(lambda database: _get(database, name))

    async def is_empty(self) -> bool:
        return not await self._file.read(_count)

    async def add(self, user: StoredUser) -> None:
        """Raises Conflict when the name is taken."""
        await self._file.write(lambda database: _add(database, user))

    async def replace(self, user: StoredUser) -> None:
        """Store `user`, whether the name exists or not."""
        await self._file.write(
            lambda database: database.execute("REPLACE INTO users VALUES (?, ?, ?, ?)", user)
        )


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
