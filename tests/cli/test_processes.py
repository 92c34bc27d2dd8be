"""Whole processes, killed: discovery, dmsg servers, nodes. What the others do then.

Everything here is the real program over loopback TCP; a part dies by SIGKILL, as in a power cut.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey

SKYWIRE = [sys.executable, "-m", "skywire"]
START_LIMIT = 30.0  # seconds
MOVE_LIMIT = 5.0  # seconds for a client to have moved to another server
SLACK = 3.0  # seconds more in a test: two cores, many processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def key_of(name: str) -> PubKey:
    return deterministic_key_pair(name.encode())[0]


class Program:
    """One running command; `facts` is what it told its starter."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self._log = folder / f"{name}.log"
        reader, writer = os.pipe()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*SKYWIRE, *arguments],
                cwd=folder,
                env=os.environ | {"SKYWIRE_READY_FD": str(writer)},
                pass_fds=[writer],
                stderr=log,
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            line = pipe.readline()
        assert line, self.log()
        self.facts: dict[str, Any] = json.loads(line)

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_LIMIT)


class Network:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.port = 0

    def start(self, name: str, *arguments: str) -> Program:
        program = Program(self._folder, name, *arguments)
        self._stack.callback(program.end)
        return program

    def discovery(self) -> Program:
        """On the same port and with the same entries each time."""
        found = self.start("disc", "dmsg", "disc", "-t", "-a", f"127.0.0.1:{self.port}")
        self.port = found.facts["port"]
        return found

    def server(self, name: str) -> Program:
        public, secret, _ = deterministic_key_pair(name.encode())
        config = {
            "public_key": str(public),
            "secret_key": secret.hex(),
            "discovery": f"http://127.0.0.1:{self.port}",
            "public_address": "127.0.0.1:0",
            "local_address": "127.0.0.1:0",
            "log_level": "info",
        }
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(config))
        return self.start(name, "dmsg", "server", "start", str(file))

    def node(self, name: str) -> Program:
        config = {
            "sk": deterministic_key_pair(name.encode())[1].hex(),
            "dmsg": {"discovery": f"http://127.0.0.1:{self.port}", "sessions_count": 1},
            "pty": {
                "cli_address": str(self._folder / f"{name}.sock"),
                "whitelist": [str(key_of(who)) for who in ("friend", "node-a", "node-b")],
            },
            "cli_addr": "127.0.0.1:0",
        }
        file = self._folder / f"{name}.visor.json"
        file.write_text(json.dumps(config))
        return self.start(name, "visor", "-c", str(file))

    def is_entered(self, node: Program) -> bool:
        """The discovery knows on which servers it is."""
        url = f"http://127.0.0.1:{self.port}/dmsg-discovery/entry/{node.facts['pk']}"
        try:
            with urlopen(url, timeout=START_LIMIT) as answer:
                return bool(json.load(answer)["client"]["delegated_servers"])
        except HTTPError:
            return False

    def execute(self, node: Program, *command: str, through: Program | None = None) -> str:
        """A command on `node`, over dmsg with a key of its own, or by way of another node."""
        way = (
            ["--socket", through.facts["socket"]]
            if through
            else [
                "--sk",
                deterministic_key_pair(b"friend")[1].hex(),
                "--dmsg-disc",
                f"http://127.0.0.1:{self.port}",
            ]
        )
        done = subprocess.run(
            [*SKYWIRE, "cli", "pty", "exec", *way, node.facts["pk"], "--", *command],
            capture_output=True,
            text=True,
            timeout=START_LIMIT,
        )
        assert done.returncode == 0, done.stderr + node.log()
        return done.stdout


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with ExitStack() as stack:
        yield Network(tmp_path, stack)


def within(seconds: float, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return found


def servers_of(node: Program) -> list[str]:
    """The servers the node's log says it is connected to."""
    up: list[str] = []
    for what, key in re.findall(r"session (up|down) server=([0-9a-f]{66})", node.log()):
        up.append(key) if what == "up" else up.remove(key)
    return up


def test_a_killed_server_costs_its_clients_five_seconds_at_most(net: Network) -> None:
    net.discovery()
    servers = [net.server("server-1"), net.server("server-2")]
    node = net.node("node-a")
    assert net.execute(node, "echo", "before") == "before\n"
    (used,) = within(START_LIMIT, lambda: servers_of(node))
    next(one for one in servers if one.facts["public_key"] == used).kill()
    within(MOVE_LIMIT + SLACK, lambda: servers_of(node) not in ([], [used]))
    assert net.execute(node, "echo", "after") == "after\n"


def test_a_killed_discovery_ends_no_session_and_gets_the_entries_again(net: Network) -> None:
    discovery = net.discovery()
    net.server("server-1")
    node, other = net.node("node-a"), net.node("node-b")
    assert net.execute(node, "echo", "one", through=other) == "one\n"
    discovery.kill()
    assert net.execute(node, "echo", "two", through=other) == "two\n"
    late = net.node("node-c")  # the discovery is down at its start
    assert "no server yet" in late.facts["failed"]["dmsg"]
    assert [len(servers_of(one)) for one in (node, other, late)] == [1, 1, 0]
    net.discovery()
    within(START_LIMIT, lambda: net.is_entered(late))
    assert net.execute(late, "echo", "three") == "three\n"
    assert net.execute(node, "echo", "four", through=other) == "four\n"
    assert "Traceback" not in node.log() + other.log() + late.log()
