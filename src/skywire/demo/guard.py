"""Cleans up after a demo whose supervisor was killed: no process, no temporary file stays.

A process of its own, started first: `python -m skywire.demo.guard`. Its standard input is a pipe
from the supervisor (`Guard`). Lines tell what there is to clean up:

    mark TEXT        the mark of all processes of the demo (`processes.MARK`)
    process PID      a part was started
    ended PID        it ended
    remove PATH      a directory to delete

End of file means that the supervisor is gone. After an orderly end nothing is left to do.
"""

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

GRACE = 3.0  # seconds from SIGTERM to SIGKILL
CLOSE_LIMIT = 5.0  # seconds a supervisor waits for its guard; it has nothing to do by then


class Guard:
    """The supervisor's end of the pipe; lines to a guard that somebody killed are lost."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "skywire.demo.guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
        )
        self._tell(f"mark {self.mark}")

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
    mark = ""
    processes: set[int] = set()
    directories: list[Path] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "mark":
            mark = rest
        elif word == "process":
            processes.add(int(rest))
        elif word == "ended":
            processes.discard(int(rest))
        elif word == "remove":
            directories.append(Path(rest))
    if processes:  # after an orderly end there are none
        _end(mark, processes)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end(mark: str, pids: Collection[int]) -> None:
    import psutil  # only now: the guard of an orderly demo stays small

    from skywire.demo.processes import find, kill

    everything = find(mark, pids)
    parts = [process for process in everything if process.pid in pids]
    for part in parts:
        with suppress(psutil.NoSuchProcess):
            part.terminate()
    psutil.wait_procs(parts, timeout=GRACE)
    kill(mark, everything)


if __name__ == "__main__":
    main()
