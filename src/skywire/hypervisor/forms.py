"""How an operation is asked for over HTTP: what of a body or query is its request.

    ADAPTERS = {
        ops_routes.set_min_hops: by_body(MinHops, lambda body: body.min_hops),
        ops_services.vpn_servers: by_query(QUERY, servers),
    }

An adapter makes the handler of one operation. What it takes is written down beside it, so that the
OpenAPI document and the code are one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from skywire.errors import SkywireError
from skywire.http.app import Handler
from skywire.hypervisor.answers import answer, read_body
from skywire.hypervisor.call import call
from skywire.operations import Operation
from skywire.visor.types import to_json

JSON, BYTES = "application/json", "application/octet-stream"
ANY = object()  # an answer whose form is not described

Adapter = Callable[[Operation], Handler]


class Form(NamedTuple):
    """`body` and `answer` are types; `query` tells what each key is for."""

    body: Any = None
    query: Mapping[str, str] = {}
    answer: Any = ANY
    media: str = JSON  # of the answer
    help: str = ""  # "": the handler's docstring


_forms: dict[Handler, Form] = {}  # filled while the route modules are imported


def form(**parts: Any) -> Callable[[Handler], Handler]:
    """Decorator: the form of a handler, or more of it."""

    def describe(handler: Handler) -> Handler:
        _forms[handler] = form_of(handler)._replace(**parts)
        return handler

    return describe


def form_of(handler: Handler) -> Form:
    return _forms.get(handler, Form())


def by_body(
    kind: Any, make: Callable[[Any], Any], *, limit: float | None = None, always_500: bool = False
) -> Adapter:
    """The body, a Struct, is the request; `always_500`: whatever fails, as in Go."""

    def adapt(known: Operation) -> Handler:
        @form(body=kind, answer=known.answer)
        async def handler(request: web.Request) -> web.StreamResponse:
            body = await read_body(request, kind)
            try:
                return told(request, await call(request, known, make(body), limit=limit))
            except SkywireError as error:
                if always_500:
                    raise SkywireError(str(error)) from error
                raise

        return handler

    return adapt


def by_query(query: Mapping[str, str], make: Callable[[Any], Any]) -> Adapter:
    """`make` turns the query, a mapping, into the request."""

    def adapt(known: Operation) -> Handler:
        @form(query=query, answer=known.answer)
        async def handler(request: web.Request) -> web.StreamResponse:
            return told(request, await call(request, known, make(request.query)))

        return handler

    return adapt


def plain(value: Any = ...) -> Adapter:
    """Of an operation that takes nothing; the answer is `value` when that is given."""

    def adapt(known: Operation) -> Handler:
        @form(answer=known.answer if value is ... else type(value))
        async def handler(request: web.Request) -> web.StreamResponse:
            found = await call(request, known)
            return told(request, found) if value is ... else answer(request, value)

        return handler

    return adapt


def raw(query: Mapping[str, str], make: Callable[[Any], tuple[Any, ...]]) -> Adapter:
    """The answer, bytes, is the body: of JSON when it is some."""

    def adapt(known: Operation) -> Handler:
        @form(query=query, media=JSON)
        async def handler(request: web.Request) -> web.StreamResponse:
            return raw_answer(await call(request, known, *make(request.query)))

        return handler

    return adapt


def raw_answer(body: bytes) -> web.Response:
    """Never as a page: who wrote it is not known here."""
    looks = body[:64].lstrip()[:1]
    kind = JSON if looks in (b"{", b"[", b'"') or body.strip() in (b"null", b"true") else BYTES
    return web.Response(body=body, content_type=kind)


def told(request: web.Request, found: Any) -> web.Response:
    """`{}` where there is nothing to tell, as in Go."""
    return answer(request, {} if found is None else to_json(found))
