"""Runs a visor for `skywire visor`: until a signal, again after a reload, as systemd wants it.

SIGHUP reads the config again; SIGUSR1 drops the dmsg connections, to try what losing them does.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from skywire.config.load import ConfigFile
from skywire.crypto.keys import PubKey
from skywire.errors import NotSupported, SkywireError
from skywire.platform import ready, systemd
from skywire.streams.supervise import Tasks
from skywire.visor.modules import Part, State
from skywire.visor.settings import HYPERVISOR
from skywire.visor.visor import Visor

log = logging.getLogger(__name__)

MAX_STATUS = 300  # characters of what systemd shows


class VisorService:
    """`read` gives the config, again after each reload."""

    def __init__(
        self,
        read: Callable[[], ConfigFile],
        *,
        csrf: bool = True,
        browser: bool = False,
        dmsg_server: PubKey | None = None,
    ) -> None:
        self._read = read
        self._csrf = csrf
        self._browser = browser
        self._dmsg_server = dmsg_server
        self._node: Visor | None = None
        self._tasks = Tasks("visor service")

    async def run(self, file: ConfigFile) -> None:
        """Until cancelled, or until somebody asks the visor to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._drop_sessions)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        if (interval := systemd.watchdog_interval()) is not None:
            self._tasks.spawn(self._feed_watchdog(interval), "watchdog")
        try:
            while await self._run_once(file):
                systemd.reloading()
                file = self._read()
        finally:
            systemd.notify(systemd.STOPPING)
            await self._tasks.close()

    async def _run_once(self, file: ConfigFile) -> bool:
        """Whether to go on with the config as it is then."""
        node = self._node = Visor(file, dmsg_server=self._dmsg_server)

        def make() -> Part:
            from skywire.hypervisor.part import hypervisor_part  # many visors have none

            return hypervisor_part(node, csrf=self._csrf)

        node.make_hypervisor = make
        if node.config.hypervisor is not None:
            node.add_part(HYPERVISOR, make())
        await node.run(lambda: self._tell(node))
        return node.wants_reload

    def _tell(self, node: Visor) -> None:
        facts: dict[str, object] = {"pk": str(node.pk)}
        failed = {}
        for name, report in node.modules.reports().items():
            facts |= report.facts
            if report.state is State.FAILED:
                failed[name] = report.reason
        shown = " ".join(f"{name}={value}" for name, value in facts.items())
        log.info("visor ready %s failed=%s", shown, ",".join(failed) or "none")
        systemd.notify(systemd.READY, f"STATUS={status(node)}")
        ready.report(**facts, failed=failed)
        if self._browser and isinstance(url := facts.get("url"), str):
            self._tasks.spawn(_open_browser(url), "browser")

    async def _feed_watchdog(self, interval: float) -> None:
        """The loop lives, or this would not run."""
        while True:
            told = [systemd.WATCHDOG]
            if self._node is not None:
                told.append(f"STATUS={status(self._node)}")
            systemd.notify(*told)
            await asyncio.sleep(interval)

    def _drop_sessions(self) -> None:
        log.warning("dropping all dmsg sessions, by signal")
        if self._node is not None:
            with suppress(NotSupported):  # it starts or ends: there are none
                self._node.dmsg.drop_sessions()

    def _reload(self) -> None:
        try:
            if self._node is not None:
                self._node.reload()
        except SkywireError as error:
            log.error("config not read again reason=%s", error)


def status(node: Visor) -> str:
    """One line: what runs, and what does not."""
    reports = node.modules.reports()
    running = sum(report.state is State.RUNNING for report in reports.values())
    failed = [
        f"{name}: {report.reason}"
        for name, report in reports.items()
        if report.state is State.FAILED
    ]
    text = f"{node.pk}, {running} of {len(reports)} modules run"
    return f"{text}; {'; '.join(failed)}"[:MAX_STATUS] if failed else text


async def _open_browser(url: str) -> None:
    import webbrowser

    if os.geteuid() == 0:
        log.warning("no browser is opened by root url=%s", url)
    elif not await asyncio.to_thread(webbrowser.open, url):
        log.warning("no browser found url=%s", url)
