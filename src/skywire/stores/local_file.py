"""A small SQLite file that belongs to one program on this machine.

Each call opens it anew, in a thread: calls are rare, and the file may be replaced under a running
program. It is made with mode 0600 on the first write.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from skywire.errors import Unavailable

BUSY_LIMIT = 5.0  # seconds to wait for another process that writes
_Result = TypeVar("_Result")


class LocalFile:
    """`what` names it in errors, `key` is where the config has its place."""

    def __init__(self, path: str | os.PathLike[str], schema: str, *, what: str, key: str) -> None:
        self.path = Path(path)
        self._schema = schema
        self._what = what
        self._key = key
        self._turn = asyncio.Lock()

    async def read(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """What `work` returns; None, without running it, when there is no file yet.

        Raises Unavailable, naming the file, when it cannot be read.
        """
        return await self._run(work, create=False)

    async def write(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """The same in a transaction, which any exception undoes; there is a file afterwards."""
        result: _Result = await self._run(work, create=True)  # type: ignore[assignment]
        return result

    async def _run(
        self, work: Callable[[sqlite3.Connection], _Result], *, create: bool
    ) -> _Result | None:
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
                database.executescript(self._schema)
                yield database
        except FileNotFoundError as error:
            raise Unavailable(
                f"{self._what} {self.path}: no such directory; correct {self._key}"
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(
                f"{self._what} {self.path}: {getattr(error, 'strerror', None) or error}; "
                "check the file and the space on its disk"
            ) from error
