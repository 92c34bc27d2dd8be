"""Run a program to its end without a terminal: `pty.Exec`. Source: pty.md §5."""

import asyncio
import os
from collections.abc import Mapping

from skywire.errors import SkywireError
from skywire.platform.processes import Child, merge_environment, spawn
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.rpc.server import GoError

MAX_OUTPUT = 16 << 20  # bytes of stdout, and of stderr; the rest is read and dropped
MAX_STDIN = 1 << 20  # bytes
DEFAULT_TIMEOUT = 30.0  # seconds
MAX_TIMEOUT = 5 * 60.0  # seconds
_CHUNK = 64 * 1024


async def execute(request: CommandExecReq, environment: Mapping[str, str]) -> CommandExecResult:
    """Ends when the program ends or its time is over; then it and its session are killed.

    Does not wait for what the program left behind, even if that holds its output open. A program
    that cannot be started is a result, not an error. Raises GoError for a request that is wrong.
    """
    if not request.name:
        raise GoError("dmsgpty: Exec: empty command name")
    if len(request.stdin) > MAX_STDIN:
        raise GoError(f"dmsgpty: Exec: stdin {len(request.stdin)} > max {MAX_STDIN}")
    clock = asyncio.get_running_loop().time
    begin = clock()
    result = CommandExecResult(exit_code=-1)
    try:
        run = _Run(request, environment)
    except SkywireError as error:
        result.stderr = f"dmsgpty: exec {request.name}: {error}\n".encode()
        return result
    try:
        async with asyncio.timeout(time_limit(request)):
            await asyncio.shield(run.child.exited)
    except TimeoutError:
        result.timed_out = True
    finally:
        await run.child.kill_session()
        run.close()
    if not result.timed_out and run.child.exit_code is not None:
        result.exit_code = run.child.exit_code
    result.stdout, result.stdout_truncated = bytes(run.stdout.data), run.stdout.truncated
    result.stderr, result.stderr_truncated = bytes(run.stderr.data), run.stderr.truncated
    result.duration_ms = int((clock() - begin) * 1000)
    return result


def time_limit(request: CommandExecReq) -> float:
    """Seconds the program may run."""
    wanted = request.timeout_ms / 1000 if request.timeout_ms > 0 else DEFAULT_TIMEOUT
    return min(wanted, MAX_TIMEOUT)


class _Run:
    """A started program with pipes on its three descriptors."""

    child: Child

    def __init__(self, request: CommandExecReq, environment: Mapping[str, str]) -> None:
        stdin, own_stdin = os.pipe()
        own_stdout, stdout = os.pipe()
        own_stderr, stderr = os.pipe()
        try:
            copies = [(stdin, 0), (stdout, 1), (stderr, 2)]
            self.child = spawn(
                request.name,
                request.arg,
                merge_environment(environment, request.env),
                [(os.POSIX_SPAWN_DUP2, *copy) for copy in copies],
            )
        except BaseException:
            for descriptor in (own_stdin, own_stdout, own_stderr):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        self.stdin = _Feed(own_stdin, request.stdin)
        self.stdout = _Collect(own_stdout)
        self.stderr = _Collect(own_stderr)

    def close(self) -> None:
        """Take what the program still has in its pipes, and let go of them."""
        self.stdin.close()
        self.stdout.finish()
        self.stderr.finish()


class _Pipe:
    def __init__(self, descriptor: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor  # -1 once closed
        os.set_blocking(descriptor, False)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class _Feed(_Pipe):
    """Writes `data` as the program takes it, then the end."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        super().__init__(descriptor)
        self._rest = memoryview(data)
        self._loop.add_writer(descriptor, self._write)

    def _write(self) -> None:
        try:
            self._rest = self._rest[os.write(self._descriptor, self._rest) :]
        except BlockingIOError:
            return
        except OSError:  # the program does not want it
            self._rest = memoryview(b"")
        if not self._rest:
            self.close()


class _Collect(_Pipe):
    """Keeps the first `MAX_OUTPUT` bytes and reads on, so that the program is never blocked."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.data = bytearray()
        self.truncated = False
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> int:
        """How many bytes came; 0 when there are none now or ever."""
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        room = MAX_OUTPUT - len(self.data)
        self.data += data[:room]
        self.truncated = self.truncated or len(data) > room
        return len(data)

    def finish(self) -> None:
        """The program has ended: what the pipe holds is the rest of its output."""
        left = _PIPE_LIMIT
        while self._descriptor >= 0 and left > 0:
            taken = self._read()
            if taken == 0:
                break
            left -= taken
        self.close()


_PIPE_LIMIT = 1 << 20  # bytes; a pipe holds 64 KiB, unless somebody goes on writing
