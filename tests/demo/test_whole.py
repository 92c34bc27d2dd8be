"""The whole demo with its real parts: it comes up, is broken, mends itself, and ends."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from skywire.testing.processes import alive
from tests.demo.fakes import environment, wait_until_dead

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

UP_LIMIT = 60.0  # seconds
END_LIMIT = 5.0
SKYWIRE = [sys.executable, "-m", "skywire"]


class Demo:
    """A running demo, and what it said when it was up."""

    def __init__(self, process: "subprocess.Popen[str]", temporary: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self.temporary = temporary
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        self.up: dict[str, Any] = json.loads(line)["output"]
        self.state = Path(self.up["state_dir"])

    def pid(self, name: str) -> int:
        """Now; 0 while the part is down."""
        parts = json.loads((self.state / "demo.json").read_text())["parts"]
        return int(next(part["pid"] for part in parts if part["name"] == name))

    def key(self, name: str) -> str:
        return str(next(part["public_key"] for part in self.up["parts"] if part["name"] == name))

    def log(self, name: str) -> str:
        return (self.state / name / "log.txt").read_text()

    def cut(self, what: str, node: str) -> dict[str, Any]:
        done = subprocess.run(
            [*SKYWIRE, "demo", "break", "--what", what, "--node", node, "--json"],
            capture_output=True,
            text=True,
            env={**environment(), "TMPDIR": str(self.temporary)},
        )
        assert done.returncode == 0, done.stderr
        output: dict[str, Any] = json.loads(done.stdout)["output"]
        return output


def eventually(condition: Callable[[], object], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not true within {limit} s"
        time.sleep(0.05)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with subprocess.Popen(
        [*SKYWIRE, "demo", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "TMPDIR": str(tmp_path)},
    ) as process:
        try:
            yield Demo(process, tmp_path)
        finally:
            process.terminate()


def test_it_comes_up_survives_each_break_and_leaves_nothing(demo: Demo) -> None:
    assert demo.up["user"] == "admin"
    assert demo.up["url"].startswith("http://127.0.0.1:")
    names = [part["name"] for part in demo.up["parts"]]
    assert names == ["discovery", "server-1", "server-2", "node-a", "node-b", "node-c"]
    assert all(alive(part["pid"]) for part in demo.up["parts"])

    # the relay server of node B: it moves to the other one, the killed one is started again
    hit = demo.cut("server", "node-b")
    assert hit["part"] in ("server-1", "server-2")
    assert wait_until_dead(hit["pid"])
    eventually(lambda: demo.log("node-b").count("hypervisor connected") >= 2)
    eventually(lambda: demo.pid(hit["part"]) not in (0, hit["pid"]))

    # the sessions of node C: the process lives, and is connected again
    before = demo.log("node-c").count("hypervisor connected")
    hit = demo.cut("stream", "node-c")
    assert hit["pid"] == demo.pid("node-c")
    eventually(lambda: demo.log("node-c").count("hypervisor connected") > before)
    assert alive(hit["pid"])

    # node C itself
    before = demo.log("node-c").count("hypervisor connected")
    hit = demo.cut("node", "node-c")
    assert wait_until_dead(hit["pid"])
    eventually(lambda: demo.log("node-c").count("hypervisor connected") > before)
    eventually(lambda: demo.pid("node-c") not in (0, hit["pid"]))

    everything = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.send_signal(signal.SIGINT)
    _, err = demo.process.communicate(timeout=END_LIMIT)
    assert demo.process.returncode == 0, err
    assert not any(process.is_running() for process in everything)
    assert list(demo.temporary.iterdir()) == []
