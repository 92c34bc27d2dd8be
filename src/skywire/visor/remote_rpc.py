"""The visor's net/rpc for others: on dmsg port 44 and, over routes, on skynet port 44.

Only keys in a whitelist are answered: our own, our hypervisors', and those that may open terminals,
for who may do that can do anything. Source: visor.md §3, transport 3 (2026).
"""

import logging
from collections.abc import Callable, Iterable

from skywire.appkit.network import DMSG, SKYNET, Network
from skywire.crypto.keys import PubKey
from skywire.ports import DMSG_RPC
from skywire.rpc.server import RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.visor.caller import serve_peer
from skywire.visor.modules import Module, Part, Report

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64  # on each network


class RemoteRpc:
    """`admits` tells who may call; it is asked for each connection."""

    def __init__(
        self, server: RpcServer, network: Network, admits: Callable[[PubKey], bool]
    ) -> None:
        self._server = server
        self._network = network
        self._admits = admits

    def modules(self) -> Iterable[Module]:
        for network in (DMSG, SKYNET):
            yield Module(f"rpc on {network}", self._on(network))

    def _on(self, network: str) -> Part:
        async def serve(report: Report) -> None:
            listener = self._network.listen(DMSG_RPC, network)
            report.up()
            try:
                await serve_each(
                    listener, self._serve, name=f"rpc on {network}", limit=MAX_CONNECTIONS
                )
            finally:
                await listener.close()

        return serve

    async def _serve(self, stream: Stream) -> None:
        if stream.remote.pk is None or not self._admits(stream.remote.pk):
            log.warning("rpc refused, not on the whitelist remote=%s", stream.remote)
            stream.abort()
            return
        await serve_peer(self._server, stream)
