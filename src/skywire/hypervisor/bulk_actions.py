"""What can be done to many visors at once: arguments, effect, what it would change, command.

The arguments have the names that the routes of one visor have. A preview compares with the last
known summary of a visor, as `/api/visors-summary` shows it.
"""

import shlex
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Meta

from skywire.config.values import Duration
from skywire.crypto.keys import PubKey
from skywire.visor import ops_apps, ops_node, ops_reward, ops_routes, ops_transports
from skywire.visor.ops_transports import AddTransportIn
from skywire.visor.reward import checked
from skywire.visor.types import to_json
from skywire.visor.types_apps import SetAutoStart, StartApp

ADD_LIMIT = 25.0  # seconds for a transport to come up
ADD_TIMEOUT = 30_000_000_000  # ns, what we ask for
MAX_TEXT = 200  # characters of an argument
WORDS = ("stopped", "running", "errored", "starting")  # states of an app

_Answer = TypeVar("_Answer")
Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]


class Ask(Protocol):
    """Calls an operation of one visor; raises SkywireError, TimeoutError."""

    async def __call__(
        self, function: Callable[..., Awaitable[_Answer]], *arguments: Any
    ) -> _Answer: ...


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Of actions that take no arguments."""


class App(msgspec.Struct, forbid_unknown_fields=True):
    app: Text


class Autostart(msgspec.Struct, forbid_unknown_fields=True):
    app: Text
    autostart: bool


class MinHops(msgspec.Struct, forbid_unknown_fields=True):
    min_hops: Annotated[int, Meta(ge=0, le=0xFFFF)]


class PublicAutoconnect(msgspec.Struct, forbid_unknown_fields=True):
    public_autoconnect: bool


class Reward(msgspec.Struct, forbid_unknown_fields=True):
    reward_address: Annotated[str, Meta(max_length=MAX_TEXT)]  # "" deletes it


class NewTransport(msgspec.Struct, forbid_unknown_fields=True):
    transport_type: Text
    remote_pk: Text


class LogRotation(msgspec.Struct, forbid_unknown_fields=True):
    log_rotation_interval: str | int  # a duration's text, or nanoseconds


class Action(NamedTuple):
    """`now` and `then` are of what a visor shows, as texts; `now` is None when that is unknown."""

    help: str
    arguments: type[msgspec.Struct]
    run: Callable[[Ask, Any], Awaitable[Any]]
    command: Callable[[Any], list[str]]  # words below `skywire cli`
    then: Callable[[Any], str]
    now: Callable[[dict[str, Any], Any], str | None]
    limit: float = 15.0  # seconds for one visor


def app_state(row: dict[str, Any], wanted: Any) -> str | None:
    """None for an app that the visor does not have."""
    for app in (row.get("overview") or {}).get("apps") or []:
        if app["name"] == wanted.app:
            return WORDS[app["status"]] if 0 <= app["status"] < len(WORDS) else "unknown"
    return None


def _autostart(row: dict[str, Any], wanted: Autostart) -> str | None:
    for app in (row.get("overview") or {}).get("apps") or []:
        if app["name"] == wanted.app:
            return _switch(app["auto_start"])
    return None


def _transport(row: dict[str, Any], wanted: NewTransport) -> str | None:
    transports = (row.get("overview") or {}).get("transports") or []
    there = any(
        one["remote_pk"] == wanted.remote_pk and one["type"] == wanted.transport_type
        for one in transports
    )
    return "up" if there else "not there"


def _switch(value: object) -> str:
    return "on" if value else "off"


async def _set_reward(ask: Ask, wanted: Reward) -> None:
    if wanted.reward_address:
        await ask(ops_reward.set_reward_address, checked(wanted.reward_address))
    else:
        await ask(ops_reward.delete_reward_address)


async def _add_transport(ask: Ask, wanted: NewTransport) -> Any:
    remote = PubKey.parse(wanted.remote_pk)
    made = await ask(
        ops_transports.add_transport, AddTransportIn(remote, wanted.transport_type, ADD_TIMEOUT)
    )
    return to_json(made)


def _nanoseconds(wanted: LogRotation) -> int:
    return round(Duration.parse(wanted.log_rotation_interval) * 1e9)


ACTIONS: dict[str, Action] = {
    "start-app": Action(
        "Start an app.",
        App,
        lambda ask, wanted: ask(ops_apps.start_app, StartApp(wanted.app)),
        lambda wanted: ["visor", "app", "start", wanted.app],
        lambda wanted: "running",
        app_state,
    ),
    "stop-app": Action(
        "Stop an app.",
        App,
        lambda ask, wanted: ask(ops_apps.stop_app, wanted.app),
        lambda wanted: ["visor", "app", "stop", wanted.app],
        lambda wanted: "stopped",
        app_state,
    ),
    "restart-app": Action(
        "Stop an app and start it again.",
        App,
        lambda ask, wanted: ask(ops_apps.restart_app, wanted.app),
        lambda wanted: ["visor", "app", "restart", wanted.app],
        lambda wanted: "started anew",
        app_state,
    ),
    "set-autostart": Action(
        "Start an app with its visor, or not.",
        Autostart,
        lambda ask, wanted: ask(
            ops_apps.set_auto_start, SetAutoStart(wanted.app, wanted.autostart)
        ),
        lambda wanted: ["visor", "app", "arg", "autostart", wanted.app, _truth(wanted.autostart)],
        lambda wanted: _switch(wanted.autostart),
        _autostart,
    ),
    "set-min-hops": Action(
        "Have new routes lead over at least so many transports.",
        MinHops,
        lambda ask, wanted: ask(ops_routes.set_min_hops, wanted.min_hops),
        lambda wanted: ["route", "minhops", str(wanted.min_hops)],
        lambda wanted: str(wanted.min_hops),
        lambda row, _: str(row["min_hops"]) if "min_hops" in row else None,
    ),
    "set-public-autoconnect": Action(
        "Keep transports to some public visors, or no longer.",
        PublicAutoconnect,
        lambda ask, wanted: ask(ops_transports.set_public_autoconnect, wanted.public_autoconnect),
        lambda wanted: ["tp", "auto", _switch(wanted.public_autoconnect)],
        lambda wanted: _switch(wanted.public_autoconnect),
        lambda row, _: _switch(row.get("public_autoconnect")),
    ),
    "set-reward": Action(
        "Have rewards paid to a Skycoin address; to none when it is empty.",
        Reward,
        _set_reward,
        lambda wanted: (
            ["reward", wanted.reward_address] if wanted.reward_address else ["reward", "--delete"]
        ),
        lambda wanted: checked(wanted.reward_address) if wanted.reward_address else "none",
        lambda row, _: str(row.get("reward_address") or "none"),
    ),
    "add-transport": Action(
        "Open a transport to another visor.",
        NewTransport,
        _add_transport,
        lambda wanted: ["tp", "add", wanted.remote_pk, "--type", wanted.transport_type],
        lambda wanted: "up",
        _transport,
        ADD_LIMIT,
    ),
    "remove-transports": Action(
        "Close all transports; those that are to be kept up come back.",
        Nothing,
        lambda ask, _: ask(ops_transports.remove_all_transports),
        lambda _: ["tp", "rm", "--all"],
        lambda _: "0 transports",
        lambda row, _: f"{len((row.get('overview') or {}).get('transports') or [])} transports",
    ),
    "set-log-rotation": Action(
        "Keep the files with each day's traffic for so long.",
        LogRotation,
        lambda ask, wanted: ask(ops_node.set_log_rotation_interval, _nanoseconds(wanted)),
        lambda wanted: ["tp", "rotation", str(Duration.parse(wanted.log_rotation_interval))],
        lambda wanted: str(Duration.parse(wanted.log_rotation_interval)),
        lambda row, _: "unknown",
    ),
    "reload": Action(
        "Have the visor read its config file again and start anew.",
        Nothing,
        lambda ask, _: ask(ops_node.reload),
        lambda _: ["visor", "reload"],
        lambda _: "started anew",
        lambda row, _: "running",
    ),
    "shutdown": Action(
        "Have the visor stop; systemd, where it runs one, starts it again.",
        Nothing,
        lambda ask, _: ask(ops_node.shutdown),
        lambda _: ["visor", "halt"],
        lambda _: "stopped",
        lambda row, _: "running",
    ),
}


def _truth(value: bool) -> str:
    return "true" if value else "false"


def command(action: Action, arguments: Any, pk: PubKey) -> str:
    """What does the same on the command line; "" when no command does."""
    words = action.command(arguments)
    return shlex.join(["skywire", "cli", "--via", f"dmsg://{pk}", *words]) if words else ""
