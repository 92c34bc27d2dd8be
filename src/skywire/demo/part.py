"""One part of the demo: what to start, and the process that runs it."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from skywire.crypto.keys import PubKey
from skywire.demo.guard import Guard
from skywire.demo.processes import MARK
from skywire.errors import Unavailable
from skywire.platform import ready

START_LIMIT = 30.0  # seconds until a part must have told that it is ready
TERMINATE_LIMIT = 1.0  # seconds from SIGTERM to SIGKILL; four levels of parts end in under 5
LOG_LINES = 12  # shown of the log of a part that failed
_LOG_TAIL = 8192  # bytes read for them
_READY_LIMIT = 65536  # bytes of a ready line


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    what: str
    command: tuple[str, ...]  # the program, then its arguments
    directory: Path  # where it runs
    log: Path  # its stdout and stderr
    address: str
    public_key: PubKey | None = None
    rpc: str = ""  # where a node answers its operations
    after: tuple[str, ...] = ()  # names of the parts that must be ready before
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # may have secrets


class PartProcess:
    """A part that came up. It leads a session of its own: a Ctrl-C at the terminal is not its."""

    def __init__(self, part: Part, process: asyncio.subprocess.Process, guard: Guard) -> None:
        self.part = part
        self._process = process
        self._guard = guard

    @classmethod
    async def start(cls, part: Part, guard: Guard) -> "PartProcess":
        """Start it and wait until it is ready.

        Raises Unavailable, with the last lines of the log; then no process is left.
        """
        receiver, sender = os.pipe()
        try:
            log_file, log_start = _open_log(part)
            environment = {ready.VARIABLE: str(sender), MARK: guard.mark}
            try:
                process = await asyncio.create_subprocess_exec(
                    *part.command,
                    cwd=part.directory,
                    env={**os.environ, **part.environment, **environment},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    pass_fds=(sender,),
                    start_new_session=True,
                )
            finally:
                os.close(log_file)
        except OSError as error:
            os.close(receiver)
            text = f"{part.name} did not start: {error.filename}: {error.strerror}"
            raise Unavailable(text) from error
        finally:
            os.close(sender)
        guard.started(process.pid)
        running = cls(part, process, guard)
        try:
            how = await running._come_up(receiver)
        except BaseException:  # cancelled: the demo ends
            await running.stop()
            raise
        if how is not None:
            await running.stop()
            raise running._failure(how, log_start)
        return running

    async def _come_up(self, receiver: int) -> str | None:
        """None when it is ready, else what happened."""
        try:
            line = await _ready_line(receiver)
            if line.endswith(b"\n"):
                failed: dict[str, str] = json.loads(line).get("failed", {})
                return "; ".join(f"{name}: {why}" for name, why in failed.items()) or None
            async with asyncio.timeout(TERMINATE_LIMIT):
                return await self.wait()
        except TimeoutError:
            return f"it was not ready within {START_LIMIT:g} s"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> str:
        """Return, once it has ended, how: "exit code 1", "killed by SIGKILL"."""
        code = await self._process.wait()
        self._guard.ended(self.pid)
        return describe_end(code)

    async def stop(self) -> None:
        """SIGTERM, SIGKILL when that does not help in time; returns when it has ended."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(TERMINATE_LIMIT):
                await self.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.wait()

    def _failure(self, how: str, log_start: int) -> Unavailable:
        lines = log_tail(self.part.log, log_start)
        shown = "".join(f"\n    {line}" for line in lines) or " (empty)"
        return Unavailable(
            f"{self.part.name} ({self.part.what}) did not come up: {how}. "
            f"Its log {self.part.log} ends:{shown}"
        )


def describe_end(code: int) -> str:
    """The meaning of a return code; negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def log_tail(log: Path, start: int = 0) -> list[str]:
    """The last lines of what was logged after byte `start`."""
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _LOG_TAIL))
        return file.read(_LOG_TAIL).decode(errors="replace").splitlines()[-LOG_LINES:]
    return []


def _open_log(part: Part) -> tuple[int, int]:
    """A descriptor to append by, and the size so far."""
    descriptor = os.open(part.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return descriptor, os.fstat(descriptor).st_size


async def _ready_line(receiver: int) -> bytes:
    """What came before the end of line or file; closes `receiver`. Raises TimeoutError."""
    reader = asyncio.StreamReader(_READY_LIMIT)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(receiver, "rb")
    )
    try:
        async with asyncio.timeout(START_LIMIT):
            return await reader.readline()
    finally:
        transport.close()
