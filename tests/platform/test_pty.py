"""Terminals: the child is in control of its own, with the right size."""

import asyncio
import os

import pytest

from skywire.errors import NotFound
from skywire.platform.pty import foreground_group, get_size, set_size, spawn_on_terminal
from skywire.testing.processes import alive, open_descriptors
from skywire.testing.wait import eventually

ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "dumb"}


async def read_until(master: int, end: bytes) -> bytes:
    data = b""

    def look() -> bool:
        nonlocal data
        try:
            data += os.read(master, 65536)
        except BlockingIOError:
            return False
        return end in data

    await eventually(look)
    return data


async def test_the_child_leads_a_session_with_a_terminal_of_its_size() -> None:
    script = "stty size; read x; stty size; ps -o pid=,pgid=,sid=,tpgid= -p $$; echo end; read x"
    master, child = spawn_on_terminal("/bin/sh", ["-c", script], ENVIRONMENT, (30, 100, 7, 8))
    assert get_size(master) == (30, 100, 7, 8)
    await read_until(master, b"30 100\r\n")
    assert foreground_group(master) == child.pid
    set_size(master, (40, 132, 0, 0))
    os.write(master, b"\n")
    output = await read_until(master, b"end\r\n")
    assert b"40 132\r\n" in output
    ids = output.split(b"40 132\r\n")[1].split()[:4]
    assert {int(number) for number in ids} == {child.pid}
    await child.kill_session()
    os.close(master)


async def test_no_descriptor_of_ours_is_open_in_the_child() -> None:
    keep = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(keep, True)  # as if we had been started with it
    master, child = spawn_on_terminal("/bin/ls", ["/proc/self/fd"], ENVIRONMENT)
    output = await read_until(master, b"3")
    assert output.split() == [b"0", b"1", b"2", b"3"]  # 3 is what ls reads
    await child.kill_session()
    os.close(master)
    os.close(keep)


async def test_a_failed_start_leaks_nothing() -> None:
    before = open_descriptors()
    for _ in range(3):
        with pytest.raises(NotFound):
            spawn_on_terminal("/no/such", [], ENVIRONMENT)
    assert open_descriptors() == before


async def test_the_foreground_job_has_its_own_group() -> None:
    master, child = spawn_on_terminal("/bin/bash", ["--norc", "-i"], ENVIRONMENT)
    os.write(master, b"sleep 1000\n")
    await eventually(lambda: foreground_group(master) not in (0, child.pid))
    group = foreground_group(master)
    await child.kill_session(group)
    await eventually(lambda: not alive(group))
    os.close(master)
    assert foreground_group(master) == 0
    async with asyncio.timeout(1):
        await child.exited
