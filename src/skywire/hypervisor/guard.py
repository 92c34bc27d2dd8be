"""Who may ask for what: origin, login, CSRF token; and the headers of every answer.

Source: hypervisor.md §3. Ours: a request that changes something, or opens a terminal, must not come
from a page of another origin; without accounts, a hypervisor on the loopback address answers to
that address only (a foreign name that points to it would otherwise pass for our origin).
"""

from urllib.parse import urlsplit

from aiohttp import web

from skywire import ui
from skywire.config.values import is_loopback
from skywire.errors import AuthenticationFailed, Forbidden
from skywire.http.app import Handler
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.csrf import HEADER
from skywire.hypervisor.sessions import COOKIE, Session
from skywire.pty.web_frames import same_origin

READING = {"GET", "HEAD", "OPTIONS"}
VISOR_PATHS = "/api/visors/"
WITHOUT_TOKEN = {  # as in Go
    f"/api/{word}" for word in ("create-account", "login", "logout", "change-password")
}
SESSION = web.RequestKey("SESSION", Session)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}

_public: set[Handler] = set()  # filled while the route modules are imported


def public(handler: Handler) -> Handler:
    """Decorator: this handler asks for no login."""
    _public.add(handler)
    return handler


def is_public(handler: Handler) -> bool:
    return handler in _public


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` handler; what a page has set for itself stays."""
    if isinstance(request.match_info.route.resource, web.StaticResource):
        response.headers.setdefault("Cache-Control", "no-cache")  # ask whether it has changed
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    context = request.app[CONTEXT]
    if not context.config.enable_auth and context.config.http_addr.is_loopback:
        name = _host_name(request.host)
        if not is_loopback(name):
            raise Forbidden(
                f'this hypervisor is not called "{name[:80]}"; open it by its address, '
                "or set hypervisor.enable_auth"
            )
    changes = request.method not in READING or "Upgrade" in request.headers
    origin = request.headers.get("Origin")
    if changes and not same_origin(origin, request.host):
        raise Forbidden(f'request of another origin: "{origin:.80}", expected {request.host}')
    if changes and origin is None and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("request of another site")
    return await handler(request)


@web.middleware
async def check_login(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sets `request[SESSION]` when there is one; 401 where one is needed and there is none."""
    context = request.app[CONTEXT]
    if not context.config.enable_auth:
        return await handler(request)
    session = context.sessions.find(request.cookies.get(COOKIE))
    if session is not None:
        request[SESSION] = session
    if _needs_login(request):
        if session is None and _asks_for_a_page(request):
            page = ui.page("index.html")  # it shows the login form, then comes back here
            page.set_status(401)
            return page
        if session is None:
            raise AuthenticationFailed(
                "session cookie is either non-existent, expired, or ill-formatted"
            )
        mark = await context.users.mark(session.user)
        if mark is None:
            raise AuthenticationFailed("user is either deleted or not found")
        if mark != session.mark:
            context.sessions.end_all(session.user)
            raise AuthenticationFailed("the password was changed: log in again")
    return await handler(request)


@web.middleware
async def check_csrf(request: web.Request, handler: Handler) -> web.StreamResponse:
    csrf = request.app[CONTEXT].csrf
    exists = request.match_info.http_exception is None or request.path.startswith(VISOR_PATHS)
    wanted = exists and request.path not in WITHOUT_TOKEN and request.method not in READING
    if csrf is not None and wanted:
        csrf.check(request.headers.get(HEADER), request.method)
    return await handler(request)


def _host_name(host: str) -> str:
    """Of a Host header, without its port; "" when it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _asks_for_a_page(request: web.Request) -> bool:
    """A browser was pointed at a terminal's address."""
    return (
        request.path.startswith("/pty/")
        and request.method == "GET"
        and "Upgrade" not in request.headers
        and "text/html" in request.headers.get("Accept", "")
    )


def _needs_login(request: web.Request) -> bool:
    """Everything does that is not marked public; of what does not exist, the API."""
    match = request.match_info
    if match.http_exception is not None:
        return request.path.startswith("/api/")
    return not is_public(match.handler) and not isinstance(match.route.resource, web.StaticResource)
