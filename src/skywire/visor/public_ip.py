"""Our public address, for services that are reached over dmsg. Source: visor.md §1 (SW-PublicIP).

They see a key and no address, so the visor says what its is. Ours differs on purpose: Go asks a web
page, ours the dmsg server it is connected to anyway; an interface with a public address needs
neither.
"""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address

from skywire.dmsg.client import DmsgClient
from skywire.errors import SkywireError
from skywire.platform.addresses import local_addresses, public_address

log = logging.getLogger(__name__)

HEADER = "SW-PublicIP"
KEEP_TIME = 600.0  # seconds an answer is believed
RETRY = 30.0  # seconds until a server is asked again that did not tell
LIMIT = 5.0  # seconds for an answer


class PublicAddress:
    """`fallback` is asked last: what STUN found, "" if nothing."""

    def __init__(self, dmsg: DmsgClient, fallback: Callable[[], str] = lambda: "") -> None:
        self._dmsg = dmsg
        self.fallback = fallback
        self._known = ""
        self._ask_at = 0.0  # by the loop's clock
        self._turn = asyncio.Lock()

    async def headers(self) -> dict[str, str]:
        """For a request over dmsg; none when our address is not known."""
        address = await self.get()
        return {HEADER: address} if address else {}

    async def get(self) -> str:
        """ "" when nobody tells. Never raises, and takes at most `LIMIT` seconds."""
        found = public_address(await asyncio.to_thread(local_addresses))
        if found is not None:
            return found
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if clock() >= self._ask_at:
                self._known = await self._ask()
                self._ask_at = clock() + (KEEP_TIME if self._known else RETRY)
        return self._known or self.fallback()

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(LIMIT):
                return str(ip_address(await self._dmsg.look_up_ip()))
        except (SkywireError, TimeoutError, ValueError) as error:
            log.debug("own address unknown error=%s", error or "time")
            return ""
