"""The base of our HTTP servers: errors as JSON, `/health`, `/metrics`, a place to listen.

app = new_app()
app.add_routes([health_route(HealthInfo()), metrics_route(registry)])
async with running(app) as runner:
    port = await listen(runner, "127.0.0.1", 0, what="discovery")
"""

import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from skywire import __version__
from skywire.errors import SkywireError
from skywire.metrics import CONTENT_TYPE, Registry
from skywire.streams.tcp import listen_error

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024  # bytes of a request body, unless an application says otherwise
IDLE_TIMEOUT = (
    30.0  # seconds a connection may wait for its (next) request, half-sent heads included
)
SHUTDOWN_TIMEOUT = 2.0  # seconds handlers may go on once we stop
BACKLOG = 512  # connections the kernel holds until we accept them

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServerLog(logging.LoggerAdapter[logging.Logger]):
    """For aiohttp's servers, which tell of a peer that breaks HTTP or the connection as of a bug
    of ours, traceback included: that is one line for debugging."""

    def __init__(self) -> None:
        super().__init__(log)

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        error = options.get("exc_info")
        if not isinstance(error, BaseException):
            error = sys.exc_info()[1]
        if isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError):
            log.debug("request broken by peer reason=%s", " ".join(str(error).split())[:200])
        else:
            super().log(level, msg, *args, **options)


def readable(text: str) -> str:
    """`text` as JSON may hold it: a header's bytes that are no UTF-8 are in it as half pairs."""
    return text.encode(errors="replace").decode()


def error_response(status: int, text: str) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode({"error": readable(text)}),
        content_type="application/json",
    )


@web.middleware
async def errors_to_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes `{"error": text}`; a bug is logged and says no more than that."""
    try:
        return await handler(request)
    except SkywireError as error:
        return error_response(error.http_status, str(error))
    except web.RequestPayloadError:
        return error_response(400, "request body is not what its headers say")
    except TimeoutError as error:
        return error_response(504, str(error) or "timed out")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_response(error.status, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        log.exception("request failed method=%s path=%s", request.method, request.path)
        return error_response(500, "internal error")


def new_app(*, max_body: int = MAX_BODY) -> web.Application:
    """An application whose handlers may raise SkywireError."""
    return web.Application(middlewares=[errors_to_json], client_max_size=max_body)


class BuildInfo(msgspec.Struct, frozen=True):
    version: str = __version__
    commit: str = "unknown"
    date: str = "unknown"


class HealthInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of `/health`. Source: services.md §1.2. `dmsg_address` is `<pk>:80`."""

    build_info: BuildInfo
    started_at: str
    dmsg_address: str = ""
    dmsg_servers: Sequence[str] = ()


def go_time(when: datetime) -> str:
    """RFC 3339 as Go prints it, e.g. 2026-06-12T08:15:30.123456Z."""
    text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def health_route(
    dmsg_address: str = "", dmsg_servers: Callable[[], Sequence[str]] = tuple
) -> web.RouteDef:
    """`GET /health`; `dmsg_servers` is asked each time. The start time is now."""
    started = go_time(datetime.now(UTC))

    async def health(_: web.Request) -> web.Response:
        info = HealthInfo(BuildInfo(), started, dmsg_address, tuple(dmsg_servers()))
        body = msgspec.json.encode(info)
        return web.Response(body=body, content_type="application/json")

    return web.get("/health", health, allow_head=False)


def metrics_route(registry: Registry) -> web.RouteDef:
    """`GET /metrics`, Prometheus' text."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=registry.text().encode(), headers={"Content-Type": CONTENT_TYPE})

    return web.get("/metrics", metrics, allow_head=False)


@asynccontextmanager
async def running(
    app: web.Application, *, idle_timeout: float = IDLE_TIMEOUT
) -> AsyncIterator[web.AppRunner]:
    """The application, set up; on leaving, its listeners close and its handlers end."""
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=ServerLog(),
        keepalive_timeout=idle_timeout,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


async def listen(
    runner: web.AppRunner,
    host: str,
    port: int,
    *,
    what: str,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Answer on host:port ("" is every address, port 0 a free one) and return the port.

    Raises Conflict (in use), Forbidden or Unavailable, naming `what` and the port.
    """
    site: web.BaseSite
    try:
        if host:
            site = web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls)
        else:
            site = web.SockSite(runner, _everywhere(port), backlog=BACKLOG, ssl_context=tls)
        await site.start()
    except OSError as error:
        place = f"{what}: port {port} on {host or 'all addresses'}"
        raise listen_error(error, place) from error
    bound: int = runner.addresses[-1][1]
    log.info("listening what=%s host=%s port=%d", what, host or "*", bound)
    return bound


def _everywhere(port: int) -> socket.socket:
    """One socket for every IPv4 and IPv6 address, so that port 0 is one port."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
