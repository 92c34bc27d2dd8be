"""Small stand-ins for the parts of the demo: Python programs of a few lines."""

import os
import sys
import time
from pathlib import Path

from skywire.demo.part import Part
from skywire.demo.progress import Progress
from skywire.testing.processes import alive

READY = "import os, signal, time; from skywire.platform import ready; ready.report()\n"
WAIT = "signal.pause()\n"
SILENT = "import time; time.sleep(60)\n"


def part(directory: Path, name: str, code: str, after: tuple[str, ...] = ()) -> Part:
    """Runs `code` in Python."""
    return Part(
        name=name,
        what="fake",
        command=(sys.executable, "-c", code),
        directory=directory,
        log=directory / f"{name}.log",
        address="127.0.0.1:0",
        after=after,
    )


def steady(directory: Path, name: str, after: tuple[str, ...] = ()) -> Part:
    """Comes up and stays."""
    return part(directory, name, READY + WAIT, after)


class Events(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__([], sys.stderr)
        self.events: list[tuple[str, str]] = []

    def starting(self, part: Part) -> None:
        self.events.append(("starting", part.name))

    def ready(self, part: Part) -> None:
        self.events.append(("ready", part.name))

    def down(self, part: Part, why: str, again_in: float) -> None:
        self.events.append((f"down: {why}", part.name))

    def note(self, text: str) -> None:
        self.events.append(("note", text))


def wait_until_dead(pid: int, limit: float = 8.0) -> bool:
    deadline = time.monotonic() + limit
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pid_from(file: Path) -> int:
    return int(file.read_text())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
