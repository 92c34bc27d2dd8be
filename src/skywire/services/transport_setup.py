"""The transport setup service: opens and closes transports of other visors. Source: services.md §9.

    service = TransportSetup(client.dial)
    async with running(service.app()) as runner:
        await listen(runner, "127.0.0.1", 8080, what="transport setup")

A visor obeys when our key is in its `transport_setup` list. Nobody has to say who they are to
us, so the service belongs on a private address; web pages of other sites are kept out.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import Forbidden, InvalidValue, SkywireError
from skywire.http.auth import read_body
from skywire.metrics import Registry
from skywire.ports import DMSG_TRANSPORT_SETUP
from skywire.rpc.client import RpcClient
from skywire.services.base import OnDmsg, service_app
from skywire.streams.stream import Stream
from skywire.transport.setup import (
    ADD,
    LIST,
    REMOVE,
    BoolResponse,
    TransportRequest,
    TransportResponse,
    UUIDRequest,
)
from skywire.wire.gob_types import EMPTY, GoType, Slice
from skywire.wire.transport import MAX_TYPE

DIAL_TIME = 15.0  # seconds for a stream to a visor
CALL_TIME = 70.0  # seconds for its answer; it gives a transport 60 s to come up
MAX_ANSWER = 1024 * 1024  # bytes; some 8,000 transports
MAX_RUNNING = 64  # requests at a time; others wait

Dial = Callable[[PubKey, int], Awaitable[Stream]]


class _Add(msgspec.Struct, forbid_unknown_fields=True):
    from_pk: str = msgspec.field(name="from")
    to_pk: str = msgspec.field(name="to")
    type: str


class _Remove(msgspec.Struct, forbid_unknown_fields=True):
    from_pk: str = msgspec.field(name="from")
    id: uuid.UUID


T = TypeVar("T", _Add, _Remove)


class _CallFailed(SkywireError):
    """The visor could not be asked, or it answered no."""

    code = "call_failed"
    http_status = 500


class TransportSetup:
    def __init__(self, dial: Dial, metrics: Registry | None = None) -> None:
        self._dial = dial
        self._metrics = metrics or Registry()
        self._running = asyncio.Semaphore(MAX_RUNNING)

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        routes = [
            web.post("/add", self._add),
            web.post("/remove", self._remove),
            web.get("/{pk}/transports", self._list, allow_head=False),
        ]
        return service_app("transport_setup", self._metrics, routes, health=on_dmsg or OnDmsg())

    async def _add(self, request: web.Request) -> web.Response:
        asked = await _body(request, _Add)
        source, target = PubKey.parse(asked.from_pk), PubKey.parse(asked.to_pk)
        if source == target:
            raise InvalidValue(f"from and to are both {source}: expected two visors")
        if not 0 < len(asked.type) <= MAX_TYPE:
            raise InvalidValue(f'"{asked.type[:80]}" is no transport type')
        argument = TransportRequest(target, asked.type)
        made = await self._call(source, ADD, TransportRequest, argument, TransportResponse)
        return _json(_shown(made))

    async def _remove(self, request: web.Request) -> web.Response:
        asked = await _body(request, _Remove)
        source = PubKey.parse(asked.from_pk)
        done = await self._call(source, REMOVE, UUIDRequest, UUIDRequest(asked.id), BoolResponse)
        return _json({"Result": done.result})

    async def _list(self, request: web.Request) -> web.Response:
        visor = PubKey.parse(request.match_info["pk"])
        _check_origin(request)
        found = await self._call(visor, LIST, EMPTY, None, Slice(TransportResponse))
        return _json([_shown(one) for one in found])

    async def _call(
        self, visor: PubKey, method: str, argument_type: GoType, argument: Any, reply_type: GoType
    ) -> Any:
        async with self._running:
            try:
                async with asyncio.timeout(DIAL_TIME):
                    stream = await self._dial(visor, DMSG_TRANSPORT_SETUP)
                async with RpcClient(stream, max_message=MAX_ANSWER) as rpc:
                    async with asyncio.timeout(CALL_TIME):
                        return await rpc.call(method, argument_type, argument, reply_type)
            except (SkywireError, TimeoutError) as error:
                raise _CallFailed(f"{visor}: {error or 'no answer in time'}") from error


def _shown(transport: TransportResponse) -> dict[str, str]:
    return {
        "ID": str(transport.id),
        "Local": str(transport.local),
        "Remote": str(transport.remote),
        "Type": transport.type,
    }


async def _body(request: web.Request, kind: type[T]) -> T:
    """Raises InvalidValue, Forbidden."""
    _check_origin(request)
    try:
        return msgspec.json.decode(await read_body(request), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"invalid request body: {error}") from error


def _check_origin(request: web.Request) -> None:
    """A browser that was sent here by another site says so."""
    if "Origin" in request.headers:
        raise Forbidden("requests of web pages are not answered")


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", content_type="text/plain")
