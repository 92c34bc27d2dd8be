"""What all services of the deployment share: errors, metrics, clients' addresses, leases, CORS.

`service_app` makes the application; `style` words its errors, in which the services differ.
Source: services.md §1.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, SkywireError
from skywire.http.app import health_route, metrics_route
from skywire.http.auth import BODY_TIMEOUT, check_monitor, read_body
from skywire.http.over_stream import remote_pk
from skywire.metrics import Counter, Registry
from skywire.streams.supervise import Backoff, keep_running

log = logging.getLogger(__name__)

RENEWAL = 300.0  # seconds after which a visor registers again
LEASE = RENEWAL + 60.0  # seconds that what it registered is listed
SWEEP_INTERVAL = 60.0  # seconds
MAX_BODY = 256 * 1024  # bytes
MAX_DEREGISTERED = 4096  # items in one request of a monitor
PUBLIC_IP = "SW-PublicIP"  # what a visor says of itself over dmsg
_PROXY_HEADERS = ("True-Client-IP", "X-Real-IP", "X-Forwarded-For")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "*",
}
_PRIVATE = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
    )
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Style = Callable[[int, str], web.Response]
Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Settings and surroundings of every service."""

    lease: float | None = LEASE  # seconds; None: what is registered stays for ever
    monitors: frozenset[PubKey] = frozenset()  # may deregister others
    allow_loopback: bool = False  # for tests: visors on this machine count as public
    trust_proxy: bool = False  # believe what headers say of a client's address
    metrics: Registry = field(default_factory=Registry)
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class OnDmsg:
    """What `/health` tells of dmsg."""

    address: str = ""  # <pk>:80
    servers: Callable[[], Sequence[str]] = tuple


def plain_errors(status: int, text: str) -> web.Response:
    """The style of TPD and the transport setup service."""
    body = msgspec.json.encode({"error": text}) + b"\n"
    return web.Response(status=status, body=body, content_type="text/plain")


def service_app(
    name: str,
    registry: Registry,
    routes: Sequence[web.RouteDef],
    *,
    style: Style = plain_errors,
    cors: bool = False,
    health: OnDmsg | None = None,
    max_body: int = MAX_BODY,
) -> web.Application:
    """`health` None: there is no `/health`, and no `/metrics` with it."""
    answers: dict[int, Counter] = {}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if cors and request.method == "OPTIONS":
            response: web.StreamResponse = web.Response(status=200)
        else:
            response = await _answer_errors(request, handler, style, max_body)
        if cors:
            response.headers.update(_CORS)
        counter = answers.get(response.status)
        if counter is None:
            counter = answers[response.status] = registry.counter(
                f"{name}_answers_total", "Answers by status.", status=str(response.status)
            )
        counter.add()
        return response

    app = web.Application(middlewares=[middleware], client_max_size=max_body)
    app.add_routes(routes)
    if health is not None:
        app.add_routes(
            [health_route(health.address, health.servers), metrics_route(registry)],
        )
    return app


async def _answer_errors(
    request: web.Request, handler: Handler, style: Style, max_body: int
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text="404 page not found\n")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except web.RequestPayloadError:
        return style(400, "request body is not what its headers say")
    except web.HTTPRequestEntityTooLarge:
        return style(413, f"request body is larger than {max_body} bytes")
    except web.HTTPException:
        raise
    except TimeoutError:
        return style(408, f"request body did not arrive within {BODY_TIMEOUT:g} s")
    except SkywireError as error:
        if error.http_status >= 500:
            log.error("request failed path=%s error=%s", request.path, error)
        return style(error.http_status, str(error))
    except Exception:
        log.exception("request failed method=%s path=%s", request.method, request.path)
        return style(500, "internal error")


async def monitor_texts(request: web.Request, monitors: frozenset[PubKey]) -> list[str] | int:
    """What a monitor asks to forget, or the status of the refusal."""
    try:
        if check_monitor(request.headers, monitors) is None:
            return 403
        texts = msgspec.json.decode(await read_body(request), type=list[str])
    except (InvalidValue, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 400
    return texts if len(texts) <= MAX_DEREGISTERED else 400


def client_ip(request: web.Request, *, trust_proxy: bool) -> Ip | None:
    """None: unknown. Over dmsg it is what the visor says of itself."""
    if remote_pk(request) is not None:
        return parse_ip(request.headers.get(PUBLIC_IP, ""))
    texts = [request.remote or ""]
    if trust_proxy:
        texts = [request.headers.get(name, "") for name in _PROXY_HEADERS] + texts
    addresses = (parse_ip(text.partition(",")[0]) for text in texts)
    return next((address for address in addresses if address), None)


def parse_ip(text: str) -> Ip | None:
    """An IPv4 address in IPv6 is the IPv4 address."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_public(ip: Ip | None, *, allow_loopback: bool = False) -> bool:
    """Other visors can reach it; IPv6 does not count."""
    if ip is None:
        return False
    if allow_loopback and ip.is_loopback:
        return True
    return isinstance(ip, IPv4Address) and not any(ip in network for network in _PRIVATE)


async def sweep_for_ever(sweep: Callable[[], Awaitable[int]], what: str) -> None:
    """Until cancelled; goes on when the store fails for a while."""

    async def once() -> None:
        if removed := await sweep():
            log.info("leases ended what=%s count=%d", what, removed)

    await keep_running(once, f"{what} sweep", backoff=Backoff(SWEEP_INTERVAL, SWEEP_INTERVAL))
