"""The apps of a visor: its config's, how they are, what is told of them. Source: apps.md §4, §11.

The launcher runs them; what is changed here goes into the config file at once.
"""

import asyncio
import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import msgspec

from skywire.appkit import types as says
from skywire.appkit.arguments import get_text, kind_of
from skywire.appkit.connection import Connection
from skywire.appkit.events import Broadcaster
from skywire.appkit.launcher import NO_PROC, NOT_FOUND, Launcher, Places, absolute
from skywire.appkit.logs import AppLogs, LogHandler
from skywire.appkit.network import Network
from skywire.appkit.proc import Proc
from skywire.appkit.server import AppServer
from skywire.config.load import ConfigFile
from skywire.config.model import AppConfig
from skywire.config.values import is_loopback
from skywire.errors import Conflict, InvalidValue, NotFound, SkywireError, Unavailable
from skywire.router.route_group import RouteGroup
from skywire.stores.app_logs import AppLogStore
from skywire.streams.tcp import listen_tcp
from skywire.visor.app_environment import Facts, variables
from skywire.visor.app_listing import Listings
from skywire.visor.modules import Module, Report
from skywire.visor.services import Services
from skywire.visor.types import AppConfig as ShownConfig
from skywire.visor.types import AppState
from skywire.visor.types_apps import (
    ERRORED,
    RUNNING,
    STARTING,
    STOPPED,
    AppStats,
    ConnectionSummary,
)
from skywire.wire.gob_types import GoTime

log = logging.getLogger(__name__)

MAX_APPS = 100  # in the config
FIRST_FREE, LAST_FREE = 10, 99  # ports of apps that are added
NO_FIGURES = "Can't get such info from this conn"  # Go's text for dmsg
BUSY = (says.CONNECTING, says.STARTING, says.RECONNECTING)
VPN_CLIENT, SKYSOCKS_CLIENT = "vpn-client", "skysocks-client"
NS = 1_000_000_000


class _Start(NamedTuple):
    """An app as it is to be started: as configured, or with other arguments for now."""

    name: str
    binary: str
    args: list[str]
    port: int


