"""Settings of a visor over HTTP, and its process. Source: hypervisor.md §4.3."""

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.config.values import Duration
from skywire.errors import InvalidValue
from skywire.http.app import Handler
from skywire.hypervisor import audit
from skywire.hypervisor.answers import answer, read_body
from skywire.hypervisor.call import call, call_function
from skywire.hypervisor.forms import Adapter, by_body, form, plain, raw, told
from skywire.operations import Operation
from skywire.visor import ops_node, ops_program, ops_reward, ops_routes, ops_transports
from skywire.visor.ops_routes import RouterSettings
from skywire.visor.reward import checked

NANOSECONDS = 1_000_000_000


class MinHops(msgspec.Struct, forbid_unknown_fields=True):
    min_hops: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0


class PublicAutoconnect(msgspec.Struct, forbid_unknown_fields=True):
    public_autoconnect: bool = False


class Reward(msgspec.Struct, forbid_unknown_fields=True):
    reward_address: str = ""


class LogRotation(msgspec.Struct, forbid_unknown_fields=True):
    log_rotation_interval: str | int = 0  # a duration's text, or nanoseconds

    def nanoseconds(self) -> int:
        try:
            interval = Duration.parse(self.log_rotation_interval)
        except InvalidValue as error:
            raise InvalidValue(f"log_rotation_interval: {error}") from error
        return round(interval * NANOSECONDS)


class RouterBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    min_hops: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None
    calculate_routes: bool | None = None


def log_rotation(known: Operation) -> Handler:
    @form(answer=str)
    async def handler(request: web.Request) -> web.StreamResponse:
        nanoseconds = await call(request, known)
        return answer(request, str(Duration.parse(nanoseconds)))

    return handler


@audit.change("set router settings")
@form(body=RouterBody, answer=RouterSettings)
async def set_router_settings(request: web.Request) -> web.StreamResponse:
    """Change how the visor chooses its routes."""
    body = await read_body(request, RouterBody)
    if body.min_hops is not None:
        await call_function(request, ops_routes.set_min_hops, body.min_hops)
    if body.calculate_routes is not None:
        await call_function(request, ops_routes.set_calculate_routes, body.calculate_routes)
    return told(request, await call_function(request, ops_routes.router_settings))


ADAPTERS: dict[Any, Adapter] = {
    ops_routes.set_min_hops: by_body(MinHops, lambda body: body.min_hops),
    ops_transports.set_public_autoconnect: by_body(
        PublicAutoconnect, lambda body: body.public_autoconnect
    ),
    ops_reward.set_reward_address: by_body(
        Reward,
        lambda body: checked(body.reward_address),  # a Go visor takes anything
        always_500=True,
    ),
    ops_reward.delete_reward_address: plain(),
    ops_node.log_rotation_interval: log_rotation,
    ops_node.set_log_rotation_interval: by_body(LogRotation, LogRotation.nanoseconds),
    ops_node.reload: plain(True),
    ops_node.shutdown: plain(True),
    ops_program.runtime_config: raw({}, lambda _: ()),
}
MORE = [web.put("/api/visors/{pk}/router-settings", set_router_settings)]
