"""The API about the hypervisor and its visors, and the pages. Source: hypervisor.md §4."""

from aiohttp import web

from skywire import __version__, ui
from skywire.hypervisor.answers import answer
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import form
from skywire.hypervisor.guard import SESSION, public
from skywire.visor.types import DmsgStats, Overview, Summary

routes = web.RouteTableDef()


@routes.get("/api/ping")
@public
@form(media="text/plain")
async def ping(_: web.Request) -> web.StreamResponse:
    """Whether somebody answers."""
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
    """The hypervisor itself: key, version, dmsg."""
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
@form(answer=list[DmsgStats])
async def dmsg(request: web.Request) -> web.StreamResponse:
    """How each connected visor is reached."""
    return answer(request, request.app[CONTEXT].visors.stats())


@routes.get("/api/visors")
@form(answer=list[Overview])
async def visors(request: web.Request) -> web.StreamResponse:
    """The overview of every connected visor, ours first."""
    return answer(request, request.app[CONTEXT].visors.overviews())


@routes.get("/api/visors-summary")
@form(answer=list[Summary])
async def visors_summary(request: web.Request) -> web.StreamResponse:
    """The summary of every visor, ours first; of one that is away, the last one."""
    return answer(request, request.app[CONTEXT].visors.rows())


@routes.get("/api/visors-tree-summary")
async def visors_tree(request: web.Request) -> web.StreamResponse:
    """The same by hypervisor, with the visors of those that are connected to us."""
    return answer(request, await request.app[CONTEXT].tree.page())


@routes.get("/")
@public
async def index(_: web.Request) -> web.StreamResponse:
    return ui.page("index.html")
