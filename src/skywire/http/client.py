"""Fetch a `dmsg://` URL: redirects, retries, progress. Source: dmsg.md §13, cli.md §A4."""

import asyncio
import logging
from typing import NamedTuple, Protocol

import aiohttp
from yarl import URL

from skywire.errors import Conflict, InvalidValue, RemoteProtocolError, SkywireError, Unavailable
from skywire.http.over_stream import DIAL_TIMEOUT, Dial, DmsgConnector
from skywire.wire.dmsg_url import DmsgUrl, redirected

log = logging.getLogger(__name__)

MAX_REDIRECTS = 10
STALL_TIMEOUT = 60.0  # seconds without a byte of the answer
CHUNK = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEEPS_METHOD = frozenset({307, 308})


class Answer(NamedTuple):
    status: int
    reason: str
    url: DmsgUrl  # after redirects
    size: int  # bytes of the body


class Sink(Protocol):
    """Takes the body."""

    def begin(self, status: int, total: int | None) -> None:
        """A body of `total` bytes (None: unknown) follows, from its first byte: also on a retry.

        Raises Conflict, which is not retried, when it cannot start over.
        """
        ...

    def feed(self, data: bytes) -> None: ...


class _Memory:
    """A Sink for small bodies."""

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit

    def begin(self, status: int, total: int | None) -> None:
        self.body.clear()
        if total is not None:
            self._check(total)

    def feed(self, data: bytes) -> None:
        self.body += data
        self._check(len(self.body))

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Conflict(f"the answer is larger than {self._limit} bytes")


async def get(dial: Dial, url: DmsgUrl, *, limit: int) -> tuple[int, bytes]:
    """Status and body of one GET over dmsg. Raises as `fetch`; the caller sets the deadline."""
    memory = _Memory(limit)
    async with dmsg_session(dial, keep_alive=False) as session:
        answer = await fetch(session, url, memory)
    return answer.status, bytes(memory.body)


def dmsg_session(dial: Dial, *, keep_alive: bool = True) -> aiohttp.ClientSession:
    """A session for `dmsg://` URLs; cookies are not kept, connecting and silence are bounded."""
    return aiohttp.ClientSession(
        connector=DmsgConnector(dial, keep_alive=keep_alive),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=2 * DIAL_TIMEOUT, sock_read=STALL_TIMEOUT
        ),
    )


async def fetch(
    session: aiohttp.ClientSession,
    url: DmsgUrl,
    sink: Sink,
    *,
    data: bytes | None = None,
    agent: str = "skywire",
    tries: int = 1,
    wait: float = 0.0,
) -> Answer:
    """GET `url`, or POST `data` to it; the body goes to `sink`, whatever the status.

    What fails for a passing reason is tried again after `wait` seconds, `tries` times in all (0:
    without end). Raises InvalidValue, Conflict (by `sink`), Unavailable (the last attempt failed).
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return await _follow(session, url, sink, data, agent)
        except (InvalidValue, Conflict):
            raise
        except (aiohttp.ClientError, SkywireError, TimeoutError) as error:
            why = str(error) or f"no answer within {STALL_TIMEOUT:.0f} s"
            if attempt == tries:
                tried = f" (tried {tries} times)" if tries > 1 else ""
                raise Unavailable(f"{url}: {why}{tried}") from error
            log.info("fetch failed, trying again url=%s attempt=%d error=%s", url, attempt, why)
        await asyncio.sleep(wait)


async def _follow(
    session: aiohttp.ClientSession, url: DmsgUrl, sink: Sink, data: bytes | None, agent: str
) -> Answer:
    for _ in range(MAX_REDIRECTS + 1):
        headers = {"User-Agent": agent}
        if data is not None:
            headers["Content-Type"] = "text/plain"
        async with session.request(
            "GET" if data is None else "POST",
            URL(str(url)),
            data=data,
            headers=headers,
            allow_redirects=False,
        ) as response:
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                sink.begin(response.status, response.content_length)
                size = 0
                async for piece in response.content.iter_chunked(CHUNK):
                    sink.feed(piece)
                    size += len(piece)
                return Answer(response.status, response.reason or "", url, size)
            if response.status not in KEEPS_METHOD:
                data = None
            url = redirected(url, location)
    raise RemoteProtocolError(f"{url}: more than {MAX_REDIRECTS} redirects")
