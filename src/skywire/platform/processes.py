"""Child processes in a session of their own: start, watch, kill to the last member, reap.

`posix_spawn` instead of fork: no Python runs in the child, so threads and locks of the parent do
not matter, and a program that cannot be started is reported with its reason.
"""

import asyncio
import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence

from skywire.errors import InvalidValue, NotFound, Unavailable

KILL_WAIT = 0.7  # seconds until a killed process must be gone; longer only inside a system call
KILL_ROUNDS = 4  # scans for members of a session that were started while it was being killed
POLL = 0.05  # seconds between looks at a child where the kernel has no pidfd

_RESET_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def merge_environment(base: Mapping[str, str], extra: Sequence[str]) -> dict[str, str]:
    """`base` with each `KEY=value` of `extra` in place of its KEY; entries without KEY are dropped.

    (Go appends those to the child's environment, where no program can look them up.)
    """
    merged = dict(base)
    for entry in extra:
        key, equals, value = entry.partition("=")
        if key and equals:
            merged[key] = value
    return merged


def spawn(
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    file_actions: Sequence[tuple[int | str, ...]],
) -> "Child":
    """Start `name` as the leader of a new session, with default signal handling.

    Only descriptors made by `file_actions` are open in the child. Error texts are Go's: NotFound,
    Unavailable or InvalidValue.
    """
    path = find_program(name)
    try:
        pid = os.posix_spawn(
            path,
            [name, *arguments],
            environment,
            file_actions=[*_close_inherited(), *file_actions],
            setsid=True,
            setsigmask=[],
            setsigdef=_RESET_SIGNALS,
        )
    except ValueError as error:  # a NUL byte, or text that is no file name
        raise InvalidValue(f"fork/exec {path}: invalid argument: {error}") from error
    except OSError as error:
        kind = NotFound if error.errno == errno.ENOENT else Unavailable
        raise kind(f"fork/exec {path}: {_go_text(error)}") from error
    return Child(pid)


def _close_inherited() -> list[tuple[int, int]]:
    """Descriptors this process was started with are nothing for its children; ours close anyway."""
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []
    actions = []
    for number in numbers:
        try:
            if number > 2 and os.get_inheritable(number):
                actions.append((os.POSIX_SPAWN_CLOSE, number))
        except OSError:  # the descriptor of the listing itself
            continue
    return actions


def find_program(name: str) -> str:
    """The path of `name`, looked up in PATH when it has no slash. Raises NotFound."""
    if not name:
        raise InvalidValue("exec: no command")
    if "/" in name:
        return name
    try:
        path = shutil.which(name)
    except ValueError:  # a NUL byte
        path = None
    if path is None:
        raise NotFound(f'exec: "{name}": executable file not found in $PATH')
    return path


def _go_text(error: OSError) -> str:
    text = os.strerror(error.errno or errno.EIO)
    return text[0].lower() + text[1:]


class Child:
    """A session leader. Reaped by itself when it ends; `exited` is done from then on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exit_code: int | None = None  # once reaped; -1 when a signal ended it
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._killing = False
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:  # an old kernel, or a sandbox that forbids it
            self._pidfd = -1
            self._loop.call_later(POLL, self._poll)
        else:
            self._loop.add_reader(self._pidfd, self._has_exited)

    def _poll(self) -> None:
        if self.exited.done():
            return
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            ended = None
            self._has_exited()
        if ended is not None:
            self._has_exited()
        else:
            self._loop.call_later(POLL, self._poll)

    def _has_exited(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if not self._killing:
            self._reap()
        if not self.exited.done():
            self.exited.set_result(None)

    def _reap(self) -> None:
        """The process is a zombie. From now on its number may belong to somebody else."""
        try:
            _, status = os.waitpid(self.pid, 0)
            self.exit_code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        except ChildProcessError:  # somebody else took it: SIGCHLD is ignored in this process
            self.exit_code = -1

    async def kill_session(self, foreground_group: int = 0) -> None:
        """SIGKILL the child, its group, `foreground_group` and all the rest of its session.

        Returns once they are gone and the child is reaped, at the latest after about a second.
        Does nothing when the child has ended by itself: what it left behind was meant to stay.
        """
        if self.exit_code is not None or self._killing:
            return
        self._killing = True  # the zombie keeps the session's number ours while we look for members
        try:
            for group in {self.pid, foreground_group}:
                kill_group(group)
            await asyncio.wait([self.exited], timeout=KILL_WAIT)
            for _ in range(KILL_ROUNDS):
                if not await asyncio.to_thread(kill_members, self.pid):
                    break
        finally:
            self._killing = False
            if self.exited.done():
                self._reap()


def kill_group(group: int) -> None:
    """SIGKILL a process group that may be gone already; never our own or "all" (0, 1)."""
    if group > 1 and group != os.getpgrp():
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def kill_members(session: int) -> int:
    """SIGKILL every live process of `session` but its leader; how many there were."""
    killed = 0
    for pid, parent, zombie in session_members(session):
        try:
            if zombie and parent == os.getpid():  # we are process 1 and inherit orphans
                os.waitpid(pid, os.WNOHANG)
            elif not zombie:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        except (ProcessLookupError, ChildProcessError, PermissionError):
            continue
    return killed


def session_members(session: int) -> list[tuple[int, int, bool]]:
    """(pid, parent's pid, is a zombie) of the processes of `session` except its leader.

    From the process table in /proc; empty on systems without one.
    """
    members = []
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit() or int(name) == session:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                stat = file.read()
        except OSError:
            continue  # ended meanwhile
        state, parent, _, of_session = stat[stat.rindex(b")") + 2 :].split(b" ", 4)[:4]
        if int(of_session) == session:
            members.append((int(name), int(parent), state in b"ZX"))
    return members
