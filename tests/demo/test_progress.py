"""What is told while the demo starts."""

import io
import re
from pathlib import Path

from skywire.demo.progress import LiveProgress, Progress, open_progress
from tests.demo.fakes import steady


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_file_each_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    out = io.StringIO()
    one, two = steady(tmp_path, "discovery"), steady(tmp_path, "node-a")
    progress = open_progress([one, two], out)
    assert type(progress) is Progress
    with progress:
        progress.starting(one)
        progress.ready(one)
        progress.starting(two)
    progress.down(two, "killed by SIGKILL", 3.0)
    lines = [re.sub(r"^ +\d+\.\d\d s  ", "", line) for line in out.getvalue().splitlines()]
    assert lines == [
        "discovery  starting fake",
        "discovery  ready at 127.0.0.1:0",
        "node-a     starting fake",
        "node-a     is down, starting it again in 3.0 s: killed by SIGKILL",
    ]


def test_at_a_terminal_a_table_shows_the_state_of_each_part(tmp_path: Path) -> None:
    out = Terminal()
    one, two = steady(tmp_path, "discovery"), steady(tmp_path, "node-a")
    progress = open_progress([one, two], out)
    assert isinstance(progress, LiveProgress)
    with progress:
        progress.starting(one)
        progress.ready(one)
        progress.starting(two)
    shown = out.getvalue()
    assert "discovery" in shown
    assert "ready" in shown
    assert "starting" in shown
    progress.down(two, "exit code 1", 3.0)
    progress.starting(two)
    progress.ready(two)
    assert "node-a     ready at 127.0.0.1:0" in out.getvalue()
