"""Fetch a document over the first way that works, with a cache that never lies about its age.

    ways = [Way("rpc", "RPC DmsgHTTP", ask_visor), Way("http", "HTTP", get)]
    found = await fetch_cached(path, "http://tpd.example.org/uptimes", ways, parse, max_age=5)
    found.value, found.via, found.age

Source: update-2026-06-12.md 3087. A body that `parse` refuses counts as a failed way and is never
written: so a download that was cut cannot replace a whole one.
"""

import hashlib
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from skywire.config.load import write_private
from skywire.errors import InvalidValue, RemoteProtocolError, SkywireError, Unavailable

log = logging.getLogger(__name__)

CACHE = "cache"  # `via` of what was read from the file
MAX_BODY = 64 * 1024 * 1024  # bytes; some 250,000 transports
CLOCK_SLACK = 5.0  # seconds a file may seem to be from the future
MAX_NAME = 80  # characters of the URL that a file's name shows

T = TypeVar("T")


class Way(NamedTuple):
    """One step of the chain. `get` returns the body; it raises for any status that is not 2xx."""

    via: str  # the word in listings: "rpc", "dmsg", "http"
    prefix: str  # of its failure's text
    get: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """`age` is in seconds, None when the file's date is in the future; `stale` says that it is
    older than what was asked for, since nothing fresher could be had."""

    value: T
    url: str
    via: str
    age: float | None = 0.0
    stale: bool = False

    def source(self) -> dict[str, object]:
        """What `--json` shows beside the result; the keys are stable."""
        age = None if self.age is None else round(self.age, 1)
        return {"url": self.url, "via": self.via, "age_seconds": age, "stale": self.stale}

    def describe(self) -> str:
        """For a person, e.g. "http://tpd.example.org/uptimes, from the cache, 2 min old"."""
        if self.via != CACHE:
            return f"{self.url}, over {self.via}, fresh"
        return f"{self.url}, from the cache, {spoken(self.age)} old" + (
            ", STALE" if self.stale else ""
        )


class _Cached(NamedTuple):
    body: bytes
    age: float | None


def cache_directory() -> Path:
    """Below the directory for temporary files, and ours alone."""
    return Path(tempfile.gettempdir()) / f"skywire-cache-{os.getuid()}"


def cache_file(directory: Path | None, url: str) -> Path | None:
    """One file for each URL, below a folder for its host; None when caching is off."""
    if directory is None:
        return None
    parts = urlsplit(url)
    host = re.sub(r"[^A-Za-z0-9.-]+", "_", parts.netloc).lstrip(".") or "unknown"
    shown = re.sub(r"[^A-Za-z0-9]+", "-", f"{parts.path}-{parts.query}").strip("-")[:MAX_NAME]
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return directory / host[:MAX_NAME] / f"{shown or 'root'}.{digest}.json"


async def fetch_cached(
    path: Path | None,
    url: str,
    ways: Sequence[Way],
    parse: Callable[[bytes], T],
    *,
    max_age: float,
    clock: Callable[[], float] = time.time,
) -> Fetched[T]:
    """`max_age` is in minutes; 0 asks for fresh data or an error. `path` None: no cache at all.

    Raises Unavailable "all fetch paths failed" with each cause, or "all fetch methods disabled or
    unavailable" when `ways` is empty. A body is refused by `parse` with InvalidValue.
    """
    if max_age > 0 and (known := _read(path, clock())) is not None:
        fresh = known.age is not None and known.age <= max_age * 60
        if fresh and (value := _parsed(known.body, parse)) is not None:
            return Fetched(value[0], url, CACHE, known.age)
    try:
        body, value, via = await _first(ways, parse, url)
    except Unavailable as error:
        known = _read(path, clock()) if max_age > 0 else None
        old = _parsed(known.body, parse) if known is not None else None
        if known is None or old is None:
            raise
        log.warning(
            "fetch failed, serving stale cache age=%s file=%s cause=%s",
            spoken(known.age),
            path,
            error,
        )
        return Fetched(old[0], url, CACHE, known.age, stale=True)
    if path is not None:
        _write(path, body)
    return Fetched(value[0], url, via)


async def _first(
    ways: Sequence[Way], parse: Callable[[bytes], T], url: str
) -> tuple[bytes, tuple[T], str]:
    if not ways:
        raise Unavailable(f"all fetch methods disabled or unavailable for {url}")
    causes = []
    for way in ways:
        try:
            body = await way.get()
            value = parse(body)
        except (SkywireError, TimeoutError, OSError) as error:
            causes.append(f"{way.prefix}: {str(error) or 'no answer in time'}")
            log.debug("fetch path failed url=%s via=%s error=%s", url, way.via, error)
        else:
            return body, (value,), way.via
    raise Unavailable(f"all fetch paths failed for {url}: {'; '.join(causes)}")


def check_status(status: int, body: bytes) -> None:
    """Raises Unavailable for a status that is not 2xx, with the begin of what was said."""
    if not 200 <= status < 300:
        said = " ".join(body[:200].decode(errors="replace").split())
        raise Unavailable(f"status {status}" + (f": {said}" if said else ""))


def check_size(size: int) -> None:
    if size > MAX_BODY:
        raise RemoteProtocolError(f"the answer is larger than {MAX_BODY} bytes")


def spoken(age: float | None) -> str:
    """For people: "40 s", "2 min", "1.5 h", "3.0 days"."""
    if age is None:
        return "an unknown time"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min")):
        if age < limit:
            return f"{age / unit:.0f} {name}"
    return f"{age / 3600:.1f} h" if age < 129_600 else f"{age / 86400:.1f} days"


def _parsed(body: bytes, parse: Callable[[bytes], T]) -> tuple[T] | None:
    """A file that was damaged is as good as none."""
    try:
        return (parse(body),)
    except InvalidValue as error:
        log.debug("cached document not understood error=%s", error)
        return None


def _read(path: Path | None, now: float) -> _Cached | None:
    """None: there is no file, or one that somebody else may have put there."""
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            log.warning("cache file is not ours, ignored file=%s", path)
            return None
        if status.st_size > MAX_BODY:
            return None
        age = now - status.st_mtime
        try:
            return _Cached(file.read(MAX_BODY), max(0.0, age) if age > -CLOCK_SLACK else None)
        except OSError:
            return None


def _write(path: Path, body: bytes) -> None:
    """A cache that cannot be written costs time, not the result."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, body)
    except (OSError, Unavailable) as error:
        log.warning("cache not written error=%s", error)
