"""What commands share that start, watch and stop apps. Source: cli.md §A2, B4."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skywire.cli import output
from skywire.cli.node import NodeAddress
from skywire.errors import SkywireError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skywire.visor.client import RemoteVisor
    from skywire.visor.types import AppState

STATE = {"app": str, "port": int, "auto_start": bool, "status": str, "detailed_status": str}
POLL = 0.5  # seconds between looks at an app that starts
GRACE = 10.0  # seconds for what comes before and behind the wait
_Function = TypeVar("_Function", bound=Callable[..., Any])


def status_word(state: "AppState") -> str:
    from skywire.visor.types_apps import STATUS

    return STATUS[state.status] if 0 <= state.status < len(STATUS) else str(state.status)


def rows_of(states: "Iterable[AppState]") -> list[dict[str, Any]]:
    return [
        {
            "app": state.app_config.name,
            "port": state.app_config.port,
            "auto_start": state.app_config.auto_start,
            "status": status_word(state),
            "detailed_status": state.detailed_status,
        }
        for state in states
    ]


def mode_options(function: _Function) -> _Function:
    """Gives a command the argument `mode`: "", "internal" or "external"."""
    for name, text in (
        ("external", "Run it as a process of its own."),
        ("internal", "Run it inside the visor."),
    ):
        function = click.option(f"--{name}", "mode", flag_value=name, help=text)(function)
    return click.option("--as-configured", "mode", flag_value="", default=True, hidden=True)(
        function
    )


def wait_option(function: _Function) -> _Function:
    """Gives a command the argument `wait`, in seconds."""
    return click.option(
        "-t",
        "wait",
        type=click.FloatRange(0, 3600),
        default=0,
        metavar="SEC",
        help="Give up after so many seconds, and stop it. Default: as --timeout.",
    )(function)


def run_app(
    node: NodeAddress, name: str, start: "Callable[[RemoteVisor], Any]", wait: float
) -> "AppState":
    """Start an app with `start`, and return once it runs.

    Raises Unavailable with the app's own words when it has failed, TimeoutError when it does not
    come up; then it is stopped.
    """
    limit = wait or node.timeout

    async def work(visor: "RemoteVisor") -> "AppState":
        await start(visor)
        try:
            async with asyncio.timeout(limit or None):
                return await _until_running(visor, name)
        except (TimeoutError, asyncio.CancelledError) as error:
            await _kill(visor, name)
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"{name}: not running after {limit:g} s; stopped") from None
            raise

    return node._replace(timeout=limit + GRACE if limit else 0).run(work)


async def _until_running(visor: "RemoteVisor", name: str) -> "AppState":
    from skywire.visor import ops_apps
    from skywire.visor.types_apps import ERRORED, RUNNING, STOPPED

    output.say(f"{name}: starting …")
    told = ""
    while True:
        state = await visor.call(ops_apps.app, name)
        if state.status == RUNNING:
            return state
        if state.status in (ERRORED, STOPPED):
            raise Unavailable(f"{name}: {state.detailed_status or 'it has ended'}")
        if state.detailed_status != told:
            told = state.detailed_status
            output.say(f"{name}: {told}")
        await asyncio.sleep(POLL)


async def _kill(visor: "RemoteVisor", name: str) -> None:
    from skywire.visor import ops_apps

    try:
        async with asyncio.timeout(GRACE / 2):
            await visor.call(ops_apps.kill_app, name)
    except (SkywireError, TimeoutError):
        return  # it has ended by itself
