"""`skywire app`: what a visor runs to start an app as a process. Source: cli.md §A5, apps.md §2."""

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from skywire.cli.output import Table, render
from skywire.cli.runtime import log_option, serve
from skywire.errors import SkywireError, StreamReset

if TYPE_CHECKING:
    from skywire.appkit.app import App
    from skywire.appkit.client import AppClient

LAST_WORDS = 2.0  # seconds to tell the visor how it ended


@click.command(
    epilog="Example: skywire app example-server-app --help",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@log_option()
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("arguments", metavar="[ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def app(name: str | None, arguments: tuple[str, ...]) -> None:
    """Run an app, as a visor does.

    What the visor wants of it is in the variable PROC_CONFIG. Without a NAME: the apps that there
    are. With --help behind the name: its flags.
    """
    from skywire.appkit.client import AppClient
    from skywire.appkit.options import usage
    from skywire.appkit.registry import find_app, known_apps

    if name is None:
        click.echo("\n".join(known_apps()))
        return
    kind = find_app(name)
    if {"-h", "--help"} & set(arguments):
        click.echo(render(Table(("flag", "meaning"), usage(kind.options))))
        return
    made = kind(arguments)
    serve(_run(made, AppClient.from_environment(os.environ)))


async def _run(made: "App", host: "AppClient") -> None:
    """Until the app or its visor ends."""
    from skywire.appkit.types import STOPPED

    async with host:
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(made.run(host), name=made.name)
                watching = tasks.create_task(_until_alone(host), name="visor")
                await running
                watching.cancel()
        except BaseExceptionGroup as group:
            (first, *_) = group.exceptions
            with suppress(SkywireError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await host.set_error(str(first) or type(first).__name__)
            raise
        finally:
            with suppress(SkywireError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await host.set_status(STOPPED)


async def _until_alone(host: "AppClient") -> None:
    await host.wait_closed()
    raise StreamReset("the visor has ended the connection: an app cannot go on without it")
