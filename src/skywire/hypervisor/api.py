"""The API about the hypervisor and its visors, and the pages. Source: hypervisor.md §4."""

import asyncio

from aiohttp import web

from skywire import __version__, ui
from skywire.hypervisor.answers import answer
from skywire.hypervisor.call import visor_key
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.guard import SESSION, public
from skywire.hypervisor.tree import summaries_by_hypervisor

routes = web.RouteTableDef()


@routes.get("/api/ping")
@public
async def ping(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b'"PONG!"', content_type="text/plain")


@routes.get("/api/csrf")
@public
async def csrf(request: web.Request) -> web.StreamResponse:
    """A token for the next change; empty when tokens are switched off."""
    tokens = request.app[CONTEXT].csrf
    return answer(request, {"csrf_token": "" if tokens is None else tokens.issue()})


@routes.get("/api/session")
@public
async def session(request: web.Request) -> web.StreamResponse:
    """What a page has to know first: whose it is, who is logged in, what this server can do.

    `first`: there is no account yet, so the first one has to be made. `features` are the words
    behind /api that have routes, for what other versions lack.
    """
    context = request.app[CONTEXT]
    auth = context.config.enable_auth
    known = request.get(SESSION)
    paths = [resource.canonical.split("/") for resource in request.app.router.resources()]
    return answer(
        request,
        {
            "public_key": str(context.own),
            "accounts": auth,
            "first": auth and not await context.users.exist(),
            "user": None if known is None else known.user,
            "features": sorted({path[2] for path in paths if path[1] == "api"}),
        },
    )


@routes.get("/api/about")
async def about(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    sessions = len(context.dmsg_servers())
    return answer(
        request,
        {
            "public_key": str(context.own),
            "build": {"version": f"v{__version__}", "commit": "unknown", "date": "unknown"},
            "dmsg_connected": sessions > 0,
            "dmsg_sessions": sessions,
        },
    )


@routes.get("/api/dmsg")
async def dmsg(request: web.Request) -> web.StreamResponse:
    """How each connected visor is reached."""
    return answer(request, request.app[CONTEXT].visors.stats())


@routes.get("/api/visors")
async def visors(request: web.Request) -> web.StreamResponse:
    return answer(request, request.app[CONTEXT].visors.overviews())


@routes.get("/api/visors-summary")
async def visors_summary(request: web.Request) -> web.StreamResponse:
    return answer(request, request.app[CONTEXT].visors.rows())


@routes.get("/api/visors-tree-summary")
async def visors_tree(request: web.Request) -> web.StreamResponse:
    """The same by hypervisor, with the visors of those that are connected to us."""
    context = request.app[CONTEXT]
    return answer(request, await summaries_by_hypervisor(context.visors, context.own))


@routes.route("*", "/pty/{pk}")
async def terminal(request: web.Request) -> web.StreamResponse:
    """The terminal page of a visor, or the terminal itself."""
    context = request.app[CONTEXT]
    pk = visor_key(request)
    await context.visors.check_known(pk)
    work = context.terminals.handle(request, pk, context.dial, title=context.visors.hostname(pk))
    task = asyncio.current_task()
    if SESSION not in request or task is None:
        return await work
    with context.sessions.tied(request[SESSION], task.cancel):
        return await work


@routes.get("/")
@public
async def index(_: web.Request) -> web.StreamResponse:
    return ui.page("index.html")
