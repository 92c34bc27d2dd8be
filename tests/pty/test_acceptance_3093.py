"""The rows of update-2026-06-12.md section 3093 that need no browser."""

import asyncio
import re
import time

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import Refused
from skywire.platform.processes import session_members
from skywire.pty.registry import MAX_SESSIONS
from skywire.pty.ring import RING_SIZE
from skywire.pty.types import NATURAL_END, SESSION_NOT_FOUND, CommandReq
from skywire.testing.processes import alive, children, open_descriptors
from skywire.testing.shells import Clock
from skywire.testing.wait import eventually

from .kit import BASH, ask, node, read_to_end, read_until, shell_pid, type_line

OWNER, STRANGER = key_pair()[0], key_pair()[0]
MINUTES = 60.0


async def test_3093a_lines_printed_while_cut_off_come_once_and_in_order() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            opened = await client.open(BASH)
            pid = await shell_pid(client)
            # in a shell of its own: between two children of an interactive one ^C gets lost
            loop = "n=0; while :; do echo line-$n.; n=$((n+1)); sleep 0.01; done"
            await type_line(client, f"sh -c '{loop}'")
            seen = await read_until(client, r"line-5\.")
            client.stream.abort()
        await asyncio.sleep(0.3)
        async with here.client(OWNER) as client:
            assert (await client.open(BASH, opened.session)).attached
            await client.write(b"\x03")
            replay = await read_until(client, r"\^C")
            assert await shell_pid(client) == pid
        numbers = [int(found) for found in re.findall(r"line-(\d+)\.", replay)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > 15
        assert "line-5." in seen


async def test_3093b_after_six_minutes_the_shell_is_gone_and_a_fresh_one_comes() -> None:
    clock = Clock()
    async with node(OWNER, clock=clock) as here:
        async with here.client(OWNER) as client:
            opened = await client.open(BASH)
            pid = await shell_pid(client)
            await type_line(client, "while :; do date; sleep 1; done")
            await read_until(client, "20..")
        members = [pid, *(member for member, _, _ in session_members(pid))]
        await eventually(lambda: here.host._connections == 0)
        clock.now += 6 * MINUTES
        await here.host.sweep()
        assert not any(alive(member) for member in members)
        async with here.client(OWNER) as client:
            again = await client.open(BASH, opened.session)
            assert not again.attached
            assert again.session not in ("", opened.session)
            assert await shell_pid(client) != pid


async def test_3093c_a_megabyte_printed_while_detached() -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x; printf end; sleep 1000"
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            opened = await client.open(CommandReq("/bin/sh", ["-c", script]))
        assert here.host.sessions is not None
        session = here.host.sessions.get(opened.session, OWNER)
        await eventually(lambda: session._ring.total == 1_000_003)
        async with here.client(OWNER) as client:
            assert (await client.open(BASH, opened.session)).attached
            data = b""
            while len(data) < RING_SIZE:
                data += await client.read()
            assert data == b"x" * (RING_SIZE - 3) + b"end"


async def test_3093d_another_key_is_refused_and_disturbs_nothing() -> None:
    async with node(OWNER, STRANGER) as here, here.client(OWNER) as client:
        name = await client.start_session(BASH)
        async with here.client(STRANGER) as other:
            with pytest.raises(Refused, match=SESSION_NOT_FOUND):
                await other.attach(name)
        assert await ask(client, "undisturbed") == "undisturbed"


@pytest.mark.parametrize("by", ["stop", "sweep"])
async def test_3093e_top_and_shell_end_within_a_second(by: str) -> None:
    clock = Clock()
    async with node(OWNER, clock=clock) as here:
        async with here.client(OWNER) as client:
            await client.start_session(BASH)
            pid = await shell_pid(client)
            await type_line(client, "TERM=xterm top")
            await read_until(client, "load average")
            members = [pid, *(member for member, _, _ in session_members(pid))]
            begin = time.monotonic()
            if by == "stop":
                await client.stop()
        if by == "sweep":
            await eventually(lambda: here.host._connections == 0)
            clock.now += 6 * MINUTES
            begin = time.monotonic()
            await here.host.sweep()
        left = 1 - (time.monotonic() - begin)
        await eventually(lambda: not any(alive(member) for member in members), left)
        assert pid not in children(), "a zombie"


async def test_3093f_stop_does_not_wait_for_a_blocked_read() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start_session(CommandReq("/bin/sleep", ["1000"]))
        reading = asyncio.ensure_future(client.read())
        await asyncio.sleep(0.05)
        begin = time.monotonic()
        await client.stop()
        assert time.monotonic() - begin < 1
        with pytest.raises(Refused, match=r"^EOF$"):
            await reading


async def test_3093g_without_persistence_an_id_gives_a_fresh_shell() -> None:
    async with node(OWNER, persistent=False) as here, here.client(OWNER) as client:
        assert await client.open(BASH, "0123456789abcdef") == ("", False)
        assert await ask(client, "works") == "works"


async def test_3093i_an_exited_session_replays_its_end_and_never_hangs() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            opened = await client.open(BASH)
            await type_line(client, "exit")
            await read_to_end(client)
        async with here.client(OWNER) as client:
            assert (await client.open(BASH, opened.session)).attached
            output, reason = await read_to_end(client)
            assert b"exit" in output
            assert reason == NATURAL_END
        await here.host.sweep()
        async with here.client(OWNER) as client:
            assert not (await client.open(BASH, opened.session)).attached
            assert await ask(client, "fresh") == "fresh"


async def test_3093j_abandoned_sessions_leave_nothing() -> None:
    clock = Clock()
    before = open_descriptors()
    async with node(OWNER, clock=clock) as here:
        for _ in range(100):
            async with here.client(OWNER) as client:
                await client.start_session(CommandReq("/bin/sleep", ["1000"]))
                client.stream.abort()
            await eventually(lambda: here.host._connections == 0)
            clock.now += 0.001
        assert here.host.sessions is not None
        assert len(here.host.sessions) == MAX_SESSIONS
        clock.now += 6 * MINUTES
        await here.host.sweep()
        assert len(here.host.sessions) == 0
        await eventually(lambda: not children())
        await eventually(lambda: open_descriptors() == before)


async def test_3093k_two_viewers_and_one_leaves() -> None:
    clock = Clock()
    async with node(OWNER, clock=clock) as here, here.client(OWNER) as one:
        opened = await one.open(BASH)
        await read_until(one, r"\$ ")
        async with here.client(OWNER) as two:
            await two.open(BASH, opened.session)
            await type_line(two, "echo both-$((1+1))")
            for viewer in (one, two):
                await read_until(viewer, r"both-2\r\n")
        clock.now += 60 * MINUTES
        await here.host.sweep()
        assert await ask(one, "still here") == "still here"
