"""Tells on stderr how the demo comes up: a live table at a terminal, else a line per event."""

import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from skywire.demo.part import Part

_WAITING, _STARTING, _READY, _DOWN = "waiting", "starting", "ready", "down"
_STYLE = {_WAITING: "dim", _STARTING: "yellow", _READY: "green", _DOWN: "red"}


class Progress:
    """One line per event: seconds since the start, the part, what happened."""

    def __init__(self, parts: Iterable[Part], out: TextIO) -> None:
        self.parts = list(parts)
        self._out = out
        self._began = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        """The start is over, well or not."""

    def starting(self, part: Part) -> None:
        self._line(part, f"starting {part.what}")

    def ready(self, part: Part) -> None:
        self._line(part, f"ready at {part.address}")

    def down(self, part: Part, why: str, again_in: float) -> None:
        self._line(part, f"is down, starting it again in {again_in:.1f} s: {why}")

    def note(self, text: str) -> None:
        print(f"{self._elapsed():7.2f} s  {text}", file=self._out, flush=True)

    def _line(self, part: Part, text: str) -> None:
        width = max(len(part.name) for part in self.parts)
        self.note(f"{part.name:<{width}}  {text}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class LiveProgress(Progress):
    """A table that changes in place while the demo starts; lines once it is up."""

    def __init__(self, parts: Iterable[Part], out: TextIO) -> None:
        super().__init__(parts, out)
        self._state = {part.name: (_WAITING, self._began, 0.0) for part in self.parts}
        self._live = Live(
            console=Console(file=out),
            get_renderable=self._table,
            refresh_per_second=8,
            transient=True,
        )

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def starting(self, part: Part) -> None:
        self._state[part.name] = (_STARTING, time.monotonic(), 0.0)
        if not self._live.is_started:
            super().starting(part)

    def ready(self, part: Part) -> None:
        began = self._state[part.name][1]
        self._state[part.name] = (_READY, began, time.monotonic() - began)
        if not self._live.is_started:
            super().ready(part)

    def down(self, part: Part, why: str, again_in: float) -> None:
        self._state[part.name] = (_DOWN, time.monotonic(), 0.0)
        super().down(part, why, again_in)

    def _table(self) -> Table:
        grid = Table(box=None, pad_edge=False, show_header=False)
        for part in self.parts:
            state, since, took = self._state[part.name]
            seconds = took if state == _READY else time.monotonic() - since
            shown = "" if state == _WAITING else f"{seconds:.1f} s"
            grid.add_row(part.name, part.what, f"[{_STYLE[state]}]{state}[/]", shown)
        return grid


def open_progress(parts: Iterable[Part], out: TextIO) -> Progress:
    """The live table for a person at a terminal, lines for a file or a pipe."""
    return LiveProgress(parts, out) if out.isatty() else Progress(parts, out)
