"""How a command runs its coroutine: which event loop, and what signals do to it.

`run` is for a command with an end; `serve` for one that goes on until SIGINT or SIGTERM. A service
calls `platform.ready.report` once it answers, for whoever started it (the demo, a test).
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from skywire import log
from skywire.errors import InvalidValue, NotSupported
from skywire.platform import systemd

EXIT_LIMIT = 0.5  # seconds
LOOP_VARIABLE = "SKYWIRE_LOOP"  # uvloop (default where it is installed) or asyncio

_Result = TypeVar("_Result")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run `work` to its end. Ctrl-C cancels it, lets it clean up, and raises KeyboardInterrupt."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def serve(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or a SIGINT or SIGTERM cancels it: an orderly end, exit code 0.

    Threads that wait for the system then, as for a DNS that does not answer, cannot be ended: they
    get `EXIT_LIMIT`, and the process ends with them.
    """
    leave = threading.Timer(EXIT_LIMIT, _leave)
    leave.daemon = True
    try:
        run(_until_signal(work, leave))
    finally:
        leave.cancel()


def _leave() -> None:
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


async def _until_signal(work: Coroutine[Any, Any, None], leave: threading.Timer) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        service = tasks.create_task(work, name="service")

        def stop() -> None:
            systemd.notify(systemd.STOPPING)
            service.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
    leave.start()


def log_option(default: str = "info") -> Callable[[_Function], _Function]:
    """`--loglvl`/`-s` for a service; sets up logging to stderr before the command runs."""

    def set_up(_: click.Context, __: click.Parameter, level: str) -> str:
        log.setup(level)
        return level

    return click.option(
        "-s",
        "--loglvl",
        default=default,
        show_default=True,
        expose_value=False,
        callback=set_up,
        metavar="LEVEL",
        help="How much to log: debug, info, warn or error.",
    )


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """None is asyncio's own. Without a choice: uvloop where it is installed.

    Measured on the finished code (bench/): a key's way through a web terminal takes a tenth less
    with uvloop, session handshakes a fifth; bulk does not differ.
    """
    name = os.environ.get(LOOP_VARIABLE, "")
    if name == "asyncio":
        return None
    if name not in ("", "uvloop"):
        raise InvalidValue(f'{LOOP_VARIABLE}="{name}": expected asyncio or uvloop')
    try:
        import uvloop
    except ImportError as error:
        if not name:
            return None
        raise NotSupported(
            f"{LOOP_VARIABLE}=uvloop, but uvloop is not installed; "
            'install "pyskywire[uvloop]" or unset the variable'
        ) from error
    return uvloop.new_event_loop
