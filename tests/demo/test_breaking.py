"""`demo break` finds what a terminal hangs on and cuts it."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from skywire.demo.breaking import What, choose_server, cut
from skywire.demo.state import DemoInfo, PartInfo
from skywire.errors import NotFound, Unavailable


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def info(node_pid: int, server_pid: int = 0) -> DemoInfo:
    def part(name: str, pid: int) -> PartInfo:
        return PartInfo(name=name, what="", pid=pid, address="", public_key="", log="")

    parts = [part("server-1", server_pid), part("node-b", node_pid)]
    return DemoInfo(url="", user="", password="", state_dir="", parts=parts)


async def test_a_node_is_killed(victim: subprocess.Popen[bytes]) -> None:
    part, _ = await cut(info(victim.pid), What.NODE, "node-b")
    assert part.name == "node-b"
    assert victim.wait(5) == -signal.SIGKILL


async def test_a_node_is_asked_to_drop_its_sessions(victim: subprocess.Popen[bytes]) -> None:
    await cut(info(victim.pid), What.STREAM, "node-b")
    assert victim.wait(5) == -signal.SIGUSR1  # this one has no handler


async def test_a_part_that_is_down_is_told() -> None:
    with pytest.raises(Unavailable, match="node-b is down"):
        await cut(info(0), What.NODE, "node-b")


async def test_a_part_that_has_just_ended_is_told(victim: subprocess.Popen[bytes]) -> None:
    victim.kill()
    victim.wait()
    with pytest.raises(Unavailable, match="has just ended"):
        await cut(info(victim.pid), What.NODE, "node-b")


async def test_a_name_that_is_no_node_is_refused() -> None:
    with pytest.raises(NotFound, match='"server-1" is no node'):
        await cut(info(1), What.NODE, "server-1")
    with pytest.raises(NotFound, match='no part "node-x"'):
        await cut(info(1), What.NODE, "node-x")


def test_the_server_to_break_is_the_one_the_hypervisor_dials_through() -> None:
    def part(name: str) -> PartInfo:
        return PartInfo(name=name, what="", pid=1, address="", public_key=name, log="")

    parts = [part(name) for name in ("one", "two", "node")]
    demo = DemoInfo(url="", user="", password="", state_dir="", parts=parts)
    node = parts[-1]
    assert choose_server(demo, node, ["two", "one"], {"one"}).name == "one"
    assert choose_server(demo, node, ["two", "one"], {"one", "two"}).name == "two"
    assert choose_server(demo, node, ["two"], {"one"}).name == "two"
    with pytest.raises(Unavailable, match="node is connected to no dmsg server"):
        choose_server(demo, node, [], {"one"})
