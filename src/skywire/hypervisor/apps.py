"""The apps of a visor over HTTP. Source: hypervisor.md §4.3."""

import re
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, SkywireError
from skywire.http.app import Handler
from skywire.hypervisor import audit
from skywire.hypervisor.answers import MALFORMED, answer, flag, read_body
from skywire.hypervisor.call import call, call_function, visor_key
from skywire.hypervisor.context import CONTEXT
from skywire.hypervisor.forms import Adapter, by_body, form
from skywire.operations import Operation
from skywire.visor import ops_apps
from skywire.visor.times import go_time
from skywire.visor.types import AppState, to_json
from skywire.visor.types_apps import (
    RUNNING,
    STARTING,
    AddApp,
    LogsRequest,
    SetAll,
    SetAutoStart,
    SetNetworkInterface,
    SetPassword,
    SetPk,
    SetSwitch,
    SetText,
    SetWhitelist,
    StartApp,
)
from skywire.wire.gob_types import GoTime

STOP, START = 0, 1
STAMP = re.compile(r"\[([^\]]{20,40})\]")
NO_SUCH_APP = "no such app"


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    autostart: bool | None = None
    killswitch: bool | None = None
    secure: bool | None = None
    address: str | None = msgspec.field(name="Address", default=None)
    status: int | None = None
    passcode: str | None = None
    netifc: str | None = None
    dns: str | None = None
    pk: str | None = None
    whitelist: str | None = None  # ours: keys with commas between them; "" lets everybody in
    custom_setting: dict[str, Any] | None = None


def one_app(known: Operation) -> Handler:
    @form(answer=AppState)
    async def handler(request: web.Request) -> web.StreamResponse:
        return answer(request, to_json(await _state(request)))

    return handler


class NewApp(msgspec.Struct, forbid_unknown_fields=True):
    """`binary` is a program in the visor's bin_path."""

    name: str
    binary: str


def remove_app(known: Operation) -> Handler:
    @form()
    async def handler(request: web.Request) -> web.StreamResponse:
        await call(request, known, (await _state(request)).app_config.name)
        return answer(request, {})

    return handler


async def _state(request: web.Request) -> AppState:
    name, pk = request.match_info["app"], visor_key(request)
    await request.app[CONTEXT].visors.reach(pk)
    try:
        found: AppState = await call_function(request, ops_apps.app, name)
    except SkywireError as error:
        raise NotFound(f"can not find app of name {name} from visor {pk}") from error
    return found


def of_running(known: Operation) -> Handler:
    """Of an app that runs; else 500, as in Go."""

    @form(answer=known.answer)
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            found = await call(request, known, (await _state(request)).app_config.name)
        except NotFound:
            raise
        except SkywireError as error:
            raise SkywireError(NO_SUCH_APP) from error
        return answer(request, to_json(found))

    return handler


@form(
    query={
        "since": "RFC 3339; lines after that moment",
        "empty": "whether no lines are an empty list; by default they are an error, as in Go",
    }
)
async def logs(request: web.Request) -> web.StreamResponse:
    """Lines since a moment, all without one."""
    name = (await _state(request)).app_config.name
    since = request.query.get("since", "")
    moment = go_time(since.replace(" ", "+")) if since else GoTime(0)  # a bare + arrives as a space
    lines = await call_function(request, ops_apps.logs_since, LogsRequest(moment, name))
    if not lines and not flag(request, "empty"):
        raise SkywireError("no new available logs")
    stamp = STAMP.match(lines[-1]) if lines else None
    last = stamp[1] if stamp is not None else ""
    return answer(request, {"last_log_timestamp": last, "logs": lines})


@audit.change("change app")
@form(body=Change, answer=AppState)
async def change(request: web.Request) -> web.StreamResponse:
    """Change settings, then start or stop: one that runs starts anew with other settings."""
    body = await read_body(request, Change)
    if body.status not in (None, STOP, START):
        raise InvalidValue(
            f"value of 'status' field is {body.status} when expecting {STOP} or {START}"
        )
    server = _key(body.pk)
    state = await _state(request)
    name = state.app_config.name
    steps: list[tuple[Any, Any]] = []
    if body.custom_setting is not None:
        steps.append((ops_apps.set_all_arguments, SetAll(name, body.custom_setting)))
    if body.passcode is not None:
        steps.append((ops_apps.set_app_password, SetPassword(name, body.passcode)))
    if body.whitelist is not None:
        steps.append((ops_apps.set_app_whitelist, SetWhitelist(name, body.whitelist)))
    if server is not None:
        steps.append((ops_apps.set_app_pk, SetPk(name, server)))
    if body.killswitch is not None:
        steps.append((ops_apps.set_app_killswitch, SetSwitch(name, body.killswitch)))
    if body.secure is not None:
        steps.append((ops_apps.set_app_secure, SetSwitch(name, body.secure)))
    if body.netifc is not None:
        steps.append((ops_apps.set_app_network_interface, SetNetworkInterface(name, body.netifc)))
    if body.address is not None:
        steps.append((ops_apps.set_app_address, SetText(name, body.address)))
    restart = bool(steps) and state.status in (RUNNING, STARTING)
    if body.dns is not None:
        steps.append((ops_apps.set_app_dns, SetText(name, body.dns)))
    if body.autostart is not None and body.autostart != state.app_config.auto_start:
        steps.append((ops_apps.set_auto_start, SetAutoStart(name, body.autostart)))
    for function, argument in steps:
        await call_function(request, function, argument)
    await _set_running(request, name, body.status, restart=restart)
    return answer(request, to_json(await _state(request)))


def _key(text: str | None) -> PubKey | None:
    if text is None:
        return None
    try:
        return PubKey.parse(text)
    except InvalidValue as error:
        raise InvalidValue(MALFORMED) from error


async def _set_running(
    request: web.Request, name: str, status: int | None, *, restart: bool
) -> None:
    if status == STOP:
        await call_function(request, ops_apps.stop_app, name)
    elif restart:
        await call_function(request, ops_apps.restart_app, name)
    elif status == START:
        await call_function(request, ops_apps.start_app, StartApp(name))


MORE = [
    web.put("/api/visors/{pk}/apps/{app}", change),
    web.get("/api/visors/{pk}/apps/{app}/logs", logs),
]
ADAPTERS: dict[Any, Adapter] = {
    ops_apps.add_app: by_body(NewApp, lambda body: AddApp(body.name, body.binary)),
    ops_apps.app: one_app,
    ops_apps.remove_app: remove_app,
    ops_apps.app_stats: of_running,
    ops_apps.app_connections: of_running,
}
