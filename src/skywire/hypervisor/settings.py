"""Settings of a visor over HTTP. Source: hypervisor.md §4.3."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.config.values import Duration
from skywire.errors import InvalidValue, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor.answers import answer, read_body
from skywire.hypervisor.call import call
from skywire.operations import Operation
from skywire.visor import ops_node, ops_reward, ops_routes, ops_transports


class MinHops(msgspec.Struct, forbid_unknown_fields=True):
    min_hops: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0


class PublicAutoconnect(msgspec.Struct, forbid_unknown_fields=True):
    public_autoconnect: bool = False


class Reward(msgspec.Struct, forbid_unknown_fields=True):
    reward_address: str = ""


class LogRotation(msgspec.Struct, forbid_unknown_fields=True):
    log_rotation_interval: str | int = 0  # a duration's text, or nanoseconds


def set_min_hops(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, MinHops)
        await call(request, known, body.min_hops)
        return answer(request, {})

    return handler


def set_public_autoconnect(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, PublicAutoconnect)
        await call(request, known, body.public_autoconnect)
        return answer(request, {})

    return handler


def set_reward(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, Reward)
        try:
            return answer(request, await call(request, known, body.reward_address))
        except SkywireError as error:
            raise SkywireError(str(error)) from error  # 500, whatever it was

    return handler


def log_rotation(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        nanoseconds = await call(request, known)
        return answer(request, str(Duration.parse(nanoseconds)))

    return handler


def set_log_rotation(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = await read_body(request, LogRotation)
        try:
            interval = Duration.parse(body.log_rotation_interval)
        except InvalidValue as error:
            raise InvalidValue(f"log_rotation_interval: {error}") from error
        await call(request, known, round(interval * 1e9))
        return answer(request, {})

    return handler


def shutdown(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await call(request, known)
        return answer(request, True)

    return handler


def delete_reward(known: Operation) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await call(request, known)
        return answer(request, {})

    return handler


ADAPTERS: dict[Any, Callable[[Operation], Handler]] = {
    ops_routes.set_min_hops: set_min_hops,
    ops_transports.set_public_autoconnect: set_public_autoconnect,
    ops_reward.set_reward_address: set_reward,
    ops_reward.delete_reward_address: delete_reward,
    ops_node.log_rotation_interval: log_rotation,
    ops_node.set_log_rotation_interval: set_log_rotation,
    ops_node.shutdown: shutdown,
}
