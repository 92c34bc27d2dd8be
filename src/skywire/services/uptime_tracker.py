"""The uptime tracker: how long visors were up, by day. Source: services.md §6.

    tracker = UptimeTracker(store, nonces)
    async with running(tracker.app()) as runner, asyncio.TaskGroup() as tasks:
        await listen(runner, "", 9096, what="uptime tracker")
        tasks.create_task(tracker.run())

`PrivateApi(tracker)` tells which visors are at which address: it is for the operator only.

Ours differs on purpose: what is listed is at most a second old instead of five minutes, and a
list of several keys is never an error.
"""

import asyncio
import html
import logging
import re
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from skywire.config.load import write_private
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, SkywireError, Unavailable
from skywire.http.auth import Authentication, json_line
from skywire.http.over_stream import remote_pk
from skywire.services.base import (
    Common,
    OnDmsg,
    client_ip,
    is_public,
    parse_ip,
    plain_errors,
    service_app,
)
from skywire.services.service_discovery import FindGeo, no_geo
from skywire.services.uptimes import FULL_DAY, Uptimes, shown, visors_of
from skywire.stores.contracts import DailyUptime, NonceStore, UptimeStore
from skywire.stores.times import day_of
from skywire.streams.supervise import Backoff, keep_running
from skywire.wire.service import Geo

log = logging.getLogger(__name__)

PREFIX = "uptime-tracker"  # of the nonces
CUTOFF = 7  # days that are kept in the store before today
YEAR = 366  # days that are kept there when there is no folder for them
UPKEEP = 300.0  # seconds between two rounds
PER_MINUTE = 5  # lists that one client may ask for
MINUTE = 60.0  # seconds
MAX_CLIENTS = 10_000  # whose requests are counted
MAX_LOOKUPS = 100  # addresses asked of the geo service in one round
MAX_LENGTH = 366  # days of the dashboard
ALL_MONTHS = "all"
Handler = Callable[[web.Request], Awaitable[web.Response]]


class UptimeTracker:
    """The rules, on stores which stay their owner's. `find_geo` may raise SkywireError.

    Days older than `cutoff` are moved to `archive`/<day>-uptime-data.json.
    """

    def __init__(
        self,
        store: UptimeStore,
        nonces: NonceStore,
        common: Common | None = None,
        *,
        find_geo: FindGeo = no_geo,
        archive: Path | None = None,
        cutoff: int = CUTOFF,
    ) -> None:
        self._store = store
        self._common = common or Common()
        self._auth = Authentication(nonces)
        self._find_geo = find_geo
        self._archive = archive
        self._cutoff = cutoff if archive is not None else max(cutoff, YEAR)
        self._uptimes = Uptimes(store, self._common.clock)
        self._limiter = Limiter(PER_MINUTE, self._common.clock)
        self._geo: dict[str, Geo | None] = {}  # of the addresses of visors that are online
        self._online = 0  # at the last round
        self._common.metrics.gauge(
            "uptime_tracker_online", "Visors that are online.", lambda: self._online
        )

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        limited = self._limited
        routes = [
            web.get("/v4/update", self._auth.signed(self._update), allow_head=False),
            *(web.get(f"{old}/update", _removed) for old in ("", "/v2", "/v3")),
            web.get("/uptimes", limited(self._uptimes.listing), allow_head=False),
            web.get("/uptime/{pk}", self._one, allow_head=False),
            web.get("/visors", limited(self._visors), allow_head=False),
            web.get("/dashboard", self._dashboard, allow_head=False),
            self._auth.route(),
        ]
        return service_app(
            "uptime_tracker", self._common.metrics, routes, health=on_dmsg or OnDmsg()
        )

    async def run(self) -> None:
        """Move old days away and look where visors are, until cancelled."""

        async def once() -> None:
            await self.put_away()
            await self.look_up()

        await keep_running(once, "uptime tracker upkeep", backoff=Backoff(UPKEEP, UPKEEP))

    async def put_away(self) -> None:
        """Raises Unavailable: then the day stays in the store."""
        first = day_of(self._common.clock(), less=self._cutoff)
        while (day := await self._store.oldest()) and day < first:
            if self._archive is not None:
                rows = [row._asdict() for row in await self._store.days(day, day)]
                await asyncio.to_thread(_write, self._archive / f"{day}-uptime-data.json", rows)
            count = await self._store.forget(day)
            log.info("day put away day=%s visors=%d folder=%s", day, count, self._archive)

    async def look_up(self) -> None:
        """Ask where the visors are that are online, a few at a time."""
        online = [row for row in await self._uptimes.rows() if self._uptimes.is_online(row)]
        self._online = len(online)
        addresses = dict.fromkeys(row.last_ip for row in online if row.last_ip)
        known = {ip: self._geo[ip] for ip in addresses if ip in self._geo}
        for text in [ip for ip in addresses if ip not in known][:MAX_LOOKUPS]:
            ip = parse_ip(text)
            try:
                known[text] = await self._find_geo(ip) if ip else None
            except (SkywireError, TimeoutError) as error:
                log.warning("no geo data ip=%s error=%s", text, error)
        self._geo = known

    async def _update(self, request: web.Request, caller: PubKey) -> web.Response:
        ip = client_ip(request, trust_proxy=self._common.trust_proxy)
        public = is_public(ip, allow_loopback=self._common.allow_loopback)
        version = request.query.get("version", "")
        await self._uptimes.credit(caller, version, str(ip) if public else "")
        return web.Response()

    async def _one(self, request: web.Request) -> web.Response:
        try:
            key = PubKey.parse(request.match_info["pk"]).hex()
        except InvalidValue as error:
            return plain_errors(500, str(error))
        rows = [row for row in await self._uptimes.rows() if row.key == key]
        for visor in visors_of(rows, self._uptimes.is_online):
            return json_line(shown(visor, request.query.get("v", "")))
        return plain_errors(500, f"nothing is known of visor {key}")

    async def _visors(self, _: web.Request) -> web.Response:
        rows = await self._uptimes.rows()
        found = [self._geo.get(row.last_ip) for row in rows if self._uptimes.is_online(row)]
        return json_line([{"lat": geo.lat, "lon": geo.lon} for geo in found if geo])

    async def _dashboard(self, request: web.Request) -> web.Response:
        text = request.query.get("length", "")
        if text and not (text.isdecimal() and 0 < int(text[:9]) <= MAX_LENGTH):
            raise InvalidValue(f'length "{text[:20]}": expected a number up to {MAX_LENGTH}')
        now = self._common.clock()
        length = int(text or CUTOFF)
        rows = await self._store.days(day_of(now, less=length - 1), day_of(now))
        return web.Response(text=_chart(rows), content_type="text/html")

    async def addresses(self, month: str) -> dict[str, dict[str, Any]]:
        """Which visors were at which address in "all" months or "YYYY:M". Raises InvalidValue."""
        begin, end = _month(month)
        found: dict[str, set[str]] = defaultdict(set)
        for row in await self._store.days(begin, end):
            for ip in filter(None, row.ips.split(",")):
                found[ip].add(row.key)
        return {
            ip: {"count": len(found[ip]), "public_keys": sorted(found[ip])} for ip in sorted(found)
        }

    def _limited(self, handler: Handler) -> Handler:
        async def limited(request: web.Request) -> web.Response:
            pk = remote_pk(request)
            ip = client_ip(request, trust_proxy=self._common.trust_proxy)
            headers, free = self._limiter.ask(str(pk or ip))
            if free:
                answer = await handler(request)
            else:
                answer = web.Response(status=429, text="Too Many Requests\n")
            answer.headers.update(headers)
            return answer

        return limited


