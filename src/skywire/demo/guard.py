"""Cleans up after a demo whose supervisor was killed: no process, no temporary file stays.

A process of its own, started first: `python -m skywire.demo.guard`. Its standard input is a pipe
from the supervisor (`Guard`). Lines tell what there is to clean up:

    process PID      a part was started
    ended PID        it ended
    remove PATH      a directory to delete

End of file means that the supervisor is gone. After an orderly end nothing is left to do.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

GRACE = 3.0  # seconds from SIGTERM to SIGKILL
CLOSE_LIMIT = 5.0  # seconds a supervisor waits for its guard; it has nothing to do by then


class Guard:
    """The supervisor's end of the pipe; lines to a guard that somebody killed are lost."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "skywire.demo.guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def started(self, pid: int) -> None:
        self._tell(f"process {pid}")

    def ended(self, pid: int) -> None:
        self._tell(f"ended {pid}")

    def remove(self, directory: Path) -> None:
        self._tell(f"remove {directory}")

    def close(self) -> None:
        """Wait for its end; blocks for a moment."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_LIMIT)

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends by end of file, when all is clean
    processes: set[int] = set()
    directories: list[Path] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "process":
            processes.add(int(rest))
        elif word == "ended":
            processes.discard(int(rest))
        elif word == "remove":
            directories.append(Path(rest))
    if processes:
        _end(processes)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end(pids: Iterable[int]) -> None:
    import psutil  # only now: the guard of an orderly demo stays small

    from skywire.demo.processes import kill, with_descendants

    everything = with_descendants(pids)
    for process in everything:
        if process.pid in pids:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
    _, alive = psutil.wait_procs(everything, timeout=GRACE)
    kill(alive)


if __name__ == "__main__":
    main()