class Apps:
    """Use it as an async context manager; at its end all apps have ended."""

    def __init__(
        self,
        file: ConfigFile,
        network: Network,
        services: Services,
        events: Broadcaster,
        facts: Facts,
    ) -> None:
        self._file = file
        self._network = network
        self._facts = facts
        self._stack = AsyncExitStack()
        self._for_now: dict[str, list[str]] = {}  # arguments that are not in the config
        self.events = events
        self._listings = Listings(file.config, services)
        store = AppLogStore(absolute(file.config.local_path) / "app_logs.db")
        self.logs = AppLogs(store)
        self.launcher: Launcher

    async def __aenter__(self) -> "Apps":
        config, enter = self._file.config, self._stack.enter_async_context
        places = Places(config.pk, absolute(config.launcher.bin_path), absolute(config.local_path))
        self.launcher = Launcher(
            places,
            self._network,
            self.logs,
            environment=os.environ,
            variables=lambda kind: variables(kind, self._file.config, self._facts),
            on_status=self._on_status,
            on_end=self._on_end,
        )
        await enter(self.logs)
        handler = LogHandler(self.logs)
        logging.getLogger().addHandler(handler)
        self._stack.callback(logging.getLogger().removeHandler, handler)
        await enter(self._listings)
        await enter(self.launcher)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # Parts

    def modules(self) -> Iterator[Module]:
        if self._file.config.launcher.server_addr:
            yield Module("app server", self._serve)
        yield Module("apps", self._autostart, awaited=False)

    async def _serve(self, report: Report) -> None:
        launcher = self._file.config.launcher
        if not launcher.apps:  # no port is taken for nobody
            report.up()
            await self.launcher.server_needed.wait()
        address = launcher.server_addr
        host = address.host or "127.0.0.1"
        if not is_loopback(host):
            log.warning("launcher.server_addr is open to the network address=%s", address)
        listener = await listen_tcp(host, address.port)
        served = f"{'127.0.0.1' if host == 'localhost' else host}:{listener.address.port}"
        self.launcher.serves_at(served)
        report.up(apps=served)
        try:
            await AppServer(self.launcher.find, self.events).serve(listener)
        finally:
            await listener.close()

    async def _autostart(self, report: Report) -> None:
        """One that does not start is told, and no more."""
        report.up()
        wanted = [app for app in self._file.config.launcher.apps if app.auto_start]
        await asyncio.gather(*(self._start_quietly(app) for app in wanted))
        await asyncio.get_running_loop().create_future()

    async def _start_quietly(self, app: AppConfig) -> None:
        try:
            await self.launcher.start(app, _mode(app, ""))
        except (SkywireError, OSError) as error:
            log.warning("app not started name=%s reason=%s", app.name, error)
            self.logs.add(app.name, "ERROR", f"not started: {error}")

    def _on_status(self, proc: Proc) -> None:
        if proc.status == says.RUNNING:
            self._listings.begin(proc)

    async def _on_end(self, proc: Proc) -> None:
        await self._listings.end(proc)

    # What there is

    def config(self, name: str) -> AppConfig:
        """Raises NotFound."""
        for app in self._file.config.launcher.apps:
            if app.name == name:
                return app
        raise NotFound(NOT_FOUND)

    def arguments(self, app: AppConfig) -> list[str]:
        """Those it has or would be started with."""
        return self._for_now.get(app.name, app.args)

    def states(self) -> list[AppState]:
        return [self._state(app) for app in self._file.config.launcher.apps]

    def state(self, name: str) -> AppState:
        """Raises NotFound."""
        try:
            return self._state(self.config(name))
        except NotFound as error:
            raise NotFound(NO_PROC) from error

    def _state(self, app: AppConfig) -> AppState:
        shown = ShownConfig(app.name, app.binary, self.arguments(app), app.auto_start, app.port)
        running, last = self.launcher.proc(app.name), self.launcher.last(app.name)
        return AppState(shown, *_status(running, "" if last is None else last.error))

    def running(self, name: str) -> Proc:
        """Raises NotFound."""
        proc = self.launcher.proc(name)
        if proc is None:
            raise NotFound(NO_PROC)
        return proc

    def stats(self, name: str) -> AppStats:
        """Raises NotFound unless it runs."""
        return AppStats(self.connections(name), self.running(name).started)

    def connections(self, name: str) -> list[ConnectionSummary]:
        """Raises NotFound unless it runs."""
        proc = self.running(name)
        return [
            _connection(connection, proc.connection_seconds)
            for connection in proc.connections.values()
        ]

    async def logs_since(self, name: str, moment: GoTime) -> list[str]:
        """Raises NotFound for an app that is not known, Unavailable."""
        if self.launcher.last(name) is None:
            self.config(name)
        return await self.logs.since(name, moment)

    # Start and stop

    async def start(self, name: str, mode: str = "") -> None:
        """Raises NotFound, Conflict when it runs, Unavailable."""
        app = self.config(name)
        start = _Start(app.name, app.binary, self.arguments(app), app.port)
        await self.launcher.start(start, _mode(app, mode))

    async def restart(self, name: str) -> None:
        """Raises as `stop` and `start`."""
        await self.launcher.stop(name)
        await self.start(name)

    async def start_with(self, name: str, arguments: Sequence[str]) -> None:
        """With other arguments than the config's, until these are changed."""
        self.config(name)
        if self.launcher.proc(name) is not None:
            raise Conflict("app already started")
        self._for_now[name] = list(arguments)
        await self.start(name)

    async def stop_all(self, kind: str) -> None:
        """All that are this app, whatever they are called."""
        apps = self._file.config.launcher.apps
        running = {proc.name for proc in self.launcher.procs()}
        names = [app.name for app in apps if kind in self.arguments(app) and app.name in running]
        await asyncio.gather(*map(self.launcher.stop, names))

    # The config

    def add(self, name: str, binary: str) -> None:
        """On a free port. Raises Conflict, InvalidValue, Unavailable."""
        apps = self._file.config.launcher.apps
        if not name or not name.isprintable() or "/" in name or name in (".", ".."):
            raise InvalidValue(f"app name {name[:60]!r}: expected a word without a slash")
        if any(app.name == name for app in apps):
            raise Conflict(f'an app "{name}" is in the config already')
        if len(apps) >= MAX_APPS:
            raise Unavailable(f"the config has {MAX_APPS} apps already")
        taken = {app.port for app in apps}
        free = [port for port in range(FIRST_FREE, LAST_FREE + 1) if port not in taken]
        if not free:
            raise Unavailable(f"no free port from {FIRST_FREE} to {LAST_FREE}")
        port = random.choice(free)  # noqa: S311 - no secret
        self._write([*apps, AppConfig(name=name, binary=binary, port=port)])

    async def remove(self, name: str) -> None:
        """Raises NotFound, Unavailable."""
        self.config(name)
        if self.launcher.proc(name) is not None:
            await self.launcher.stop(name)
        self._for_now.pop(name, None)
        self._write([app for app in self._file.config.launcher.apps if app.name != name])

    def set_arguments(self, name: str, arguments: Sequence[str]) -> None:
        """Raises NotFound, Unavailable."""
        self._for_now.pop(name, None)
        self._change(msgspec.structs.replace(self.config(name), args=list(arguments)))

    def set_auto_start(self, name: str, value: bool) -> None:
        """Raises NotFound, Unavailable."""
        self._change(msgspec.structs.replace(self.config(name), auto_start=value))

    def _change(self, changed: AppConfig) -> None:
        apps = self._file.config.launcher.apps
        self._write([changed if app.name == changed.name else app for app in apps])

    def _write(self, apps: list[AppConfig]) -> None:
        config = self._file.config
        launcher = msgspec.structs.replace(config.launcher, apps=apps)
        self._file.update(msgspec.structs.replace(config, launcher=launcher))

    def require(self, name: str, *kinds: str) -> AppConfig:
        """The app, if it is one of these. Raises NotFound, InvalidValue."""
        app = self.config(name)
        kind = kind_of(app.name, app.args)
        if kind not in kinds:
            raise InvalidValue(f"app {name} has no such setting: only {', '.join(kinds)}")
        return app


