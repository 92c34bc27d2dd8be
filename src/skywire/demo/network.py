"""The whole demo: its directory, its parts, its account, from start to end."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from skywire.demo import account, plan
from skywire.demo.progress import Progress, open_progress
from skywire.demo.state import DemoInfo, PartInfo, StateDirectory
from skywire.demo.supervisor import Supervisor


async def run(
    state_dir: Path | None,
    ports: plan.Ports,
    *,
    first_run: bool,
    on_up: Callable[[DemoInfo], None],
) -> None:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; returns when nothing of it is left.

    `first_run` leaves the account to the page's first-run dialog. `on_up` is called when all is up.
    Raises Unavailable when a part does not come up, Conflict for a port or directory in use.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with StateDirectory(state_dir) as state:
        parts = plan.make_parts(state, ports)
        progress = open_progress(parts, sys.stderr)
        remove = state.path if state.temporary else None
        async with Supervisor(parts, progress, remove=remove) as supervisor:
            try:
                async with asyncio.TaskGroup() as tasks:
                    work = tasks.create_task(
                        _bring_up(state, supervisor, progress, first_run=first_run, on_up=on_up)
                    )
                    await stopped.wait()
                    work.cancel()
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            progress.note("ending")


async def _bring_up(
    state: StateDirectory,
    supervisor: Supervisor,
    progress: Progress,
    *,
    first_run: bool,
    on_up: Callable[[DemoInfo], None],
) -> None:
    url = plan.web_url(supervisor.parts)
    password = "" if first_run else account.password_for(state.path)
    with progress:
        await supervisor.start()
        await _first_route(supervisor)
        if password:
            nodes = [part.public_key for part in supervisor.parts if part.name in plan.NODES]
            if not await account.prepare(url, password, [key for key in nodes if key is not None]):
                progress.note(f'the password of "{account.USER}" was changed since the last demo')
                password = ""

    def info() -> DemoInfo:
        return DemoInfo(
            url=url,
            user=account.USER,
            password=password,
            state_dir=str(state.path),
            parts=[
                PartInfo(
                    name=part.name,
                    what=part.what,
                    pid=supervisor.pid(part.name),
                    address=part.address,
                    public_key=str(part.public_key or ""),
                    rpc=part.rpc,
                    log=str(part.log),
                )
                for part in supervisor.parts
            ],
        )

    supervisor.on_change = lambda: state.publish(info())
    supervisor.on_change()
    on_up(info())


async def _first_route(supervisor: Supervisor) -> None:
    """From the first node to the last, over the one between them. Raises Unavailable."""
    by_name = {part.name: part for part in supervisor.parts}
    first, last = by_name.get(plan.NODES[0]), by_name.get(plan.NODES[-1])
    if first is not None and first.rpc and last is not None and last.public_key is not None:
        from skywire.demo.routes import make_ready  # while parts start, they need the time more

        await make_ready(first.rpc, last.public_key)
