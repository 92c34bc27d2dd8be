"""Where an IP address is, asked of a service such as ip.skycoin.com. Source: services.md §5."""

import asyncio
from collections import OrderedDict

import aiohttp
import msgspec

from skywire.errors import RemoteProtocolError, Unavailable
from skywire.services.base import Ip
from skywire.wire.service import Geo

PRODUCTION = "http://ip.skycoin.com/"
TIMEOUT = 5.0  # seconds for an answer
MAX_ANSWER = 64 * 1024  # bytes
MAX_KNOWN = 10_000  # addresses remembered


class _Answer(msgspec.Struct):
    latitude: float = 0.0
    longitude: float = 0.0
    country_code: str = ""
    region_code: str = ""


class GeoSource:
    """Answers are remembered; one question at a time."""

    def __init__(self, url: str = PRODUCTION) -> None:
        self._url = url
        self._known: OrderedDict[Ip, Geo] = OrderedDict()
        self._turn = asyncio.Lock()

    async def find(self, ip: Ip) -> Geo | None:
        """Raises Unavailable, RemoteProtocolError."""
        async with self._turn:
            if ip not in self._known:
                self._known[ip] = await self._ask(ip)
                if len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
            return self._known[ip]

    async def _ask(self, ip: Ip) -> Geo:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, params={"ip": str(ip)}) as response,
            ):
                body = await response.content.read(MAX_ANSWER)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"{self._url}: {error or 'no answer'}") from error
        try:
            found = msgspec.json.decode(body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"{self._url}: {error}") from error
        return Geo(
            round(found.latitude, 2),
            round(found.longitude, 2),
            found.country_code,
            found.region_code,
        )
