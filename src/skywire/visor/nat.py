"""What NAT is in front of us, and sudph where it can work with it. Source: visor.md §1."""

import asyncio
from collections.abc import Iterable, Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported, Unavailable
from skywire.streams.stream import Stream
from skywire.streams.stun import discover_nat
from skywire.transport.networks import Network, OnStream
from skywire.visor.modules import Module, Report
from skywire.wire.stun import Nat

FRESH_TIME = 5.0  # seconds an answer is good for whoever else asks


class NatWatch:
    """Asks `servers`, in their order; `nat` is the last answer, None before the first."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.nat: Nat | None = None
        self._servers = servers
        self._asked_at = float("-inf")
        self._turn = asyncio.Lock()

    @property
    def address(self) -> str:
        """Ours as others see it; "" while it is not known."""
        nat = self.nat
        return nat.public[0] if nat is not None and nat.public and nat.type.is_known else ""

    def modules(self) -> Iterable[Module]:
        if self._servers:
            yield Module("stun", self._run, awaited=False)

    async def _run(self, report: Report) -> None:
        """Until it is known, which is once: what is in front of us seldom changes."""
        nat = await self.look()
        if nat is None or not nat.type.is_known:
            raise Unavailable(
                f"no STUN server tells what NAT there is ({', '.join(self._servers)})"
            )
        report.up()
        await asyncio.Event().wait()

    async def look(self) -> Nat | None:
        """Ask now, unless somebody has just done so; None without servers."""
        if not self._servers:
            return None
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if clock() - self._asked_at > FRESH_TIME:
                self.nat = await discover_nat(self._servers)
                self._asked_at = clock()
        return self.nat


class UnlessSymmetric:
    """A transport `Network` that first looks at what is in front of us."""

    def __init__(self, network: Network, watch: NatWatch) -> None:
        self.type = network.type
        self._network = network
        self._watch = watch

    async def dial(self, remote: PubKey) -> Stream:
        return await self._network.dial(remote)

    async def serve(self, on_stream: OnStream) -> None:
        """Raises NotSupported behind a symmetric NAT; asked again it looks again."""
        nat = await self._watch.look()
        if nat is not None and nat.type.is_symmetric:
            raise NotSupported(f"sudph: {nat.type.value}: no hole can be punched")
        await self._network.serve(on_stream)
