"""The whole demo with its real parts: it comes up, is broken, mends itself, and ends."""

import asyncio
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from skywire.pty.web_frames import CLOSED_LINE
from skywire.testing.processes import alive
from tests.demo.fakes import environment, wait_until_dead

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.xdist_group("demo")]

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
        return self._run("break", "--what", what, "--node", node)

    def ping(self, source: str, target: str) -> dict[str, Any]:
        return self._run("ping", source, target)

    def _run(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            [*SKYWIRE, "demo", *words, "--json"],
            capture_output=True,
            text=True,
            env={**environment(), "TMPDIR": str(self.temporary)},
        )
        assert done.returncode == 0, done.stderr
        output: dict[str, Any] = json.loads(done.stdout)["output"]
        return output


class Terminal:
    """A web terminal on a node, as the page keeps it: it remembers its session."""

    def __init__(self, session: aiohttp.ClientSession, node: str, scheme: str) -> None:
        self._session = session
        self._node = node
        self._scheme = scheme
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.id = ""
        self.output = b""

    async def open(self) -> None:
        """Connect until a shell is there: the same one when it lives."""
        async with asyncio.timeout(20):
            while True:
                query = {"sid": self.id} if self.id else {}
                query |= {"scheme": self._scheme} if self._scheme else {}
                self._socket = await self._session.ws_connect(f"/pty/{self._node}", params=query)
                self.output = b""
                await self.type("\n")
                if await self.read_until(b"$ ", b"# "):
                    return
                await asyncio.sleep(0.1)

    async def type(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(text.encode())

    async def read_until(self, *ends: bytes) -> bool:
        """False when the connection ended before one of `ends` came."""
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.id = json.loads(message.data)["id"]
            else:
                self.output += message.data
                if any(end in self.output for end in ends):
                    return True
        return False

    async def shell_pid(self) -> int:
        self.output = b""
        await self.type('echo "pid=$$;"\n')
        async with asyncio.timeout(10):
            while not (found := re.search(rb"pid=(\d+);", self.output)):
                assert await self.read_until(b";\r")
        return int(found[1])


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
    nodes = ["node-a", "node-b", "node-c"]
    assert names == ["discovery", "server-1", "server-2", "services", *nodes]
    assert all(alive(part["pid"]) for part in demo.up["parts"])

    # the ready route: two hops, each with what is known of it
    found = demo.ping("A", "C")
    assert [(hop["start"], hop["end"], hop["type"]) for hop in found["hops"]] == [
        ("node-a", "node-b", "stcp"),
        ("node-b", "node-c", "stcp"),
    ]
    assert all(hop["latency_ms"] > 0 and hop["age_s"] < 60 for hop in found["hops"])
    assert len(found["round_trips_ms"]) == 5
    assert [hop["end"] for hop in demo.ping("node-b", "node-a")["hops"]] == ["node-a"]

    # a relay server of node B: that notices, and the server is started again
    hit = demo.cut("server", "node-b")
    assert hit["part"] in ("server-1", "server-2")
    assert wait_until_dead(hit["pid"])
    lost = f"session down server={demo.key(hit['part'])}"
    eventually(lambda: lost in demo.log("node-b"))
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


@asynccontextmanager
async def terminal_on(demo: Demo, node: str, scheme: str = "") -> AsyncIterator[Terminal]:
    async with aiohttp.ClientSession(
        demo.up["url"], cookie_jar=aiohttp.CookieJar(unsafe=True)
    ) as session:
        account = {"username": demo.up["user"], "password": demo.up["password"]}
        async with session.post("/api/login", json=account) as answer:
            assert answer.status == 200
        terminal = Terminal(session, demo.key(node), scheme)
        await terminal.open()
        yield terminal


async def test_a_terminal_over_a_route_does_not_need_the_relay_servers(demo: Demo) -> None:
    async with terminal_on(demo, "node-c") as terminal:
        first = await terminal.shell_pid()
        for what in ("server", "stream"):
            await asyncio.to_thread(demo.cut, what, "node-c")
            assert await terminal.shell_pid() == first
        await asyncio.to_thread(demo.cut, "transport", "node-b")  # in the middle of the route
        async with asyncio.timeout(10):
            assert not await terminal.read_until(b"never printed")
        await terminal.open()
        assert await terminal.shell_pid() == first


async def test_a_terminal_survives_the_network_but_not_its_node(demo: Demo) -> None:
    async with terminal_on(demo, "node-b", "dmsg") as terminal:
        first_id, first_pid = terminal.id, await terminal.shell_pid()
        assert first_id
        for what in ("server", "stream"):
            await asyncio.to_thread(demo.cut, what, "node-b")
            async with asyncio.timeout(10):
                assert not await terminal.read_until(b"never printed")
            await terminal.open()
            assert (terminal.id, await terminal.shell_pid()) == (first_id, first_pid)
        await asyncio.to_thread(demo.cut, "node", "node-b")
        async with asyncio.timeout(10):
            assert not await terminal.read_until(b"never printed")
        assert CLOSED_LINE in terminal.output
        await terminal.open()
        assert terminal.id != first_id
        assert await terminal.shell_pid() != first_pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_shells_and_their_runaway_jobs_end_with_the_demo(
    demo: Demo, number: signal.Signals
) -> None:
    """The job has a session of its own, lost its parent, and ignores SIGHUP and SIGTERM."""
    async with terminal_on(demo, "node-b") as terminal:
        shell = await terminal.shell_pid()
        job_file = demo.state / "job"
        job_code = f"echo $$ > {job_file}; exec sleep 1000"
        await terminal.type(f"trap '' HUP TERM; (setsid sh -c {shlex.quote(job_code)} &)\n")
        await asyncio.to_thread(eventually, lambda: job_file.exists() and job_file.read_text())
        job = int(job_file.read_text())
        assert alive(shell)
        assert alive(job)
        demo.process.send_signal(number)
        assert await asyncio.to_thread(wait_until_dead, shell)
        assert await asyncio.to_thread(wait_until_dead, job)
    eventually(lambda: not demo.state.exists())
