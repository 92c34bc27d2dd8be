"""The routes about one visor: one for each operation with an HTTP form. Source: hypervisor.md §4.3.

An operation that takes nothing and tells something needs no more than its declaration; how another
one is asked is an adapter of its topic's module.
"""

from typing import Any

from aiohttp import web

from skywire.errors import LocalProtocolError, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor import apps, audit, net, ports, settings, skynet, terminals
from skywire.hypervisor.answers import answer
from skywire.hypervisor.call import call, visor_key
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import Adapter, form, plain
from skywire.hypervisor.proxied import ProxiedVisor
from skywire.operations import Operation, operations
from skywire.visor import ops_info
from skywire.visor.types import to_json

HEALTH_LIMIT = 5.0  # seconds


def visor_routes() -> list[web.RouteDef]:
    """Those of the operations, and those that are more than one operation."""
    found = []
    for known in operations():
        if known.http is not None:
            handler = _handler(known)
            found.append(web.route(known.http.method, f"/api{known.http.path}", handler))
    return [*found, *apps.MORE, *net.MORE, *ports.MORE, *settings.MORE, *skynet.MORE]


def _handler(known: Operation) -> Handler:
    adapter = ADAPTERS.get(known.function)
    if adapter is None:
        if known.request is not None:
            raise LocalProtocolError(f"operation {known.name}: say how its request comes over HTTP")
        adapter = plain()
    handler = form(help=known.help)(adapter(known))
    return audit.change(known.name.replace("_", " "))(handler)


def _summary(known: Operation) -> Handler:
    """The visor's summary, with what the hypervisor knows about it."""

    @form(answer=known.answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        registry, pk = request.app[CONTEXT].visors, visor_key(request)
        if isinstance(await registry.reach(pk), ProxiedVisor):
            return answer(request, to_json(await call(request, known)))
        return answer(request, await registry.summary(pk))

    return handler


def _health(known: Operation) -> Handler:
    """The status of the visor is inside; the request itself succeeds, unless there is no answer."""

    @form(answer=known.answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.app[CONTEXT].visors.reach(visor_key(request))
        try:
            health = await call(request, known, limit=HEALTH_LIMIT)
        except TimeoutError:
            return answer(request, {"status": 408, "services_health": ""}, status=408)
        except SkywireError:
            return answer(request, {"status": 500, "services_health": ""})
        return answer(request, {"status": 200} | to_json(health))

    return handler


ADAPTERS: dict[Any, Adapter] = {
    ops_info.summary: _summary,
    ops_info.health: _health,
    **apps.ADAPTERS,
    **net.ADAPTERS,
    **ports.ADAPTERS,
    **settings.ADAPTERS,
    **skynet.ADAPTERS,
    **terminals.ADAPTERS,
}
