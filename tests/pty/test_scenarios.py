"""Scenarios T28 to T40 that need no browser, with real shells, through host and client."""

import asyncio
import time
from pathlib import Path

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import Refused, StreamError
from skywire.platform.processes import session_members
from skywire.pty.registry import SESSION_TTL
from skywire.pty.types import NATURAL_END, STOPPED, CommandReq, WinSize
from skywire.testing.processes import alive, children
from skywire.testing.shells import Clock
from skywire.testing.wait import eventually

from .kit import BASH, ask, node, read_to_end, read_until, shell_pid, type_line

OWNER, STRANGER = key_pair()[0], key_pair()[0]


async def test_t28_stop_ends_top_in_the_foreground() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(BASH)
        pid = await shell_pid(client)
        await type_line(client, "TERM=xterm top")
        await read_until(client, "load average")
        members = [pid, *(member for member, _, _ in session_members(pid))]
        assert len(members) >= 2
        begin = time.monotonic()
        await client.stop()
        assert time.monotonic() - begin < 1
        assert not any(alive(member) for member in members)
        assert pid not in children()


@pytest.mark.parametrize("persistent", [True, False])
async def test_t29_stop_while_a_read_waits(persistent: bool) -> None:
    async with node(OWNER, persistent=persistent) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/sleep", ["1000"]))
        reading = asyncio.ensure_future(client.read())
        await asyncio.sleep(0.05)
        begin = time.monotonic()
        await client.stop()
        with pytest.raises(Refused, match=f"^{STOPPED}$"):
            await reading
        assert time.monotonic() - begin < 1
        with pytest.raises(Refused, match="no active pty session"):
            await client.stop()


async def test_t30_ten_megabytes_without_a_viewer(tmp_path: Path) -> None:
    marker = tmp_path / "done"
    script = f"head -c 10000000 /dev/zero | tr '\\0' x; echo > {marker}; sleep 1000"
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            await client.start_session(CommandReq("/bin/sh", ["-c", script]))
            client.stream.abort()
        await eventually(lambda: marker.exists(), limit=20)


async def test_t31_the_sweep_leaves_no_process() -> None:
    clock = Clock()
    async with node(OWNER, clock=clock) as here:
        async with here.client(OWNER) as client:
            await client.start_session(BASH)
            pid = await shell_pid(client)
            await type_line(client, "sleep 1000")
            await eventually(lambda: session_members(pid))
        members = [pid, *(member for member, _, _ in session_members(pid))]
        await eventually(lambda: here.host._connections == 0)
        clock.now += SESSION_TTL - 1
        await here.host.sweep()
        assert alive(pid)
        clock.now += 1
        await here.host.sweep()
        assert not any(alive(member) for member in members)
        assert pid not in children()


async def test_t33_a_host_that_keeps_no_sessions_gives_a_fresh_shell() -> None:
    async with node(OWNER, persistent=False) as here, here.client(OWNER) as client:
        assert await client.open(BASH, "deadbeefdeadbeef") == ("", False)
        assert await ask(client, "fresh") == "fresh"


async def test_t34_a_stolen_session_id_gives_a_shell_of_ones_own() -> None:
    async with node(OWNER, STRANGER) as here, here.client(OWNER) as client:
        victim = await client.open(BASH)
        pid = await shell_pid(client)
        async with here.client(STRANGER) as thief:
            opened = await thief.open(BASH, victim.session)
            assert not opened.attached
            assert opened.session not in ("", victim.session)
            assert await shell_pid(thief) != pid
        assert await shell_pid(client) == pid


@pytest.mark.parametrize("kill", ["abort ours", "break theirs"])
async def test_t36_a_killed_stream_is_reported_to_reader_and_writer(kill: str) -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.open(BASH)
        await read_until(client, r"\$ ")
        reading = asyncio.ensure_future(client.read())
        await asyncio.sleep(0.01)
        if kill == "abort ours":
            client.stream.abort()
        else:
            await here.cut()
        async with asyncio.timeout(5):
            with pytest.raises((StreamError, Refused)):
                await reading
            with pytest.raises(StreamError):
                await client.write(b"x")
            await client.keep_alive(interval=0)


async def test_t37_two_viewers_of_one_session_see_the_same() -> None:
    async with node(OWNER) as here, here.client(OWNER) as one:
        opened = await one.open(BASH)
        await read_until(one, r"\$ ")
        async with here.client(OWNER) as two:
            assert await two.open(BASH, opened.session) == (opened.session, True)
            for typist in (one, two):
                await type_line(typist, "echo both-$((1+1))")
                for viewer in (one, two):
                    await read_until(viewer, r"both-2\r\n.*\$ ")
        assert await ask(one, "still here") == "still here"


async def test_the_size_of_who_types_last_is_used() -> None:
    async with node(OWNER) as here, here.client(OWNER) as one, here.client(OWNER) as two:
        opened = await one.open(BASH)
        small = CommandReq(BASH.name, BASH.arg, WinSize(rows=24, cols=80))
        await two.open(small, opened.session)
        assert await ask(two, "$(stty size)") == "24 80"
        assert await ask(one, "$(stty size)") == "30 100"


@pytest.mark.parametrize("persistent", [True, False])
async def test_t40_a_natural_end_has_the_text_go_clients_compare(persistent: bool) -> None:
    async with node(OWNER, persistent=persistent) as here, here.client(OWNER) as client:
        await client.open(BASH)
        await type_line(client, "exit 3")
        output, reason = await read_to_end(client)
        assert b"exit" in output
        assert reason == "read /dev/ptmx: input/output error" == NATURAL_END


async def test_a_classic_reader_gets_every_byte_however_slow() -> None:
    """As in Go: without persistence the shell waits for its only reader."""
    script = "seq 1 200000"
    async with node(OWNER, persistent=False) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/sh", ["-c", script]))
        await asyncio.sleep(0.3)
        output, reason = await read_to_end(client)
        assert output == b"".join(b"%d\r\n" % number for number in range(1, 200001))
        assert reason == NATURAL_END


async def test_control_c_stops_a_flood_at_once() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.open(BASH)
        await read_until(client, r"\$ ")
        await type_line(client, "yes")
        for _ in range(20):
            await client.read()
        begin = time.monotonic()
        await client.write(b"\x03")
        await read_until(client, r"\^C\r\n\$ ")
        assert time.monotonic() - begin < 0.3
