"""Reach a service by its HTTP URL, or over dmsg when that fails.

    connector = TwinConnector(client.dial, *target_of(URL("dmsg://<pk>:80")))
    async with aiohttp.ClientSession(connector=connector) as session:
        await session.get("http://tpd.example.org/all-transports")

The application asks one URL; which way a connection takes is decided when it is made. The way that
worked last is tried first. Source: update-2026-06-12.md 3088 (every service over dmsg, too).
"""

import asyncio
import logging
from typing import Any

from aiohttp import ClientConnectionError, ClientRequest, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.http.over_stream import Dial, StreamConnector

log = logging.getLogger(__name__)

TCP_PATIENCE = 4.0  # seconds to connect by TCP, the name included, while there is another way
DMSG_PATIENCE = 10.0  # seconds to dial


class TwinConnector(TCPConnector):
    """For one service: `pk` and `port` are its twin on dmsg."""

    def __init__(self, dial: Dial, pk: PubKey, port: int) -> None:
        super().__init__()
        self._twin = StreamConnector(lambda _: dial(pk, port))
        self._dmsg_first = False

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        """aiohttp's one hook for a new connection, as in `StreamConnector`."""
        causes = []
        for over_dmsg in (self._dmsg_first, not self._dmsg_first):
            try:
                if over_dmsg:
                    opened = await self._twin.connection(req.url, DMSG_PATIENCE)
                else:
                    async with asyncio.timeout(TCP_PATIENCE):
                        opened = await super()._create_connection(req, traces, timeout)
            except (ClientConnectionError, SkywireError, OSError, TimeoutError) as error:
                causes.append(str(error) or "no answer in time")
                continue
            if over_dmsg != self._dmsg_first:
                log.info("service reached url=%s dmsg=%s", req.url.origin(), over_dmsg)
                self._dmsg_first = over_dmsg
            return opened
        raise ClientConnectionError("; ".join(causes))

    async def close(self, *, abort_ssl: bool = False) -> None:
        """End the connections of both ways."""
        await super().close(abort_ssl=abort_ssl)
        await self._twin.close()
