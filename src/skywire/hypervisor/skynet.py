"""Transports and routes of a visor over HTTP. Source: hypervisor.md §4.3.

An operation that takes a request has its HTTP form here: what of the URL or body is the request,
and what of the answer is shown.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor import audit
from skywire.hypervisor.answers import MALFORMED, answer, flag, read_body, read_list
from skywire.hypervisor.call import call, call_function, visor_key
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import Adapter, form
from skywire.hypervisor.rule_body import RuleBody
from skywire.operations import Operation
from skywire.visor import ops_info, ops_routes, ops_transports, shown
from skywire.visor.ops_transports import AddTransportIn, TransportsIn
from skywire.visor.types import (
    PersistentTransport,
    RouteGroupInfo,
    RouteRow,
    TransportSummary,
    to_json,
)
from skywire.wire.rule import Rule

ADD_LIMIT = 25.0  # seconds for a transport to come up
ADD_TIMEOUT = 30_000_000_000  # ns, what we ask for
MAX_FILTERS = 64  # of a query
MAX_DELETED = 1000  # by one request
TRANSPORTS = {
    "type": "only this type; several times for several",
    "pk": "only to this visor; likewise",
    "logs": "false: without the traffic",
}
RULES = {"summary": "whether to show what is in the rule"}


class NewTransport(msgspec.Struct, forbid_unknown_fields=True):
    transport_type: str = ""
    remote_pk: str = ""


class Persistent(msgspec.Struct, forbid_unknown_fields=True):
    pk: str = ""
    type: str = ""


# Transports


def transports(known: Operation) -> Handler:
    @form(query=TRANSPORTS, answer=list[TransportSummary])
    async def handler(request: web.Request) -> web.StreamResponse:
        types, keys = request.query.getall("type", []), request.query.getall("pk", [])
        if len(types) + len(keys) > MAX_FILTERS:
            raise InvalidValue(f"more than {MAX_FILTERS} filters")
        wanted = TransportsIn(
            list(types), [PubKey.parse(key) for key in keys], flag(request, "logs", default=True)
        )
        return answer(request, to_json(await call(request, known, wanted)))

    return handler


def add_transport(known: Operation) -> Handler:
    @form(body=NewTransport, answer=TransportSummary)
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, NewTransport)
        try:
            remote = PubKey.parse(body.remote_pk)
        except InvalidValue as error:
            raise InvalidValue(MALFORMED) from error
        await request.app[CONTEXT].visors.reach(visor_key(request))
        wanted = AddTransportIn(remote, body.transport_type, ADD_TIMEOUT)
        try:
            made = await call(request, known, wanted, limit=ADD_LIMIT)
        except SkywireError as error:
            raise SkywireError(str(error)) from error  # 500, whatever it was
        return answer(request, to_json(made))

    return handler


def transport(known: Operation) -> Handler:
    @form(answer=TransportSummary)
    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request, to_json(await _find_transport(request)))

    return handler


def remove_transport(known: Operation) -> Handler:
    @form(answer=bool)
    async def handler(request: web.Request) -> web.StreamResponse:
        found = await _find_transport(request)
        await call(request, known, found.id)
        return answer(request, True)

    return handler


async def _find_transport(request: web.Request) -> TransportSummary:
    """Raises InvalidValue, NotFound with the reference's texts."""
    text = request.match_info["tid"]
    id = _uuid(text)
    await request.app[CONTEXT].visors.reach(visor_key(request))
    try:
        found: TransportSummary = await call_function(request, ops_transports.transport, id)
    except SkywireError as error:
        if str(error) == ops_transports.NOT_FOUND:
            raise NotFound(f"transport of ID {text} is not found") from error
        raise
    return found


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        if len(text) != 36:
            raise InvalidValue(f"invalid UUID length: {len(text)}") from None
        raise InvalidValue("invalid UUID format") from None


@audit.change("remove transports")
@form(body=list[str])
async def remove_transports(request: web.Request) -> web.StreamResponse:
    """Close transports; each succeeds or fails on its own."""

    async def remove(text: str) -> None:
        id = _uuid(text)
        await call_function(request, ops_transports.remove_transport, id)

    return await _remove_each(request, remove)


def persistent_transports(known: Operation) -> Handler:
    @form(answer=list[PersistentTransport])
    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request, to_json(await call(request, known)))

    return handler


def set_persistent_transports(known: Operation) -> Handler:
    @form(body=list[Persistent])
    async def handler(request: web.Request) -> web.StreamResponse:
        rows = await read_list(request, Persistent)
        try:
            wanted = [PersistentTransport(PubKey.parse(row.pk), row.type) for row in rows]
        except InvalidValue as error:
            raise InvalidValue(MALFORMED) from error
        await call(request, known, wanted)
        return answer(request, {})

    return handler