class PrivateApi:
    """For the operator's own programs, such as the node visualizer; never on dmsg."""

    def __init__(self, tracker: UptimeTracker, common: Common | None = None) -> None:
        self._tracker = tracker
        self._common = common or Common()

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        routes = [web.get("/visor-ips", self._addresses, allow_head=False)]
        return service_app(
            "uptime_tracker_private", self._common.metrics, routes, health=on_dmsg or OnDmsg()
        )

    async def _addresses(self, request: web.Request) -> web.Response:
        month = request.query.get("month", ALL_MONTHS)
        try:
            found = await self._tracker.addresses(month)
        except InvalidValue as error:
            return plain_errors(500, str(error))
        if not found:
            return plain_errors(500, f"no addresses are known for month {month}")
        return json_line(found)


class Limiter:
    """So many requests in a minute for each client."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._clients: dict[str, deque[float]] = {}

    def ask(self, client: str) -> tuple[dict[str, str], bool]:
        """Headers that tell how it stands, and whether this request may pass."""
        now = self._clock()
        times = self._clients.pop(client, None) or deque()
        while times and now - times[0] >= MINUTE:
            times.popleft()
        free = len(times) < self._limit
        if free:
            times.append(now)
        self._clients[client] = times  # the last one now
        if len(self._clients) > MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]
        end = times[0] + MINUTE
        headers = {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(self._limit - len(times)),
            "X-RateLimit-Reset": str(int(end)),
        }
        if not free:
            headers["Retry-After"] = str(max(1, int(end - now)))
        return headers, free


async def _removed(_: web.Request) -> web.Response:
    return web.Response(status=410)


def _month(text: str) -> tuple[str, str]:
    """First and last day of "all" or "YYYY:M"."""
    if text == ALL_MONTHS:
        return "0000-00-00", "9999-99-99"
    match = re.fullmatch(r"(\d{4}):(\d{1,2})", text)
    if match is None or not 1 <= int(match[2]) <= 12:
        raise InvalidValue(f'month "{text[:20]}": expected all, or such as 2026:6')
    month = f"{match[1]}-{int(match[2]):02}"
    return f"{month}-01", f"{month}-31"


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"cannot make {path.parent}: {error.strerror}") from error
    write_private(path, msgspec.json.encode(rows) + b"\n")


def _chart(rows: Sequence[DailyUptime]) -> str:
    """How many visors there were on each day, and how long they were up."""
    days: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        days[row.day].append(min(row.seconds, FULL_DAY))
    most = max(map(len, days.values()), default=1)
    lines = [
        f"<tr><th>{html.escape(day)}<td><meter max={most} value={len(seconds)}></meter>"
        f"<td>{len(seconds)}<td>{100 * sum(seconds) / FULL_DAY / len(seconds):.1f} %"
        for day, seconds in sorted(days.items())
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Uptime of visors</title>"
        "<h1>Uptime of visors</h1><table><tr><th>Day<th><th>Visors<th>Mean of the day"
        + "\n".join(lines)
        + "</table></html>\n"
    )
