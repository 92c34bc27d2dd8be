"""Bodies of the HTTP API: how they are read, how answers and errors look. Source: hypervisor.md §2.

Every JSON answer ends with a newline; an error is `{"error": text}`; what a body may hold is a
Struct, and anything else in it is refused.
"""

import asyncio
import zlib
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from skywire.errors import InvalidValue
from skywire.http.app import Handler, error_response

MAX_BODY = 128 * 1024  # bytes: a thousand keys and more
BODY_LIMIT = 5.0  # seconds for a body to arrive
REQUEST_LIMIT = 30.0  # seconds for a request below /api
PACK_FROM = 64 * 1024  # bytes of an answer that is compressed
GZIP = 31  # zlib's number for it
MALFORMED = "request format is malformed"

BODY = web.RequestKey[Any]("BODY", object)  # what has been read, for the audit log

_TRUE, _FALSE = {"true", "on", "1"}, {"false", "off", "0"}
_lasting: set[Handler] = set()  # filled while the route modules are imported
_Body = TypeVar("_Body", bound=msgspec.Struct)
_Item = TypeVar("_Item")


def answer(request: web.Request, value: Any, status: int = 200) -> web.Response:
    """`value` as JSON. `?pretty=` indents it (ours; Go accepts the key and ignores it)."""
    body = msgspec.json.encode(value)
    if flag(request, "pretty"):
        body = msgspec.json.format(body, indent=2)
    return web.Response(body=body, status=status, content_type="application/json")


def flag(request: web.Request, key: str, default: bool = False) -> bool:
    """A boolean of the query. Raises InvalidValue."""
    value = request.query.get(key, "")
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    if value:
        raise InvalidValue(f"invalid '{key}' query value of '{value[:80]}'")
    return default


async def read_body(request: web.Request, kind: type[_Body]) -> _Body:
    """The body as `kind`. Raises InvalidValue with Go's text for anything malformed."""
    body: _Body = await _read(request, kind)
    return body


async def read_list(request: web.Request, kind: type[_Item]) -> list[_Item]:
    """The body as a list of `kind`; likewise."""
    items: list[_Item] = await _read(request, list[kind])  # type: ignore[valid-type]
    return items


def lasting(handler: Handler) -> Handler:
    """Decorator: this one may take as long as it likes, and sees to its own deadlines."""
    _lasting.add(handler)
    return handler


async def _read(request: web.Request, kind: Any) -> Any:
    try:
        async with asyncio.timeout(BODY_LIMIT):
            raw = await request.read()
    except TimeoutError:
        raise InvalidValue(f"request body did not arrive within {BODY_LIMIT:g} s") from None
    except web.RequestPayloadError as error:
        raise InvalidValue(MALFORMED) from error
    try:
        request[BODY] = msgspec.json.decode(raw)
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(MALFORMED) from error


@web.middleware
async def finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The newline behind every JSON body, and the longest a request to the API may take."""
    lasts = request.match_info.handler in _lasting or not request.path.startswith("/api/")
    limit = None if lasts else REQUEST_LIMIT
    try:
        async with asyncio.timeout(limit):
            response = await handler(request)
    except TimeoutError:
        response = error_response(504, f"no answer within {REQUEST_LIMIT:g} s")
    is_json = response.content_type == "application/json"
    if is_json and isinstance(response, web.Response) and isinstance(response.body, bytes):
        body = response.body + b"\n"
        if len(body) >= PACK_FROM and takes_gzip(request):
            body = await asyncio.to_thread(_packed, body)
            response.headers["Content-Encoding"] = "gzip"
        response.body = body
    return response


def takes_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def packer() -> "zlib._Compress":
    """Fast; rows are alike, a tenth of them is left."""
    return zlib.compressobj(1, wbits=GZIP)


def _packed(body: bytes) -> bytes:
    work = packer()
    return work.compress(body) + work.flush()
