"""Any ASGI application as an aiohttp one, to be served on a port of the network.

    app = asgi_application(my_app)          # async def my_app(scope, receive, send)
    async with running(app) as runner:
        await serve_http(runner, listener)

Heads, keep-alive, limits of connections and deadlines of writing are aiohttp's and
`over_stream`'s. `scope["client"]` is the authenticated key of who asks and its port, and
`scope["extensions"]["skywire"]["pk"]` that key. Source: the ASGI specification 3.0, HTTP and
WebSocket 2.5, lifespan 2.0.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from skywire.errors import InvalidValue, LocalProtocolError, Unavailable
from skywire.http.over_stream import remote_address
from skywire.streams.stream import Address
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024 * 1024  # bytes of a request body
BODY_TIMEOUT = 60.0  # seconds the next piece of a request body may take
START_LIMIT = 30.0  # seconds an application has for its start-up
STOP_LIMIT = 2.0  # seconds it has for its end; and a call of it, once its peer has gone
NO_BODY = frozenset({204, 304})
_FRAMING = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})  # not an app's business

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]  # of these; everyone has own names for them


def asgi_application(app: AsgiApp, *, max_body: int = MAX_BODY) -> web.Application:
    """Starts and ends `app` with its own start and end. Raises InvalidValue for no ASGI 3 app.

    A request whose body is larger than `max_body` is answered 413.
    """
    if not callable(app) or inspect.isclass(app):
        raise InvalidValue(
            f"{app!r:.100} is no application: expected an aiohttp web.Application or an ASGI 3 "
            "callable (scope, receive, send)"
        )
    calls = _Calls(app, max_body)
    outer = web.Application()
    outer.cleanup_ctx.append(calls.lifespan)
    outer.router.add_route("*", "/{path:.*}", calls.handle)
    return outer


class _Calls:
    """The calls of one application: its lifespan, and one for each request."""

    def __init__(self, app: AsgiApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body
        self._tasks = Tasks("asgi")
        self._state: dict[str, Any] = {}

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Raises Unavailable when the application says that it cannot start."""
        life = _Lifespan(self._app, self._state)
        task = self._tasks.spawn(life.run(), "lifespan")
        try:
            await life.start()
            yield
            await life.stop()
        finally:
            task.cancel()
            await self._tasks.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if (request.content_length or 0) > self._max_body:
            raise web.HTTPRequestEntityTooLarge(self._max_body, request.content_length or 0)
        scope = _scope(request, dict(self._state))
        if _wants_websocket(request):
            from skywire.http.asgi_websocket import WebSocketCall

            call: Call = WebSocketCall(request)
            scope.update(type="websocket", scheme="ws", subprotocols=_subprotocols(request))
        else:
            call = _HttpCall(request, self._max_body)
        task = self._tasks.spawn(self._run(call, scope), request.path)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:  # the peer is gone, or we stop
            call.gone.set()
            await asyncio.wait((task,), timeout=STOP_LIMIT)
            task.cancel()
            raise
        return await call.finish()

    async def _run(self, call: "Call", scope: Scope) -> None:
        try:
            await self._app(scope, call.receive, call.send)
        except web.HTTPException as error:
            call.failed = error
        except Exception as error:
            call.failed = error
            if not call.gone.is_set():
                log.exception("application failed path=%s", scope["path"])


class Call:
    """What one request and its application say to each other."""

    failed: Exception | None = None  # what the application raised

    def __init__(self) -> None:
        self.gone = asyncio.Event()  # set once nobody will read an answer

    async def receive(self) -> Message:
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        raise NotImplementedError

    async def finish(self) -> web.StreamResponse:
        """The answer, once the application has returned or raised."""
        raise NotImplementedError


