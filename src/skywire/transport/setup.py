"""Lets trusted nodes open and close transports of this visor, on dmsg port 47.

Source: transport.md §7. The errors' texts are Go's: its transport setup service shows them.
"""

import asyncio
import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, ClassVar

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import NotFound, SkywireError
from skywire.rpc.server import GoError, Method, RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.transport.link import Link
from skywire.transport.manager import TransportManager
from skywire.wire.gob_types import BOOL, EMPTY, NULL_UUID, PUBKEY, STRING, UUID, Go, Slice
from skywire.wire.transport import SKYCOIN

log = logging.getLogger(__name__)

ADD, REMOVE, LIST = (
    f"TransportGateway.{name}" for name in ("AddTransport", "RemoveTransport", "GetTransports")
)
ADD_LIMIT = 60.0  # seconds for a transport to come up
MAX_ARGUMENT = 4096  # bytes
NOT_OURS = "transport was not created by skycoin"
UNKNOWN = "transport not found"


@dataclass(slots=True)
class TransportRequest:
    GO_NAME: ClassVar[str] = "TransportRequest"
    remote: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("Type", STRING)] = ""


@dataclass(slots=True)
class UUIDRequest:
    GO_NAME: ClassVar[str] = "UUIDRequest"
    id: Annotated[uuid.UUID, Go("ID", UUID)] = NULL_UUID


@dataclass(slots=True)
class TransportResponse:
    GO_NAME: ClassVar[str] = "TransportResponse"
    id: Annotated[uuid.UUID, Go("ID", UUID)] = NULL_UUID
    local: Annotated[PubKey, Go("Local", PUBKEY)] = NULL_KEY
    remote: Annotated[PubKey, Go("Remote", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("Type", STRING)] = ""


@dataclass(slots=True)
class BoolResponse:
    GO_NAME: ClassVar[str] = "BoolResponse"
    result: Annotated[bool, Go("Result", BOOL)] = False


class TransportGateway:
    """Serves the nodes in `trusted`; the streams of others end at once. Empty: nobody."""

    def __init__(self, manager: TransportManager, trusted: Collection[PubKey]) -> None:
        self._manager = manager
        self._trusted = frozenset(trusted)
        self._server = RpcServer(
            {
                ADD: Method(TransportRequest, TransportResponse, self._add),
                REMOVE: Method(UUIDRequest, BoolResponse, self._remove),
                LIST: Method(EMPTY, Slice(TransportResponse), self._list),
            },
            max_message=MAX_ARGUMENT,
        )

    async def serve(self, listener: Listener) -> None:
        """Until the listener is closed."""
        await serve_each(listener, self.answer, name="transport setup")

    async def answer(self, stream: Stream) -> None:
        if stream.remote.pk not in self._trusted:
            log.warning("not a trusted transport setup node remote=%s", stream.remote)
            await stream.close()
            return
        await self._server.serve(stream)

    async def _add(self, request: TransportRequest) -> TransportResponse:
        if request.type not in self._manager.types:
            raise GoError("save transport: unknown network type")
        try:
            async with asyncio.timeout(ADD_LIMIT):
                link = await self._manager.save(request.remote, request.type, SKYCOIN)
        except (SkywireError, TimeoutError) as error:
            raise GoError(f"save transport: {error or 'no time left'}") from error
        log.info("transport opened for a setup node id=%s remote=%s", link.id, link.remote)
        return self._told(link)

    async def _remove(self, request: UUIDRequest) -> BoolResponse:
        link = self._manager.link(request.id)
        if link is None:
            raise GoError(UNKNOWN)
        if link.label != SKYCOIN:
            raise GoError(NOT_OURS)
        try:
            await self._manager.remove(request.id)
        except NotFound as error:
            raise GoError(UNKNOWN) from error
        return BoolResponse(True)

    async def _list(self, _: None) -> list[TransportResponse]:
        links = list(self._manager.links.values())
        return [self._told(link) for link in links if link.label == SKYCOIN]

    def _told(self, link: Link) -> TransportResponse:
        return TransportResponse(link.id, self._manager.public, link.remote, link.type)
