"""The uptime of visors by day, on Redis. Source: services.md §6; the names are ours.

<service>:uptime-days            SET   of days, YYYY-MM-DD
<service>:uptime:<day>:seconds   HASH  public key, hex: seconds
<service>:uptime:<day>:last      HASH  public key, hex: JSON of version, addresses and time
"""

from typing import Any

import msgspec
from redis.asyncio import Redis

from skywire.crypto.keys import PubKey
from skywire.stores.contracts import DailyUptime
from skywire.stores.redis import as_bytes, translated
from skywire.stores.sql_uptime import MAX_IPS
from skywire.stores.times import day_of

TRACKER = "uptime-tracker"
DISCOVERY = "transport-discovery"


class _Last(msgspec.Struct):
    version: str = ""
    ips: str = ""
    last_ip: str = ""
    updated: float = 0.0


class RedisUptimeStore:
    """See `contracts.UptimeStore`. Uses `client`, which stays its owner's; `name` is for errors."""

    def __init__(self, client: "Redis", name: str, service: str) -> None:
        self._client: Any = client
        self._name = name
        self._days = f"{service}:uptime-days"
        self._prefix = f"{service}:uptime:"

    async def credit(self, key: PubKey, now: float, seconds: int, version: str, ip: str) -> None:
        day, field = day_of(now), key.hex()
        last = f"{self._prefix}{day}:last"
        with translated(self._name):
            known = _last(await self._client.hget(last, field))
            ips = known.ips
            if ip and len(ips) <= MAX_IPS and ip not in ips.split(","):
                ips = f"{ips},{ip}" if ips else ip
            document = _Last(version, ips, ip or known.last_ip, float(int(now)))
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.sadd(self._days, day)
                pipeline.hincrby(f"{self._prefix}{day}:seconds", field, seconds)
                pipeline.hset(last, field, msgspec.json.encode(document))
                await pipeline.execute()

    async def days(self, first: str, last: str) -> list[DailyUptime]:
        found = []
        with translated(self._name):
            for day in await self._known():
                if first <= day <= last:
                    seconds = await self._client.hgetall(f"{self._prefix}{day}:seconds")
                    told = await self._client.hgetall(f"{self._prefix}{day}:last")
                    for field, count in seconds.items():
                        one = _last(told.get(field))
                        found.append(
                            DailyUptime(
                                as_bytes(field).decode(),
                                day,
                                int(count),
                                one.version,
                                one.ips,
                                one.last_ip,
                                one.updated,
                            )
                        )
        return sorted(found)

    async def _known(self) -> list[str]:
        return sorted(as_bytes(day).decode() for day in await self._client.smembers(self._days))

    async def oldest(self) -> str:
        with translated(self._name):
            return next(iter(await self._known()), "")

    async def forget(self, day: str) -> int:
        seconds = f"{self._prefix}{day}:seconds"
        with translated(self._name):
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hlen(seconds)
                pipeline.delete(seconds, f"{self._prefix}{day}:last")
                pipeline.srem(self._days, day)
                count, *_ = await pipeline.execute()
        return int(count)

    async def close(self) -> None:
        return


def _last(document: Any) -> _Last:
    try:
        return _Last() if document is None else msgspec.json.decode(document, type=_Last)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Last()
