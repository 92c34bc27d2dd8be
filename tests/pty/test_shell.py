"""Real programs on real terminals: the pump, input, the two kinds of end, Stop."""

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest

from skywire.errors import StreamClosed
from skywire.platform.processes import Child, session_members
from skywire.platform.pty import foreground_group, spawn_on_terminal
from skywire.pty.shell import CHUNK, DRAIN_LIMIT, PUMP_BUDGET, TerminalShell
from skywire.pty.types import NATURAL_END, STOPPED, WinSize
from skywire.testing.processes import alive, children, open_descriptors
from skywire.testing.wait import eventually

ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm", "PS1": "$ ", "HISTFILE": ""}


class Output:
    def __init__(self) -> None:
        self.data = bytearray()
        self.reasons: list[str] = []

    def receive_output(self, data: bytes) -> None:
        assert not self.reasons, "output after the end"
        self.data += data

    def receive_end(self, reason: str) -> None:
        self.reasons.append(reason)


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[tuple[TerminalShell, Output]]:
    output = Output()
    shell = TerminalShell(*spawn_on_terminal(command[0], command[1:], ENVIRONMENT), output)
    try:
        yield shell, output
    finally:
        await shell.stop()
    assert shell.pid not in children()


async def test_output_input_and_the_natural_end() -> None:
    before = open_descriptors()
    async with running("/bin/sh", "-c", "stty -echo; echo go; read x; echo got $x") as (
        shell,
        output,
    ):
        await eventually(lambda: b"go" in output.data)
        await shell.write(b"hello\n")
        await eventually(lambda: output.reasons)
        assert bytes(output.data) == b"go\r\ngot hello\r\n"
        assert output.reasons == [NATURAL_END]
        await shell.write(b"into the void")
        shell.resize(WinSize(rows=1, cols=1))
        await eventually(lambda: not alive(shell.pid))
        assert shell.pid not in children(), "reaped without a stop"
    assert open_descriptors() == before


async def test_all_output_comes_before_the_end() -> None:
    async with running("/bin/sh", "-c", "seq 1 200000") as (_, output):
        await eventually(lambda: output.reasons)
        assert output.data.endswith(b"\r\n199999\r\n200000\r\n")
        assert output.data.count(b"\n") == 200_000


async def test_a_background_job_does_not_delay_the_end() -> None:
    async with running("/bin/bash", "--norc", "-c", "set -m; sleep 1000 & echo $!") as (_, output):
        await eventually(lambda: output.reasons, limit=3)
        os.kill(int(output.data), 9)
        assert output.reasons == [NATURAL_END]


async def test_a_flood_of_a_background_job_does_not_delay_the_end() -> None:
    script = "trap '' HUP; yes & echo pid $! >&2; exit"
    async with running("/bin/sh", "-c", script) as (_, output):
        await eventually(lambda: output.reasons, limit=5)
        start = bytes(output.data).index(b"pid ")
        os.kill(int(bytes(output.data[start:]).split()[1]), 9)


async def test_size_before_and_after_the_start() -> None:
    output = Output()
    master, child = spawn_on_terminal(
        "/bin/sh", ["-c", "stty size; read x; stty size"], ENVIRONMENT, (30, 100, 0, 0)
    )
    shell = TerminalShell(master, child, output)
    await eventually(lambda: b"30 100" in output.data)
    shell.resize(WinSize(rows=33, cols=111))
    await shell.write(b"\n")
    await eventually(lambda: b"33 111" in output.data)
    await shell.stop()


async def test_stop_while_a_foreground_job_ignores_hang_ups() -> None:
    async with running("/bin/bash", "--norc", "-i") as (shell, output):
        await shell.write(b"trap '' HUP TERM; (trap '' HUP TERM; sleep 1000)\n")
        await eventually(lambda: foreground_group(shell._master) not in (0, shell.pid))
        members = [shell.pid, *(pid for pid, _, _ in session_members(shell.pid))]
        assert len(members) >= 2
        begin = time.monotonic()
        await asyncio.gather(shell.stop(), shell.stop())
        assert time.monotonic() - begin < 1
        assert output.reasons == [STOPPED]
        assert not any(alive(pid) for pid in members)


async def test_a_program_that_does_not_read_blocks_only_its_writer() -> None:
    async with running("/bin/sh", "-c", "stty raw -echo; echo go; sleep 1000") as (shell, output):
        await eventually(lambda: b"go" in output.data)
        writing = asyncio.ensure_future(shell.write(bytes(1 << 20)))
        second = asyncio.ensure_future(shell.write(b"later"))
        await asyncio.sleep(0.05)
        assert not writing.done()
        assert not second.done()
        second.cancel()
        await shell.stop()
        with pytest.raises(StreamClosed, match="closed pipe"):
            await writing


