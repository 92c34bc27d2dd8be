"""dmsg as a transport: a stream to port 45, without further handshakes. Source: transport.md §1."""

from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.ports import DMSG_TRANSPORT
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.transport.networks import MAX_HANDSHAKES, OnStream
from skywire.wire.transport import DMSG


class DmsgNetwork:
    type = DMSG

    def __init__(self, client: DmsgClient) -> None:
        self._client = client

    async def dial(self, remote: PubKey) -> Stream:
        return await self._client.dial(remote, DMSG_TRANSPORT)

    async def serve(self, on_stream: OnStream) -> None:
        listener = self._client.listen(DMSG_TRANSPORT)
        try:
            await serve_each(listener, on_stream, name=DMSG, limit=MAX_HANDSHAKES)
        finally:
            await listener.close()
