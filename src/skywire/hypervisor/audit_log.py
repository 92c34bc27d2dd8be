"""Writes down who changed what, without keeping anybody waiting for the disk."""

import asyncio
import logging
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from skywire.errors import SkywireError
from skywire.http.app import go_time, readable
from skywire.stores.audit import AuditStore, Entry, Wanted
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

MAX_WAITING = 10_000  # entries that are not on the disk yet
MAX_TEXT = 500  # characters of an error, or of one text among the details
MAX_DETAILS = 4_000  # characters of JSON
MAX_PARTS = 100  # of a list or object that is written down
CLOSE_LIMIT = 3.0  # seconds
HIDDEN = "***"

_SECRET = re.compile(r"pass|secret|token|(^|[^a-z])sk$", re.IGNORECASE)


class AuditLog:
    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._waiting: list[Entry] = []
        self._tasks = Tasks("audit log")
        self._writing: asyncio.Task[Any] | None = None

    def record(self, entry: Entry) -> None:
        """Returns at once. An entry that cannot be stored is tried again with the next one."""
        if len(self._waiting) >= MAX_WAITING:
            log.error("audit entry lost action=%s visor=%s", entry.action, entry.visor)
            return
        self._waiting.append(entry)
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.spawn(self._write(), "write")

    async def _write(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            try:
                await self._store.add(batch)
            except SkywireError as error:
                log.error("audit log not written entries=%d reason=%s", len(batch), error)
                self._waiting = [*batch, *self._waiting][:MAX_WAITING]
                return

    async def find(self, wanted: Wanted) -> list[Entry]:
        """What has been recorded by now. Raises Unavailable."""
        await self._flush()
        return await self._store.find(wanted)

    async def _flush(self) -> None:
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def close(self) -> None:
        """What is recorded gets to the disk, when that answers in time."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=CLOSE_LIMIT)
        await self._tasks.close()


def details_text(details: Any) -> str:
    """JSON for the log: without secrets, and not too long."""
    text = msgspec.json.encode(_shown(details)).decode()
    return text if len(text) <= MAX_DETAILS else msgspec.json.encode({"cut": True}).decode()


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value[:MAX_TEXT])
    if isinstance(value, dict):
        parts = list(value.items())[:MAX_PARTS]
        return {
            readable(str(key)[:MAX_TEXT]): HIDDEN if _SECRET.search(str(key)) else _shown(part)
            for key, part in parts
        }
    if isinstance(value, list):
        return [_shown(part) for part in value[:MAX_PARTS]]
    return value


def to_json(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "time": go_time(datetime.fromtimestamp(entry.time, UTC)),
        "user": entry.user,
        "from": entry.origin,
        "action": entry.action,
        "visor": entry.visor or None,
        "details": msgspec.Raw(entry.details.encode()),
        "status": entry.status,
        "ok": entry.status < 400,
        "error": entry.error,
        "duration_ms": round(entry.seconds * 1000, 1),
    }