class _HttpCall(Call):
    def __init__(self, request: web.Request, max_body: int) -> None:
        super().__init__()
        self._request = request
        self._left = max_body
        self._asked_all = False
        self._start: Message | None = None
        self._response: web.StreamResponse | None = None
        self._complete = False

    async def receive(self) -> Message:
        if not self._asked_all and not self.gone.is_set():
            with suppress(TimeoutError, ConnectionError, web.RequestPayloadError):
                async with asyncio.timeout(BODY_TIMEOUT):
                    body = await self._request.content.readany()
                self._left -= len(body)
                if self._left < 0:
                    raise web.HTTPRequestEntityTooLarge(0, 0)
                self._asked_all = self._request.content.at_eof()
                return {"type": "http.request", "body": body, "more_body": not self._asked_all}
            self.gone.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self._complete or self.gone.is_set():
            return
        if kind == "http.response.start" and self._start is None:
            self._start = message
        elif kind == "http.response.body" and self._start is not None:
            await self._body(self._start, message)
        else:
            raise LocalProtocolError(f'the application sent "{kind}" where it has no place')

    async def _body(self, start: Message, message: Message) -> None:
        data, more = bytes(message.get("body", b"")), message.get("more_body", False)
        if self._response is None:
            self._response = _response(self._request, start, None if more else len(data))
            await self._response.prepare(self._request)
        try:
            if data and self._request.method != "HEAD" and self._response.status not in NO_BODY:
                await self._response.write(data)
            if not more:
                self._complete = True
                await self._response.write_eof()
                self.gone.set()
        except ConnectionError:
            self.gone.set()

    async def finish(self) -> web.StreamResponse:
        if self._response is None:
            if isinstance(self.failed, web.HTTPException):
                raise self.failed
            raise web.HTTPInternalServerError
        if not self._complete and self._request.transport is not None:
            self._request.transport.abort()  # else it looks whole
        return self._response


def _response(request: web.Request, start: Message, size: int | None) -> web.StreamResponse:
    """`size` is that of the whole body; None: there is more to come."""
    response = web.StreamResponse(status=start["status"])
    for name, value in start.get("headers", ()):
        if name.lower() not in _FRAMING:
            response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        elif name.lower() == b"connection" and value.lower() == b"close":
            response.force_close()
    if "Content-Length" not in response.headers and response.status not in NO_BODY:
        if size is not None:
            response.content_length = size
        elif request.version >= (1, 1):
            response.enable_chunked_encoding()
        else:
            response.force_close()
    return response


class _Lifespan:
    """Start and end of an application; one without the protocol is served all the same."""

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._knows = True  # False: it ended or raised instead of answering

    async def run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._events.get, self._answers.put)
        except Exception:
            log.debug("application has no lifespan", exc_info=True)
        self._knows = False
        self._answers.put_nowait({"type": ""})

    async def start(self) -> None:
        answer = await self._ask("lifespan.startup", START_LIMIT)
        if answer.get("type") == "lifespan.startup.failed":
            raise Unavailable(f"the application did not start: {answer.get('message', '')}")

    async def stop(self) -> None:
        try:
            answer = await self._ask("lifespan.shutdown", STOP_LIMIT)
        except Unavailable as error:
            log.warning("application did not end reason=%s", error)
            return
        if answer.get("type") == "lifespan.shutdown.failed":
            log.warning("application did not end reason=%s", answer.get("message", ""))

    async def _ask(self, event: str, limit: float) -> Message:
        if not self._knows:
            return {}
        self._events.put_nowait({"type": event})
        try:
            async with asyncio.timeout(limit):
                return await self._answers.get()
        except TimeoutError:
            raise Unavailable(f"the application gave no answer to {event} in {limit:g} s") from None


def _scope(request: web.Request, state: dict[str, Any]) -> Scope:
    target = request.raw_path
    if not target.startswith("/"):  # absolute form
        parts = urlsplit(target)
        path, query = parts.path or "/", parts.query
    else:
        path, _, query = target.partition("#")[0].partition("?")
    remote = remote_address(request)
    local = request.get_extra_info("local")
    server = (local.host, local.port) if isinstance(local, Address) else None
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": f"{request.version.major}.{request.version.minor}",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": (remote.host, remote.port),
        "server": server,
        "state": state,
        "extensions": {"skywire": {"pk": str(remote.pk or ""), "network": remote.network}},
    }


def _wants_websocket(request: web.Request) -> bool:
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


def _subprotocols(request: web.Request) -> list[str]:
    offered = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [name.strip() for line in offered for name in line.split(",") if name.strip()]
