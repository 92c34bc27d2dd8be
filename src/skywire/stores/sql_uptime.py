"""The uptime of visors by day, on SQLite or PostgreSQL. Source: services.md §6.

The table is the reference's with one more column, `day`; rows that the reference wrote have none,
and their day is that of `created_at`.
"""

from datetime import UTC, datetime
from typing import Any

from skywire.crypto.keys import PubKey
from skywire.stores.contracts import DailyUptime
from skywire.stores.engine import Engine

TRACKER = "daily_uptime_histories"  # of the uptime tracker
DISCOVERY = "transport_uptime_histories"  # of the transport discovery
MAX_IPS = 1024  # characters of the addresses that are remembered of a day
_DAY = "COALESCE(day, substr(CAST(created_at AS TEXT), 1, 10))"


class SqlUptimeStore:
    """See `contracts.UptimeStore`. `table` is TRACKER or DISCOVERY."""

    def __init__(self, engine: Engine, table: str, *, shares: bool = False) -> None:
        self._engine = engine
        self._table = table
        self._shares = shares

    async def credit(self, key: PubKey, now: float, seconds: int, version: str, ip: str) -> None:
        moment = datetime.fromtimestamp(int(now), UTC)
        when = moment.isoformat(sep=" ")
        known = f"{self._table}.ips"
        await self._engine.change(
            f"INSERT INTO {self._table} (created_at, updated_at, pub_key, daily_online, version,"  # noqa: S608 - ours
            " ips, last_ip, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (pub_key, day) DO UPDATE SET updated_at = excluded.updated_at,"
            f" daily_online = {self._table}.daily_online + excluded.daily_online,"
            " version = excluded.version,"
            f" ips = CASE WHEN excluded.ips = '' OR length({known}) > {MAX_IPS}"
            f" OR replace(',' || {known} || ',', ',' || excluded.ips || ',', '')"
            f" <> ',' || {known} || ',' THEN {known}"
            f" WHEN {known} = '' THEN excluded.ips ELSE {known} || ',' || excluded.ips END,"
            f" last_ip = CASE WHEN excluded.last_ip = '' THEN {self._table}.last_ip"
            " ELSE excluded.last_ip END",
            (when, when, key.hex(), seconds, version, ip, ip, moment.date().isoformat()),
        )

    async def days(self, first: str, last: str) -> list[DailyUptime]:
        rows = await self._engine.read(
            f"SELECT pub_key, {_DAY}, daily_online, version, ips, last_ip,"  # noqa: S608 - ours
            f" CAST(updated_at AS TEXT) FROM {self._table}"
            f" WHERE {_DAY} >= ? AND {_DAY} <= ? ORDER BY pub_key, 2, updated_at",
            (first, last),
        )
        return [_row(row) for row in rows]

    async def oldest(self) -> str:
        ((day,),) = await self._engine.read(f"SELECT min({_DAY}) FROM {self._table}")  # noqa: S608
        return day or ""

    async def forget(self, day: str) -> int:
        sql = f"DELETE FROM {self._table} WHERE {_DAY} = ? RETURNING 1"  # noqa: S608 - ours
        return len(await self._engine.change(sql, (day,)))

    async def close(self) -> None:
        if not self._shares:
            await self._engine.close()


def _row(row: Any) -> DailyUptime:
    key, day, seconds, version, ips, last_ip, updated = row
    return DailyUptime(
        key or "", day or "", int(seconds or 0), version or "", ips or "", last_ip or "",
        _moment(updated),
    )  # fmt: skip


def _moment(text: str | None) -> float:
    """Unix time in seconds of what either database makes of a time."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
