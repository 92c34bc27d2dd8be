"""Hand HTTP requests and websockets on to another server: dmsg to local, or local to dmsg.

The request keeps its method, path, body and headers, except those that belong to one connection;
Host becomes the target's, and so does an Origin that named us, or a same-origin check behind us
would fail.
"""

import asyncio
import logging
from collections.abc import Callable

import aiohttp
from aiohttp import StreamReader, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from skywire.errors import SkywireError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 40.0  # seconds to reach the target
STALL_TIMEOUT = 300.0  # seconds without a byte of its answer
MAX_MESSAGE = 16 * 1024 * 1024  # bytes of one websocket message
CHUNK = 64 * 1024
HEAD_REST = 100  # bytes of a request's head at most, beside path, host and the headers handed on
ONE_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
HANDSHAKE = frozenset(
    {
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
    }
)

Target = Callable[[web.Request], URL]
Adjust = Callable[[web.Request, CIMultiDict[str]], None]


class ReverseProxy:
    """An aiohttp handler. `target` gives scheme and authority of where a request goes; it may
    raise a SkywireError or an aiohttp HTTP error, which is the answer.

    `session` must not decompress or keep cookies: use `proxy_session`. `adjust` may change the
    headers of a request. `max_request`: bytes of head and body; a request then goes out whole.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        *,
        adjust: Adjust | None = None,
        max_request: int = 0,
    ) -> None:
        self._session = session
        self._target = target
        self._adjust = adjust
        self._max_request = max_request

    def application(self) -> web.Application:
        """Everything goes to the target."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            place = self._target(request)
            url = f"{place.scheme}://{place.raw_authority}{request.rel_url.raw_path_qs}"
            target = URL(url, encoded=True)
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._websocket(request, target)
            return await self._exchange(request, target)
        except SkywireError as error:
            return web.Response(status=error.http_status, text=f"{error}\n")
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status if error.status >= 400 else 502)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("proxy failed path=%s error=%s", request.path, error or "time")
            return web.Response(status=502, text=f"the target does not answer: {error}\n")

    def _onward(self, request: web.Request, target: URL) -> CIMultiDict[str]:
        headers = _onward(request, target)
        if self._adjust is not None:
            self._adjust(request, headers)
        return headers

    async def _whole(self, request: web.Request, headers: CIMultiDict[str]) -> bytes:
        """The body, small enough. Raises HTTPRequestEntityTooLarge."""
        head = sum(len(name) + len(text) + len(": \r\n") for name, text in headers.items())
        room = self._max_request - head - len(request.raw_path) - len(request.host) - HEAD_REST
        body = await request.content.read(max(0, room) + 1)
        while body and len(body) <= room and (more := await request.content.read(room + 1)):
            body += more
        if room < 0 or len(body) > room:
            raise web.HTTPRequestEntityTooLarge(
                self._max_request,
                text=f"the far visor, of 2024, takes requests of {self._max_request} bytes\n",
            )
        return body

    async def _exchange(self, request: web.Request, target: URL) -> web.StreamResponse:
        headers = self._onward(request, target)
        body: bytes | StreamReader | None = request.content if request.body_exists else None
        if self._max_request:
            body = await self._whole(request, headers) or None
        async with self._session.request(
            request.method,
            target,
            headers=headers,
            data=body,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend(_kept(answer.headers, ONE_HOP))
            _relocate(response, target)
            await response.prepare(request)
            try:
                async for piece in answer.content.iter_chunked(CHUNK):
                    await response.write(piece)
                await response.write_eof()
            except (aiohttp.ClientError, SkywireError, TimeoutError, ConnectionError) as error:
                # too late for another status: a cut connection tells that the body is not whole
                log.info("proxy cut path=%s error=%s", request.path, error or "time")
                if request.transport is not None:
                    request.transport.abort()
            return response

    async def _websocket(self, request: web.Request, target: URL) -> web.WebSocketResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        headers = _kept(self._onward(request, target), HANDSHAKE)
        async with self._session.ws_connect(
            target,
            protocols=[name.strip() for name in offered.split(",") if name.strip()],
            headers=headers,
            max_msg_size=MAX_MESSAGE,
        ) as far:
            near = web.WebSocketResponse(
                protocols=[far.protocol] if far.protocol else (), max_msg_size=MAX_MESSAGE
            )
            await near.prepare(request)
            async with asyncio.TaskGroup() as tasks:
                pumps = [
                    tasks.create_task(_pump(near, far), name="websocket out"),
                    tasks.create_task(_pump(far, near), name="websocket in"),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                await near.close(code=far.close_code or 1000)
                for pump in pumps:
                    pump.cancel()
            return near


def proxy_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """A session that passes bodies on as they are."""
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=STALL_TIMEOUT
        ),
    )


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        try:
            if message.type is aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
        except (aiohttp.ClientError, ConnectionError):
            return  # the other side is gone


def _kept(
    headers: CIMultiDict[str] | CIMultiDictProxy[str], without: frozenset[str]
) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, text) for name, text in headers.items() if name.lower() not in without
    )


def _onward(request: web.Request, target: URL) -> CIMultiDict[str]:
    """The headers for the target: our Host and what names a single connection stay behind."""
    named = {name.strip().lower() for name in request.headers.get("Connection", "").split(",")}
    headers = _kept(request.headers, ONE_HOP | named | {"host"})
    origin = headers.get("Origin", "")
    if origin.partition("://")[2] == request.host:
        # browsers know no scheme dmsg, so no server will: http is what it compares with
        headers["Origin"] = f"http://{target.raw_authority}"
    return headers


def _relocate(response: web.StreamResponse, target: URL) -> None:
    """A redirect within the target must lead the client through us."""
    location = response.headers.get("Location", "")
    for scheme in ("http", "dmsg", target.scheme):
        start = f"{scheme}://{target.raw_authority}/"
        if location.startswith(start):
            response.headers["Location"] = location[len(start) - 1 :]
