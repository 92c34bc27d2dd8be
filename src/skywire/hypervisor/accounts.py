"""The account routes: first account, login, logout, password. Source: hypervisor.md §3."""

import math
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from skywire.errors import AuthenticationFailed, Forbidden, InvalidValue
from skywire.http.app import error_response
from skywire.hypervisor import audit
from skywire.hypervisor.answers import answer, read_body
from skywire.hypervisor.context import CONTEXT, Context
from skywire.hypervisor.forms import form
from skywire.hypervisor.guard import SESSION, public
from skywire.hypervisor.sessions import COOKIE, Session
from skywire.hypervisor.users import check_name

routes = web.RouteTableDef()


class Account(msgspec.Struct, forbid_unknown_fields=True):
    username: str = ""
    password: str = ""


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    old_password: str = ""
    new_password: str = ""


@routes.get("/api/user-exists")
@public
@form(answer=bool)
async def user_exists(request: web.Request) -> web.StreamResponse:
    """Whether there is an account, or the first one must be made."""
    return answer(request, await request.app[CONTEXT].users.exist())


@routes.post("/api/create-account")
@public
@audit.change("create account")
@form(body=Account, answer=bool)
async def create_account(request: web.Request) -> web.StreamResponse:
    """The first and only account, `admin`."""
    account = await read_body(request, Account)
    await request.app[CONTEXT].users.create(account.username, account.password)
    request[audit.ACTOR] = account.username
    return answer(request, True)


@routes.post("/api/login")
@public
@audit.change("log in")
@form(body=Account, answer=bool)
async def log_in(request: web.Request) -> web.StreamResponse:
    """A cookie for all other requests."""
    context = request.app[CONTEXT]
    account = await read_body(request, Account)
    if SESSION in request:
        raise Forbidden("not logged out")
    check_name(account.username)
    if (refusal := await _check(request, account.username, account.password)) is not None:
        return refusal
    request[audit.ACTOR] = account.username
    mark = await context.users.mark(account.username) or b""
    token, session = context.sessions.create(account.username, mark)
    response = answer(request, True)
    _set_cookie(response, context, token, session)
    return response


@routes.post("/api/logout")
@public
@audit.change("log out")
@form(answer=bool)
async def log_out(request: web.Request) -> web.StreamResponse:
    """End this session."""
    context = request.app[CONTEXT]
    if SESSION not in request:
        raise InvalidValue("not logged in")
    context.sessions.end(request[SESSION])
    response = answer(request, True)
    _clear_cookie(response, context)
    return response


@routes.post("/api/logout-others")
@audit.change("log out elsewhere")
async def log_out_others(request: web.Request) -> web.StreamResponse:
    """Ours: the user's other sessions end, with what is open in them; this one stays."""
    sessions = request.app[CONTEXT].sessions
    others = sessions.others(request[SESSION])
    for other in others:
        sessions.end(other)
    return answer(request, {"ended": len(others)})


@routes.get("/api/user")
async def user(request: web.Request) -> web.StreamResponse:
    """Who is logged in, here and elsewhere."""
    session = request[SESSION]
    others = request.app[CONTEXT].sessions.others(session)
    return answer(
        request,
        {
            "username": session.user,
            "current_session": _shown(session),
            "other_sessions": [_shown(other) for other in others] or None,
        },
    )


@routes.post("/api/change-password")
@audit.change("change password")
@form(body=NewPassword, answer=bool)
async def change_password(request: web.Request) -> web.StreamResponse:
    """All sessions of the user end, this one included."""
    context = request.app[CONTEXT]
    name = request[SESSION].user
    passwords = await read_body(request, NewPassword)
    if (refusal := await _check(request, name, passwords.old_password)) is not None:
        return refusal
    await context.users.set_password(name, passwords.new_password)
    context.sessions.end_all(name)
    response = answer(request, True)
    _clear_cookie(response, context)
    return response


async def _check(request: web.Request, name: str, password: str) -> web.Response | None:
    """None when the password is right; an answer when this address has to wait.

    Raises AuthenticationFailed. A try counts as failed until it has succeeded, so that tries at the
    same time do not get around the limit.
    """
    context = request.app[CONTEXT]
    address = request.remote or ""
    if wait := context.attempts.wait(address):
        text = f"too many failed attempts; try again in {math.ceil(wait)} s"
        refusal = error_response(429, text)
        refusal.headers["Retry-After"] = str(math.ceil(wait))
        return refusal
    context.attempts.failed(address)
    if not await context.users.check(name, password):
        raise AuthenticationFailed("incorrect username or password")
    context.attempts.succeeded(address)
    return None


def _shown(session: Session) -> dict[str, str]:
    expiry = datetime.fromtimestamp(session.expires, UTC).isoformat().replace("+00:00", "Z")
    return {"sid": str(session.id), "username": session.user, "expiry": expiry}


def _set_cookie(response: web.Response, context: Context, token: str, session: Session) -> None:
    config = context.config
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(config.cookies.expires_duration),  # counts where the browser's clock differs
        expires=datetime.fromtimestamp(session.expires, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        path=config.cookies.path,
        domain=config.cookies.domain or None,
        secure=config.enable_tls,
        httponly=True,
        samesite="Strict",
    )


def _clear_cookie(response: web.Response, context: Context) -> None:
    config = context.config
    response.del_cookie(
        COOKIE,
        path=config.cookies.path,
        domain=config.cookies.domain or None,
        secure=config.enable_tls,
        httponly=True,
        samesite="Strict",
    )