def server_of(arguments: Sequence[str]) -> str:
    """The key that a client app is for, "" without one."""
    return get_text(arguments, "--srv")


def _mode(app: AppConfig, wanted: str) -> str:
    configured = app.launcher_mode if isinstance(app.launcher_mode, str) else ""
    return wanted or configured


def _status(proc: Proc | None, error: str) -> tuple[int, str]:
    status, text = (ERRORED, error) if error else (STOPPED, "")
    if proc is None:
        return status, text
    text = proc.status
    if len(proc.connections):
        return RUNNING, text
    if text == says.RUNNING:
        return STARTING, says.STARTING
    return (STARTING if text in BUSY else status), text


def _connection(connection: Connection, seconds: int) -> ConnectionSummary:
    shown = ConnectionSummary(
        is_alive=connection.is_alive,
        bandwidth_sent=connection.sent,
        bandwidth_received=connection.received,
        error=connection.error,
        connection_duration=seconds,
    )
    group = connection.stream
    if not isinstance(group, RouteGroup):
        shown.error = shown.error or NO_FIGURES
        return shown
    latency, upload, download = group.latency, group.upload, group.download
    shown.latency = round(latency[0] * NS) if latency else 0
    shown.upload_speed = round(upload[0]) if upload else 0
    shown.download_speed = round(download[0]) if download else 0
    return shown
