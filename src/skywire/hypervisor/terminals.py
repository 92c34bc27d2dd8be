"""Terminals over HTTP, and the sessions that are kept on a visor. Source: pty.md §7; ours.

    GET    /pty/{pk}                              the page, or with an upgrade the terminal itself
    GET    /api/visors/{pk}/sessions?id=&lines=   [{id, owner, mine, command, started, idle,
                                                    viewers, rows, cols, end, last_lines}]
    DELETE /api/visors/{pk}/sessions/{sid}

We are told of the sessions that our key started; of our own visor's, of all. One behind another
hypervisor is asked directly, as its terminals are dialled: through the other hypervisor it would
tell of that one's sessions.
"""

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import Any

from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, NotSupported, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor import audit
from skywire.hypervisor.call import call, visor_key
from skywire.hypervisor.context import CONTEXT, Context
from skywire.hypervisor.forms import Adapter, form, told
from skywire.hypervisor.guard import SESSION
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.operations import Operation
from skywire.ports import DMSG_RPC
from skywire.pty.types import NO_SESSIONS, OLD_HOST, SESSION_NOT_FOUND
from skywire.rpc.client import RpcClient
from skywire.visor import ops_terminals
from skywire.visor.client import RemoteVisor
from skywire.visor.types_terminals import TerminalSessionsIn

DIRECT_LIMIT = 15.0  # seconds for one behind another hypervisor to be reached and to answer
MAX_MESSAGE = 256 * 1024  # bytes of its answer
UNSUPPORTED = "not supported by this node"
QUERY = {"id": "one session only", "lines": "of output with each: 3, at most 10; of one, 200"}

routes = web.RouteTableDef()


@routes.route("*", "/pty/{pk}")
async def terminal(request: web.Request) -> web.StreamResponse:
    """The terminal page of a visor, or the terminal itself, which ends with the login."""
    context = request.app[CONTEXT]
    pk = visor_key(request)
    await context.visors.check_known(pk)
    if "Upgrade" in request.headers:
        asked = {name: value for name, value in request.query.items() if name != "flow"}
        audit.record(request, "open terminal", str(pk), asked)
    login = request.get(SESSION)
    return await context.terminals.handle(
        request,
        pk,
        context.dial,
        title=context.visors.hostname(pk),
        login=nullcontext if login is None else partial(context.sessions.tied, login),
    )


def sessions(known: Operation) -> Handler:
    @form(query=QUERY, answer=known.answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        lines = request.query.get("lines", "")
        if lines and not (lines.isascii() and lines.isdecimal() and len(lines) <= 4):
            raise InvalidValue(f"invalid 'lines' query value of '{lines[:80]}'")
        wanted = TerminalSessionsIn(int(lines or 0), request.query.get("id", ""))
        return told(request, await _ask(request, known, wanted))

    return handler


def end_session(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return told(request, await _ask(request, known, request.match_info["sid"]))

    return handler


async def _ask(request: web.Request, known: Operation, argument: Any) -> Any:
    """Raises NotFound for a session that we may not see; NotSupported: the visor keeps none."""
    context, pk = request.app[CONTEXT], visor_key(request)
    try:
        if isinstance(await context.visors.reach(pk), ProxiedVisor):
            return await _ask_directly(context, pk, known, argument)
        return await call(request, known, argument)
    except SkywireError as error:
        text = str(error)
        if SESSION_NOT_FOUND in text:
            raise NotFound(SESSION_NOT_FOUND) from error
        if NO_SESSIONS in text:
            raise NotSupported(f"{UNSUPPORTED}: {NO_SESSIONS}") from error
        if any(word in text for word in OLD_HOST):
            raise NotSupported(f"{UNSUPPORTED}: it is another version") from error
        raise


async def _ask_directly(context: Context, pk: PubKey, known: Operation, argument: Any) -> Any:
    try:
        async with asyncio.timeout(DIRECT_LIMIT):
            stream = await context.dial(pk, DMSG_RPC, "")
            async with RpcClient(stream, MAX_MESSAGE) as rpc:
                return await RemoteVisor(rpc).call(known.function, argument)
    except TimeoutError:
        raise TimeoutError(f"visor {pk} did not respond within {DIRECT_LIMIT:g} s") from None


ADAPTERS: dict[Any, Adapter] = {
    ops_terminals.terminal_sessions: sessions,
    ops_terminals.end_terminal_session: end_session,
}
