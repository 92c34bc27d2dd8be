"""Calls an operation of the visor that a request names. Source: hypervisor.md §1, §4."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotSupported, Refused, SkywireError
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.visors import Visors
from skywire.operations import Operation, operation_of

CALL_LIMIT = 15.0  # seconds for a visor to answer one call
NO_METHOD = "rpc: can't find method"  # of an older visor: what is asked is not known there
_Answer = TypeVar("_Answer")


def visor_key(request: web.Request) -> PubKey:
    """Of the path; our own, when the path has none. Raises InvalidValue."""
    if "pk" not in request.match_info:
        return request.app[CONTEXT].own
    try:
        return PubKey.parse(request.match_info["pk"])
    except InvalidValue:
        raise InvalidValue("Invalid public key") from None


async def call(
    request: web.Request, known: Operation, *arguments: Any, limit: float | None = None
) -> Any:
    """`limit` in seconds, else CALL_LIMIT. Raises SkywireError with the visor's own text,
    TimeoutError."""
    limit = CALL_LIMIT if limit is None else limit
    visors = request.app[CONTEXT].visors
    return await ask(visors, visor_key(request), known.function, *arguments, limit=limit)


async def ask(
    visors: Visors,
    pk: PubKey,
    function: Callable[..., Awaitable[_Answer]],
    *arguments: Any,
    limit: float,
) -> _Answer:
    """The same for any visor."""
    try:
        async with asyncio.timeout(limit):
            return await visors.call(pk, function, *arguments)
    except TimeoutError:
        raise TimeoutError(f"remote visor {pk} did not respond within {limit:g}s") from None
    except Refused as error:  # the visor's own text, passed on as Go does
        if str(error.reason).startswith(NO_METHOD):
            raise NotSupported(str(error.reason)) from error
        raise SkywireError(error.reason) from error


async def call_function(request: web.Request, function: Any, *arguments: Any) -> Any:
    """The same by the function that declares the operation."""
    return await call(request, operation_of(function), *arguments)
