"""The processes of apps, written down for the visor's next start. Source: apps.md §4.

The file has a line `name pid` for each. A number may belong to somebody else by then: only a
process that was started as this app of this visor is ended (Go ends any).
"""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

from skywire.appkit.types import PROC_CONFIG, ProcConfig
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue

log = logging.getLogger(__name__)

MAX_SIZE = 64 * 1024  # bytes of the file
MAX_ENVIRONMENT = 1 << 20  # bytes looked at


class PidFile:
    def __init__(self, path: Path, visor: PubKey) -> None:
        self._path = path
        self._visor = visor
        self._pids: dict[int, str] = {}

    def kill_all(self) -> None:
        """End what an earlier run left behind, and begin a new file."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(MAX_SIZE).decode(errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            name, _, number = line.rpartition(" ")
            if number.isascii() and number.isdigit() and is_app(int(number), name, self._visor):
                log.warning("ending an app of an earlier run name=%s pid=%s", name, number)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(int(number), signal.SIGKILL)
        self._write()

    def add(self, name: str, pid: int) -> None:
        self._pids[pid] = name
        self._write()

    def remove(self, pid: int) -> None:
        if self._pids.pop(pid, None) is not None:
            self._write()

    def _write(self) -> None:
        text = "".join(f"{name} {pid}\n" for pid, name in self._pids.items())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(text)
        except OSError as error:
            log.warning("pids of apps not written file=%s reason=%s", self._path, error.strerror)


def is_app(pid: int, name: str, visor: PubKey) -> bool:
    """Whether the process was started as the app `name` of this visor."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read(MAX_ENVIRONMENT).split(b"\0")
    except OSError:
        return False
    begin = f"{PROC_CONFIG}=".encode()
    for variable in variables:
        if variable.startswith(begin):
            with suppress(InvalidValue):
                found = ProcConfig.parse(variable[len(begin) :].decode(errors="replace"))
                return (found.app_name, found.visor_pk) == (name, visor)
    return False
