"""Starts, stops and watches the apps of a visor. Source: apps.md §1, §2, §4.

An app is a process, of the program that the config names, or a task inside the visor. One that
crashes, hangs or floods harms itself only: it has bounds of its own, and an end that comes.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from skywire.appkit.arguments import kind_of, own_arguments
from skywire.appkit.in_process import LocalHost
from skywire.appkit.logs import AppLogs, logs_of
from skywire.appkit.network import Network
from skywire.appkit.pids import PidFile
from skywire.appkit.proc import Proc
from skywire.appkit.process import AppProcess, check_executable, own_program
from skywire.appkit.registry import find_app, is_known
from skywire.appkit.types import STARTING, ProcConfig
from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, InvalidValue, NotFound, SkywireError, Unavailable
from skywire.streams.supervise import Tasks
from skywire.wire.app_hello import KEY_SIZE, ProcKey

log = logging.getLogger(__name__)

EXTERNAL, INTERNAL = "external", "internal"
MODES = ("", INTERNAL, EXTERNAL)
OWN_BINARY = "skywire"  # the name by which configs call the program that contains all apps
STOP_LIMIT = 10.0  # seconds from the wish that an app ends until it is ended
CLOSE_LIMIT = 1.5  # the same when the visor ends
SERVER_WAIT = 5.0  # seconds a process to be started waits for the app server
MAX_REGISTERED = 64  # apps that were not started here
ALREADY_STARTED, NOT_RUNNING = "app already started", "app not running"
NOT_FOUND = "app not found"
NO_PROC = "no process of given app is running"


class Wanted(Protocol):
    """An app of the config (`config.model.AppConfig`)."""

    @property
    def name(self) -> str: ...
    @property
    def binary(self) -> str: ...
    @property
    def args(self) -> list[str]: ...
    @property
    def port(self) -> int: ...


class Places(NamedTuple):
    """Where an app finds what; the paths are absolute."""

    pk: PubKey
    bin_path: Path
    local_path: Path


class _Running(NamedTuple):
    proc: Proc
    task: "asyncio.Task[None]"
    process: AppProcess | None  # None: inside the visor
    stopping: asyncio.Event


class Launcher:
    """Use it as an async context manager; at its end all apps have ended.

    `variables` gives what some apps need in their environment; it may wait. `on_status` is told
    whenever an app reports a status, `on_end` when it has ended.
    """

    def __init__(
        self,
        places: Places,
        network: Network,
        logs: AppLogs,
        *,
        environment: Mapping[str, str],
        variables: Callable[[str], Awaitable[list[str]]],
        on_status: Callable[[Proc], None] = lambda _: None,
        on_end: Callable[[Proc], Awaitable[None]],
    ) -> None:
        self._places = places
        self._network = network
        self._logs = logs
        self._environment = environment
        self._variables = variables
        self._on_status = on_status
        self._on_end = on_end
        self._running: dict[str, _Running] = {}
        self._starting: set[str] = set()
        self._registered: dict[str, Proc] = {}
        self._last: dict[str, Proc] = {}  # the newest of each name, ended or not
        self._pids = PidFile(places.local_path / "apps-pid.txt", places.pk)
        self._tasks = Tasks("launcher")
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.server_needed = asyncio.Event()

    async def __aenter__(self) -> "Launcher":
        await asyncio.to_thread(self._pids.kill_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        running = list(self._running.values())
        await asyncio.gather(*(self._end(each, CLOSE_LIMIT) for each in running))
        await self._tasks.close()

    def serves_at(self, address: str) -> None:
        """Where the app server is now."""
        if self._address.done():
            self._address = asyncio.get_running_loop().create_future()
        self._address.set_result(address)

    # What there is

    def find(self, key: ProcKey) -> Proc | None:
        """For the app server."""
        for proc in (*self.procs(), *self._registered.values()):
            if proc.key == key:
                return proc
        return None

    def procs(self) -> list[Proc]:
        """Of the apps that run, but those registered from outside."""
        return [each.proc for each in self._running.values()]

    def proc(self, name: str) -> Proc | None:
        """The one that runs under this name, registered ones included."""
        running = self._running.get(name)
        return running.proc if running is not None else self._registered.get(name)

    def last(self, name: str) -> Proc | None:
        """The newest of this name, even if it has ended: its error is kept."""
        return self.proc(name) or self._last.get(name)

    # Start

    async def start(self, wanted: Wanted, mode: str = "") -> None:
        """Raises Conflict when it runs, NotFound without its program, Unavailable, InvalidValue.

        `mode` is "internal", "external" or "": external if the program is there, else internal.
        """
        name = wanted.name
        if mode not in MODES:
            raise InvalidValue(f'launcher mode "{mode[:40]}": expected internal or external')
        if self.proc(name) is not None or name in self._starting:
            raise Conflict(ALREADY_STARTED)
        self._starting.add(name)
        try:
            await self._start(wanted, mode)
        finally:
            self._starting.discard(name)

    async def _start(self, wanted: Wanted, mode: str) -> None:
        kind = kind_of(wanted.name, wanted.args)
        program = self._places.bin_path / (wanted.binary or OWN_BINARY)
        internal = mode == INTERNAL or (not mode and not program.is_file() and is_known(kind))
        config = self._config(wanted, program)
        if internal:
            app = find_app(kind)(own_arguments(wanted.args))
            config.routing_port = config.routing_port or app.port
            proc = Proc(config, self._network, self._on_status)
            work, process = self._run_inside(proc, app.run(LocalHost(proc))), None
        else:
            command = [str(program)]
            if not program.is_file() and program.name == OWN_BINARY and is_known(kind):
                command = own_program()
            check_executable(command[0])
            config.proc_envs = await self._variables(kind)
            config.app_server_addr = await self._server()
            proc = Proc(config, self._network, self._on_status)
            process = AppProcess.start(config, command, self._logs, self._environment)
            self._pids.add(wanted.name, process.pid)
            work = self._run_process(proc, process)
        proc.status = STARTING
        stopping = asyncio.Event()
        self._last[wanted.name] = proc
        task = self._tasks.spawn(self._watch(proc, work, stopping), wanted.name)
        self._running[wanted.name] = _Running(proc, task, process, stopping)
        place = f"process {process.pid}" if process else "inside the visor"
        self._logs.add(wanted.name, "INFO", f"started, {place}")
        log.info("app started name=%s place=%s", wanted.name, place)

    def _config(self, wanted: Wanted, program: Path) -> ProcConfig:
        local = self._places.local_path
        return ProcConfig(
            app_name=wanted.name,
            proc_key=new_key(),
            proc_args=list(wanted.args),
            proc_work_dir=str(local / wanted.name),
            visor_pk=self._places.pk,
            routing_port=wanted.port,
            binary_loc=str(program),
            log_db_loc=str(local / f"{wanted.name}_log.db"),
        )

    async def _server(self) -> str:
        self.server_needed.set()
        try:
            async with asyncio.timeout(SERVER_WAIT):
                return await asyncio.shield(self._address)
        except TimeoutError:
            raise Unavailable(
                "the app server is not up: see launcher.server_addr in the config"
            ) from None

    # Run

    async def _run_process(self, proc: Proc, process: AppProcess) -> None:
        try:
            code = await process.wait()
        finally:
            self._pids.remove(process.pid)
        if code and not proc.error:
            proc.error = "it was killed" if code < 0 else f"it ended with exit code {code}"

    async def _run_inside(self, proc: Proc, run: Awaitable[None]) -> None:
        with logs_of(proc.name, self._logs):
            try:
                await run
            except SkywireError as error:
                proc.set_error(str(error))
                log.warning("app failed name=%s reason=%s", proc.name, error)
            except Exception as error:
                proc.set_error(str(error) or type(error).__name__)
                log.error("app failed name=%s", proc.name, exc_info=error)

    async def _watch(self, proc: Proc, work: Awaitable[None], stopping: asyncio.Event) -> None:
        try:
            await work
        finally:
            if stopping.is_set():  # how it ends when it is told to is no error
                proc.error = ""
            running = self._running.get(proc.name)
            if running is not None and running.proc is proc:
                del self._running[proc.name]
            self._logs.add(proc.name, "INFO", f"ended, error: {proc.error or 'none'}")
            log.info("app ended name=%s error=%s", proc.name, proc.error or "none")
            await proc.close()
            await self._on_end(proc)

    # Stop

    async def stop(self, name: str) -> None:
        """Ask it to end; ended at the latest after `STOP_LIMIT`. Raises Conflict if none runs."""
        await self._end(self._of(name), STOP_LIMIT)

    async def kill(self, name: str) -> None:
        """End it now. Raises Conflict if none runs."""
        await self._end(self._of(name), 0)

    def _of(self, name: str) -> _Running:
        running = self._running.get(name)
        if running is None:
            raise Conflict(NOT_RUNNING)
        return running

    async def _end(self, running: _Running, limit: float) -> None:
        running.stopping.set()
        if running.process is None:
            running.task.cancel()
        else:
            running.process.interrupt()
        if limit:
            await asyncio.wait([running.task], timeout=limit)
        if not running.task.done():
            log.warning("app does not end by itself name=%s", running.proc.name)
            if running.process is not None:
                await running.process.kill()
                await asyncio.wait([running.task], timeout=CLOSE_LIMIT)
            self._running.pop(running.proc.name, None)
            await running.proc.close()

    # Apps that were not started here

    async def register(self, config: ProcConfig) -> ProcKey:
        """The key by which it may connect. Raises Conflict when the name is in use, Unavailable."""
        config.app_server_addr = await self._server()
        name = config.app_name
        if not name:
            raise InvalidValue("an app without a name cannot be registered")
        if self.proc(name) is not None:
            raise Conflict(ALREADY_STARTED)
        if len(self._registered) >= MAX_REGISTERED:
            raise Unavailable(f"{MAX_REGISTERED} apps are registered: deregister one")
        key = ProcKey(config.proc_key)
        if not any(key) or self.find(key) is not None:
            key = new_key()
        config.proc_key = key
        config.visor_pk = self._places.pk
        proc = Proc(config, self._network, self._on_status)
        self._registered[name] = self._last[name] = proc
        return key

    def deregister(self, key: ProcKey) -> None:
        """Its connection, if it has one, goes on. Raises NotFound."""
        for name, proc in self._registered.items():
            if proc.key == key:
                del self._registered[name]
                return
        raise NotFound(NO_PROC)


def new_key() -> ProcKey:
    """A random UUID, as Go's."""
    raw = bytearray(generate.random_bytes(KEY_SIZE))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return ProcKey(bytes(raw))


def absolute(path: str) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))
