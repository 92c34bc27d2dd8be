"""`GET /api/events`: the fleet as it changes, as server-sent events. Ours.

    retry: 2000

    id: 1f2e3d4c-17
    event: hello                first, on every connection
    data: {"time": "2026-11-24T17:50:00.000Z", "whole": true, "visors": 3}

    event: visor                a row that is new or has changed; after a `whole` hello: every row
    data: {the row as in /api/visors-summary, with "summary_age" and "stale"}

    event: ready                all rows up to here have been sent
    data: {"time": …}

    event: gone                 a visor that was removed
    data: {"local_pk": "02ab…"}

    event: beat                 nothing happened for 15 s
    data: {"time": …}

An `id` stands on the last event of a batch. A browser that connects again sends it as
`Last-Event-ID` and gets what it missed (`whole` false), or everything when that is not known any
more: then rows that do not come are gone. A row that changes often is sent four times a second at
most. Who reads too slowly gets fewer, newer rows; who does not read at all is cut off.
"""

import asyncio
import zlib
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from time import time
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.hypervisor.answers import lasting, packer, takes_gzip
from skywire.hypervisor.changes import Changes
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.guard import SESSION
from skywire.hypervisor.visors import Visors

BEAT = 15.0  # seconds without news until a sign of life
PAUSE = 0.25  # seconds at least between two batches
WRITE_LIMIT = 10.0  # seconds a reader may take for a batch
BATCH = 64  # rows written at once
RETRY = 2000  # milliseconds after which a browser connects again
HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}

routes = web.RouteTableDef()


@routes.get("/api/events")
@lasting
async def events(request: web.Request) -> web.StreamResponse:
    """Until the reader goes away, its session ends, or the hypervisor stops."""
    context, session = request.app[CONTEXT], request.get(SESSION)
    response = web.StreamResponse(headers=HEADERS)
    pack = packer() if takes_gzip(request) else None
    if pack is not None:
        response.headers["Content-Encoding"] = "gzip"
    follower = _Follower(response, context.visors, pack)
    with context.followers.one() as end, context.visors.watched(), ExitStack() as stack:
        if session is not None:
            stack.enter_context(context.sessions.tied(session, end))
        await response.prepare(request)
        with suppress(ConnectionError, TimeoutError):  # the reader is gone, or does not read
            async with asyncio.timeout(None if session is None else session.expires - time()):
                await follower.run(request.headers.get("Last-Event-ID", ""))
    return response


class _Follower:
    def __init__(
        self, response: web.StreamResponse, visors: Visors, pack: "zlib._Compress | None"
    ) -> None:
        self._response = response
        self._pack = pack
        self._visors = visors
        self._changes: Changes = visors.changes

    async def run(self, last_id: str) -> None:
        number = self._parse(last_id)
        news = self._changes.since(number)
        hello = {"time": now(), "whole": news.whole, "visors": len(self._visors)}
        await self._write([f"retry: {RETRY}\n\n".encode(), event("hello", hello)])
        await self._tell(news.changed, news.gone)
        await self._write([event("ready", {"time": now()}, self._id(news.number))])
        while True:
            number = news.number
            try:
                async with asyncio.timeout(BEAT):
                    await self._changes.wait(number)
            except TimeoutError:
                await self._write([event("beat", {"time": now()}, self._id(number))])
                continue
            await asyncio.sleep(PAUSE)
            news = self._changes.since(number)
            await self._tell(news.changed, news.gone)
            await self._write([f"id: {self._id(news.number)}\n\n".encode()])

    def _id(self, number: int) -> str:
        return f"{self._changes.run}-{number}"

    def _parse(self, last_id: str) -> int | None:
        run, _, number = last_id.partition("-")
        if run != self._changes.run or not (number.isascii() and number.isdecimal()):
            return None
        return int(number[:18])

    async def _tell(self, changed: list[PubKey], gone: list[PubKey]) -> None:
        lines = [event("gone", {"local_pk": str(pk)}) for pk in gone]
        for pk in changed:
            if (row := self._visors.row_json(pk)) is not None:
                lines.append(event("visor", row))
            if len(lines) >= BATCH:
                await self._write(lines)
                lines = []
        await self._write(lines)

    async def _write(self, parts: Iterable[bytes]) -> None:
        if data := b"".join(parts):
            if self._pack is not None:
                data = self._pack.compress(data) + self._pack.flush(zlib.Z_SYNC_FLUSH)
            async with asyncio.timeout(WRITE_LIMIT):
                await self._response.write(data)


def event(name: str, data: Any, id: str = "") -> bytes:
    """JSON has no line break in it: one `data` line holds it."""
    head = f"id: {id}\nevent: {name}\n" if id else f"event: {name}\n"
    return head.encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
