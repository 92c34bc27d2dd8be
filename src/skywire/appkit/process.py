"""An app as a process: its start, what it prints, its end. Source: apps.md §2, §4."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from skywire.appkit.logs import STDERR, STDOUT, AppLogs
from skywire.appkit.output import Output
from skywire.appkit.types import PROC_CONFIG, ProcConfig
from skywire.errors import NotFound, Unavailable
from skywire.platform.processes import Child, merge_environment, spawn
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

DIRECTORY_MODE = 0o755
DRAIN = 0.2  # seconds for what was printed just before the end
QUIET = (  # lines of stderr that mean nothing
    "RTNETLINK answers: File exists",
    "RTNETLINK answers: Operation not permitted",
    "/xtables.lock: Permission denied",
    "rpc.Serve: accept:accept",
)
# The shell goes to the directory and becomes the program: posix_spawn has no way to do the first.
_SHELL = "/bin/sh"
_IN_DIRECTORY = 'cd "$1" && shift && exec "$@"'


class AppProcess:
    """Made by `start`."""

    def __init__(self, name: str, child: Child, outputs: list[Output]) -> None:
        self.name = name
        self.pid = child.pid
        self._child = child
        self._outputs = outputs
        self._tasks = Tasks(f"app {name}")
        self._reading = [self._tasks.spawn(output.run(), "output") for output in outputs]

    @classmethod
    def start(
        cls, config: ProcConfig, program: list[str], logs: AppLogs, environment: Mapping[str, str]
    ) -> "AppProcess":
        """`program` is the executable and what stands before the app's arguments.

        Raises NotFound, Unavailable or InvalidValue, with Go's texts.
        """
        check_executable(program[0])
        try:
            Path(config.proc_work_dir).mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"mkdir {config.proc_work_dir}: {error.strerror}") from error
        variables = merge_environment(environment, config.proc_envs)
        variables[PROC_CONFIG] = config.encode()
        name = config.app_name
        ends = [os.pipe(), os.pipe()]
        outputs = [
            Output(ends[0][0], lambda line: logs.add(name, "DEBUG", f"{STDOUT} {line}")),
            Output(ends[1][0], lambda line: _on_error_line(logs, name, line)),
        ]
        line = ["-c", _IN_DIRECTORY, "sh", config.proc_work_dir, *program, *config.proc_args]
        try:
            child = spawn(
                _SHELL,
                line,
                variables,
                [
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, ends[0][1], 1),
                    (os.POSIX_SPAWN_DUP2, ends[1][1], 2),
                ],
            )
        except BaseException:
            for output in outputs:
                output.close()
            raise
        finally:
            for _, writing in ends:
                os.close(writing)
        return cls(name, child, outputs)

    async def wait(self) -> int:
        """Its exit code, -1 after a signal, once it has ended and its last lines are read."""
        await asyncio.shield(self._child.exited)
        await asyncio.wait(self._reading, timeout=DRAIN)
        await self._tasks.close()
        for output in self._outputs:
            output.close()
        return -1 if self._child.exit_code is None else self._child.exit_code

    def interrupt(self) -> None:
        """Ask it to end (SIGINT)."""
        if self._child.exit_code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGINT)

    async def kill(self) -> None:
        """End it and all it has started (SIGKILL)."""
        await self._child.kill_session()


def _on_error_line(logs: AppLogs, name: str, line: str) -> None:
    if not any(quiet in line for quiet in QUIET):
        logs.add(name, "ERROR", f"{STDERR} {line}")


def check_executable(path: str) -> None:
    """Raises NotFound or Unavailable, with Go's texts."""
    if not Path(path).is_file():
        raise NotFound(f"fork/exec {path}: no such file or directory")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"fork/exec {path}: permission denied")


def own_program() -> list[str]:
    """How to run this program again."""
    return [sys.executable, "-m", "skywire"]
