"""Dial and listen: a visor many hops away is one call, as a stream. Source: architecture.md §7.

    network = Network(dmsg, router)
    stream = await network.dial(pk, 22)                      # over a route
    stream = await network.dial(pk, 22, network=DMSG)        # through a dmsg server

The two networks have ports of their own: the same number may be in use on both.
"""

import asyncio
import logging
from typing import Protocol

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotSupported, SkywireError
from skywire.streams.stream import Listener, Stream

log = logging.getLogger(__name__)

SKYNET = "skynet"
DMSG = "dmsg"
NETWORKS = (SKYNET, DMSG)
SKYNET_FIRST = 2.0  # seconds a route may take before dmsg is tried; update 3089


class Carrier(Protocol):
    """`dmsg.client.DmsgClient` and `router.router.Router`."""

    async def dial(self, remote: PubKey, port: int, /) -> Stream: ...

    def listen(self, port: int, /) -> Listener: ...


class Routes(Carrier, Protocol):
    @property
    def can_dial(self) -> bool:
        """False: no route can be asked for, or there is no transport to begin one."""
        ...


class Network:
    """`routes` None: a node without routes."""

    def __init__(self, dmsg: Carrier, routes: Routes | None = None) -> None:
        self._dmsg = dmsg
        self._routes = routes

    async def dial(self, pk: PubKey, port: int, network: str = SKYNET) -> Stream:
        """The stream's `remote.pk` is proven to be `pk`. The caller may set a deadline.

        Raises InvalidValue, NotSupported (a network this node is not on), NotFound, DialFailed.
        """
        return await self._carrier(network).dial(pk, port)

    def listen(self, port: int, network: str = SKYNET) -> Listener:
        """Raises Conflict when the port is taken, InvalidValue, NotSupported."""
        return self._carrier(network).listen(port)

    def _carrier(self, network: str) -> Carrier:
        if network == DMSG:
            return self._dmsg
        if network != SKYNET:
            raise InvalidValue(f'unknown network "{network[:40]}": expected skynet or dmsg')
        if self._routes is None:
            raise NotSupported("this node is not on skynet; use dmsg")
        return self._routes

    async def dial_by_scheme(self, pk: PubKey, port: int, scheme: str) -> Stream:
        """`scheme` names the network; with "" a route is tried first, for `SKYNET_FIRST` seconds.

        Raises as `dial` does.
        """
        if scheme:
            return await self.dial(pk, port, scheme)
        if self._routes is not None and self._routes.can_dial:
            try:
                async with asyncio.timeout(SKYNET_FIRST):
                    return await self._routes.dial(pk, port)
            except (SkywireError, TimeoutError) as error:
                reason = str(error) or f"no route within {SKYNET_FIRST:g} s"
                log.info("no route, taking dmsg pk=%s port=%d reason=%s", pk, port, reason)
        return await self._dmsg.dial(pk, port)