# Routes


def routing_rules(known: Operation) -> Handler:
    @form(query=RULES, answer=list[RouteRow])
    async def handler(request: web.Request) -> web.StreamResponse:
        summary = flag(request, "summary")
        rows = [_row(raw, summary=summary) for raw in await call(request, known) or []]
        return answer(request, to_json(rows))

    return handler


def routing_rule(known: Operation) -> Handler:
    @form(query=RULES, answer=RouteRow)
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            raw = await call(request, known, _route_id(request.match_info["rid"]))
        except SkywireError as error:
            if str(error).startswith("rule "):
                raise NotFound(str(error)) from error
            raise
        return answer(request, to_json(_row(raw, summary=flag(request, "summary", default=True))))

    return handler


def save_routing_rule(known: Operation) -> Handler:
    """Of a new id or of one in use: the id is in the body."""

    @form(body=RuleBody, answer=RouteRow)
    async def handler(request: web.Request) -> web.StreamResponse:
        rule = (await read_body(request, RuleBody)).rule()
        await call(request, known, rule.encode())
        return answer(request, to_json(shown.route_row(rule)))

    return handler


@audit.change("replace routing rule")
@form(body=RuleBody, answer=RouteRow)
async def replace_routing_rule(request: web.Request) -> web.StreamResponse:
    """The id of the path counts, whatever the body says."""
    id = _route_id(request.match_info["rid"])
    rule = replace((await read_body(request, RuleBody)).rule(), key_route_id=id)
    await call_function(request, ops_routes.save_routing_rule, rule.encode())
    return answer(request, to_json(shown.route_row(rule)))


def remove_routing_rule(known: Operation) -> Handler:
    @form(answer=bool)
    async def handler(request: web.Request) -> web.StreamResponse:
        await call(request, known, _route_id(request.match_info["rid"]))
        return answer(request, True)

    return handler


@audit.change("remove routing rules")
@form(body=list[str])
async def remove_routing_rules(request: web.Request) -> web.StreamResponse:
    """Remove rules; each succeeds or fails on its own."""

    async def remove(text: str) -> None:
        id = _route_id(text)
        try:
            await call_function(request, ops_routes.routing_rule, id)
        except SkywireError as error:
            raise NotFound(f"route of ID {id} is not found") from error
        await call_function(request, ops_routes.remove_routing_rule, id)

    return await _remove_each(request, remove)


def _route_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 1 << 32):
        raise InvalidValue("invalid route ID provided")
    return int(text)


def _row(raw: bytes, *, summary: bool) -> RouteRow:
    return shown.route_row(Rule.parse(raw), summary=summary)


def route_groups(known: Operation) -> Handler:
    """A visor of 2024 dies of the question: there the rules say what groups there are."""

    @form(answer=list[RouteGroupInfo])
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            await call_function(request, ops_info.add_pty_whitelist, [])
        except SkywireError as error:
            if "can't find method" in str(error):
                return answer(request, to_json(await _groups_by_rules(request)))
        return answer(request, to_json(await call(request, known)))

    return handler


async def _groups_by_rules(request: web.Request) -> list[RouteGroupInfo]:
    return shown.route_groups_of(await call_function(request, ops_routes.routing_rules) or [])


# Both


async def _remove_each(
    request: web.Request, remove: Callable[[str], Awaitable[None]]
) -> web.StreamResponse:
    """For a list of ids; each succeeds or fails on its own."""
    ids = await read_list(request, str)
    if len(ids) > MAX_DELETED:
        raise InvalidValue(f"more than {MAX_DELETED} ids")
    await request.app[CONTEXT].visors.reach(visor_key(request))
    results: dict[str, dict[str, Any]] = {}
    for id in dict.fromkeys(ids):
        try:
            await remove(id)
            results[id] = {"success": True, "error": ""}
        except SkywireError as error:
            results[id] = {"success": False, "error": str(error)}
    return answer(request, results)


ADAPTERS: dict[Any, Adapter] = {
    ops_transports.transports: transports,
    ops_transports.add_transport: add_transport,
    ops_transports.transport: transport,
    ops_transports.remove_transport: remove_transport,
    ops_transports.persistent_transports: persistent_transports,
    ops_transports.set_persistent_transports: set_persistent_transports,
    ops_routes.routing_rules: routing_rules,
    ops_routes.routing_rule: routing_rule,
    ops_routes.save_routing_rule: save_routing_rule,
    ops_routes.remove_routing_rule: remove_routing_rule,
    ops_routes.route_groups: route_groups,
}
MORE = [
    web.put("/api/visors/{pk}/routes/{rid}", replace_routing_rule),
    web.delete("/api/visors/{pk}/transports/", remove_transports),
    web.delete("/api/visors/{pk}/routes/", remove_routing_rules),
]
