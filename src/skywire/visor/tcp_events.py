"""The addresses that a visor connects to by TCP, for its VPN apps. Source: apps.md §3.3."""

from collections import deque

from skywire.appkit.events import TCP_CLOSE, TCP_DIAL, Broadcaster

KEPT = 64  # addresses of transports
STCPR = "stcpr"


class TcpEvents:
    """Given to whatever dials; apps learn it before it does."""

    def __init__(self) -> None:
        self.events = Broadcaster()
        self._dialled: deque[str] = deque(maxlen=KEPT)

    async def dialling(self, network: str, address: str) -> None:
        """`network`: stcp or stcpr for a transport, tcp for a dmsg server."""
        if network == STCPR and address not in self._dialled:
            self._dialled.append(address)
        await self.events.tell(TCP_DIAL, network, address)

    async def closed(self, network: str, address: str) -> None:
        await self.events.tell(TCP_CLOSE, network, address)

    def stcpr_addresses(self) -> list[str]:
        """Those dialled lately."""
        return list(self._dialled)
