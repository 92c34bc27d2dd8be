"""sudph where it can work: not behind a NAT of the symmetric kind. Source: visor.md §1."""

from collections.abc import Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported
from skywire.streams.stream import Stream
from skywire.streams.stun import discover_nat
from skywire.transport.networks import Network, OnStream
from skywire.wire.stun import Nat


class UnlessSymmetric:
    """A transport `Network` that first asks `stun_servers` what is in front of us."""

    def __init__(self, network: Network, stun_servers: Sequence[str]) -> None:
        self.type = network.type
        self.nat: Nat | None = None  # unknown yet
        self._network = network
        self._stun_servers = stun_servers

    async def dial(self, remote: PubKey) -> Stream:
        return await self._network.dial(remote)

    async def serve(self, on_stream: OnStream) -> None:
        """Raises NotSupported behind a symmetric NAT; asked again it looks again."""
        if self._stun_servers:
            self.nat = await discover_nat(self._stun_servers)
            if self.nat.type.is_symmetric:
                raise NotSupported(f"sudph: {self.nat.type.value}: no hole can be punched")
        await self._network.serve(on_stream)
