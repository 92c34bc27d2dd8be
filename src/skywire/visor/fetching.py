"""GETs over dmsg that the visor makes for others, with limits. Source: 3087, step 1 of the chain.

Who asks is whoever may call operations: this machine's users and the hypervisors. The request is
made with the visor's key, so only GETs, only on dmsg, few at a time, and each bounded.
"""

import asyncio

from skywire.errors import Unavailable
from skywire.http.client import get
from skywire.http.over_stream import Dial
from skywire.wire.dmsg_url import DmsgUrl

MAX_BODY = 32 * 1024 * 1024  # bytes of an answer
MAX_AT_ONCE = 4  # requests; one more is refused
TIMEOUT = 30.0  # seconds for a whole answer


class Fetching:
    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._running = 0

    async def get(self, url: DmsgUrl) -> tuple[int, bytes]:
        """Status and body. Raises Unavailable (also: busy), Conflict (too large), InvalidValue,
        TimeoutError."""
        if self._running >= MAX_AT_ONCE:
            raise Unavailable(f"busy with {MAX_AT_ONCE} requests over dmsg; try again")
        self._running += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                return await get(self._dial, url, limit=MAX_BODY)
        except TimeoutError:
            raise TimeoutError(f"{url}: no answer within {TIMEOUT:g} s") from None
        finally:
            self._running -= 1