async def test_large_input_arrives_whole_and_in_order() -> None:
    script = "stty raw -echo; echo go; head -c 1200000 | sha256sum"
    data = b"".join(b"%07d" % number for number in range(200_000))[:1_200_000]
    async with running("/bin/sh", "-c", script) as (shell, output):
        await eventually(lambda: b"go" in output.data)
        cut = [data[start : start + 30_011] for start in range(0, len(data), 30_011)]
        await asyncio.gather(*(shell.write(part) for part in cut))
        await eventually(lambda: output.reasons)
        assert hashlib.sha256(data).hexdigest().encode() in output.data


async def test_a_paused_shell_waits_and_loses_nothing() -> None:
    async with running("/bin/sh", "-c", "seq 1 100000") as (shell, output):
        await eventually(lambda: output.data)
        shell.pause()
        size = len(output.data)
        await asyncio.sleep(0.1)
        assert len(output.data) == size
        assert not output.reasons
        shell.resume()
        await eventually(lambda: output.reasons)
        assert output.data.endswith(b"\r\n100000\r\n")


async def test_a_shell_that_ends_while_paused_still_delivers() -> None:
    async with running("/bin/sh", "-c", "echo last words") as (shell, output):
        shell.pause()
        await eventually(lambda: not alive(shell.pid))
        await asyncio.sleep(0)
        assert not output.reasons
        shell.resume()
        await eventually(lambda: output.reasons)
        assert bytes(output.data) == b"last words\r\n"


async def test_a_flood_leaves_the_loop_to_others() -> None:
    async with running("/usr/bin/yes") as (shell, output):
        await eventually(lambda: len(output.data) > 100_000)
        worst = 0.0
        for _ in range(50):
            begin = time.thread_time()  # what we took of the processor, not who else had it
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - begin)
        assert worst < 0.1
        begin = time.monotonic()
        await shell.write(b"\x03")
        await eventually(lambda: output.reasons, limit=1)
        assert time.monotonic() - begin < 0.3


class StandIn:
    """A child whose end the test decides; its terminal is a socket."""

    def __init__(self) -> None:
        self.pid = 0
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def kill_session(self, foreground_group: int = 0) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


def on_a_socket() -> tuple[TerminalShell, StandIn, Output, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    child, output = StandIn(), Output()
    return TerminalShell(ours.detach(), cast(Child, child), output), child, output, theirs


async def test_after_the_end_everything_buffered_is_taken_at_once() -> None:
    """More than one turn's worth, although the kernel has nothing new to report."""
    shell, child, output, program = on_a_socket()
    sent = program.send(bytes(3 * PUMP_BUDGET))
    shell.pause()
    child.exited.set_result(None)
    shell.resume()
    await eventually(lambda: output.reasons)
    assert output.reasons == [NATURAL_END]
    assert len(output.data) == sent
    program.close()
    await shell.stop()


async def test_what_others_print_after_the_end_is_limited() -> None:
    shell, child, output, program = on_a_socket()
    child.exited.set_result(None)
    begin = len(output.data)
    while not output.reasons:
        with suppress(BlockingIOError, BrokenPipeError):
            program.send(bytes(1 << 16))
        await asyncio.sleep(0)
    assert len(output.data) - begin <= DRAIN_LIMIT + CHUNK
    program.close()
    await shell.stop()


async def test_a_terminal_that_is_closed_under_us_is_no_natural_end() -> None:
    shell, _, output, program = on_a_socket()
    program.close()
    await eventually(lambda: output.reasons)
    assert output.reasons == [STOPPED]
    await shell.write(b"nobody there")
    await shell.stop()
    assert output.reasons == [STOPPED], "told once"


async def test_input_after_the_reader_has_gone_is_thrown_away() -> None:
    shell, _, output, program = on_a_socket()
    program.shutdown(socket.SHUT_RD)
    await shell.write(b"x")
    assert not output.reasons
    await shell.stop()
    program.close()


async def test_input_waits_for_room_and_a_cancelled_writer_is_skipped() -> None:
    shell, _, _, program = on_a_socket()
    with suppress(BlockingIOError):
        while True:  # until the socket is full
            os.write(shell._master, bytes(1 << 16))
    waiting = [asyncio.ensure_future(shell.write(text)) for text in (b"one", b"two", b"three")]
    await asyncio.sleep(0.01)
    assert shell.write_now(b"in front of the others") == 0
    assert not any(writer.done() for writer in waiting)
    waiting[1].cancel()
    got = b""
    while not got.endswith(b"onethree"):
        with suppress(BlockingIOError):
            got += program.recv(1 << 20)
        await asyncio.sleep(0)
    await asyncio.gather(waiting[0], waiting[2])
    assert shell.write_now(b"!") == 1
    program.close()
    await shell.stop()
