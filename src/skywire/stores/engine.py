"""One interface to SQLite and PostgreSQL, for statements that both understand.

Parameters are written `?`. Tables and columns are those of schema.sql, from version 2 on.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from skywire.errors import InvalidValue
from skywire.stores.sqlite import Database, Parameters


class Engine(Protocol):
    """`read` and `change` raise Unavailable when the database does not do its part."""

    async def read(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """All rows."""
        ...

    async def change(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Run and commit one statement; the rows of its RETURNING clause."""
        ...

    def mark(self) -> object:
        """Equal to an earlier mark: nothing was written since. None: cannot be told."""
        ...

    async def close(self) -> None:
        """Idempotent."""
        ...


class SqliteEngine:
    """Owns `database`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def read(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        return self.database.read(sql, parameters)

    async def change(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        return await self.database.write(lambda c: c.execute(sql, parameters).fetchall())

    def mark(self) -> object:
        return self.database.mark()

    async def close(self) -> None:
        await self.database.close()


_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', re.DOTALL)


def array(items: Sequence[str]) -> str:
    """PostgreSQL's text of a TEXT[]; SQLite keeps it as it is."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"


def items(text: str | None) -> tuple[str, ...]:
    """What `array` made, or PostgreSQL, which quotes only where it must."""
    return tuple(
        re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) if match[2] is None else match[2]
        for match in _ITEM.finditer(text or "")
    )


def without_password(url: str) -> str:
    """`url` as errors may show it. Raises InvalidValue, which does not show it, for no URL."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    except ValueError as error:
        raise InvalidValue(f"the store's URL is none: {error}") from error
