"""Scenarios T13 to T22: what one connection may do, and what stays when it is gone."""

import asyncio

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import NULL_KEY
from skywire.errors import NotSupported, Refused
from skywire.pty.gateway import Gateway
from skywire.pty.types import (
    ALREADY_RUNNING,
    NATURAL_END,
    NOT_RUNNING,
    SESSION_NOT_FOUND,
    STOPPED,
    VIEW_ONLY,
    CommandReq,
)
from skywire.rpc.server import Method
from skywire.testing.processes import alive
from skywire.testing.wait import eventually

from .kit import BASH, Node, ask, node, read_to_end, read_until, shell_pid, type_line

OWNER, STRANGER = key_pair()[0], key_pair()[0]


def count(of: Node) -> int:
    assert of.host.sessions is not None
    return len(of.host.sessions)


async def test_t13_the_owner_is_the_key_of_the_stream_or_nobody() -> None:
    async with (
        node(OWNER) as here,
        here.client(OWNER) as client,
        here.client(NULL_KEY, control=True) as local,
    ):
        mine, locals_ = await client.start_session(BASH), await local.start_session(BASH)
        assert here.host.sessions is not None
        assert here.host.sessions.get(mine, OWNER).owner == OWNER
        assert here.host.sessions.get(locals_, NULL_KEY).owner == NULL_KEY


async def test_t14_a_lost_stream_leaves_the_shell_running_and_read() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            name = await client.start_session(BASH)
            pid = await shell_pid(client)
            await type_line(client, "sleep 0.2; echo done")
            client.stream.abort()
        assert here.host.sessions is not None
        session = here.host.sessions.get(name, OWNER)
        await eventually(lambda: not session._followers)
        total = session._ring.total
        await eventually(lambda: session._ring.total > total)
        assert alive(pid)
        assert count(here) == 1


async def test_t14b_an_orderly_end_of_the_stream_is_a_detach_at_once() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            name = await client.start_session(BASH)
            await read_until(client, r"\$ ")
            reading = asyncio.ensure_future(client.read())
            await asyncio.sleep(0.01)
            reading.cancel()
        assert here.host.sessions is not None
        session = here.host.sessions.get(name, OWNER)
        await eventually(lambda: not session._followers, limit=1)
        assert session.end is None


async def test_t15_stop_ends_the_shell_for_all() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client, here.client(OWNER) as other:
        name = await client.start_session(BASH)
        await other.attach(name)
        pid = await shell_pid(client)
        await client.stop()
        assert count(here) == 0
        assert not alive(pid)
        assert (await read_to_end(other))[1] == STOPPED
        for call in (client.read(), client.stop()):
            with pytest.raises(Refused, match=NOT_RUNNING):
                await call


async def test_t16_write_reaches_the_shell_and_read_returns_its_output() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/cat", [], None, []))
        assert await client.write(b"hello\n") == 6
        assert "hello\r\nhello\r\n" in await read_until(client, "hello\r\nhello\r\n")
        assert await client.write(b"") == 0


async def test_t17_a_second_viewer_keeps_the_session_in_use() -> None:
    async with node(OWNER) as here, here.client(OWNER) as first:
        name = await first.start_session(BASH)
        async with here.client(OWNER) as second:
            await second.attach(name)
        assert here.host.sessions is not None
        session = here.host.sessions.get(name, OWNER)
        await eventually(lambda: len(session._followers) == 1)
        assert session.idle(1e9) == 0


@pytest.mark.parametrize("persistent", [True, False])
async def test_t18_nothing_works_before_a_start(persistent: bool) -> None:
    async with node(OWNER, persistent=persistent) as here, here.client(OWNER) as client:
        for call in (client.read(), client.write(b"x"), client.resize(1, 1), client.stop()):
            with pytest.raises(Refused, match=f"^{NOT_RUNNING}$"):
                await call
        await client.ping()


async def test_t19_a_reattach_replays_what_was_missed_and_goes_on() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            name = await client.start_session(BASH)
            pid = await shell_pid(client)
            await type_line(client, "(sleep 0.1; echo missed-$((40+2))) & wait")
            client.stream.abort()
        await asyncio.sleep(0.3)
        async with here.client(OWNER) as client:
            await client.attach(name)
            replay = await read_until(client, "missed-42")
            assert replay.count("missed-42") == 1
            assert await shell_pid(client) == pid


async def test_t20_an_unknown_session() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        for name in ("deadbeefdeadbeef", "", "x" * 1000):
            with pytest.raises(Refused, match=f"^{SESSION_NOT_FOUND}$"):
                await client.attach(name)
        await client.start(BASH)  # the connection is none the worse


async def test_t21_a_session_of_somebody_else() -> None:
    async with node(OWNER, STRANGER) as here, here.client(OWNER) as client:
        name = await client.start_session(BASH)
        async with here.client(STRANGER) as thief:
            with pytest.raises(Refused, match=f"^{SESSION_NOT_FOUND}$"):
                await thief.attach(name)
        assert await ask(client, "undisturbed") == "undisturbed"


async def test_t22_start_session_returns_an_id_of_ours() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        name = await client.start_session(BASH)
        assert here.host.sessions is not None
        assert here.host.sessions.get(name, OWNER).owner == OWNER
        with pytest.raises(Refused, match=f"^{ALREADY_RUNNING}$"):
            await client.start(BASH)
        with pytest.raises(Refused, match=f"^{ALREADY_RUNNING}$"):
            await client.attach(name)


async def test_a_legacy_start_on_a_persistent_host_survives_too() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            await client._call("pty.Start", BASH)
            pid = await shell_pid(client)
            client.stream.abort()
        await asyncio.sleep(0.05)
        assert alive(pid)
        assert count(here) == 1


async def test_without_persistence_the_shell_ends_with_the_stream() -> None:
    async with node(OWNER, persistent=False) as here:
        async with here.client(OWNER) as client:
            with pytest.raises(NotSupported):
                await client.start_session(BASH)
            with pytest.raises(Refused, match=r"^rpc: can't find method pty\.Attach$"):
                await client.attach("deadbeefdeadbeef")
            await client.start(BASH)
            pid = await shell_pid(client)
            client.stream.abort()
        await eventually(lambda: not alive(pid))


@pytest.mark.parametrize("persistent", [True, False])
async def test_start_stop_start_on_one_connection(persistent: bool) -> None:
    async with node(OWNER, persistent=persistent) as here, here.client(OWNER) as client:
        pids = []
        for _ in range(3):
            await client.start(BASH)
            pids.append(await shell_pid(client))
            await client.stop()
        assert len(set(pids)) == 3
        assert not any(alive(pid) for pid in pids)


async def test_a_failed_start_leaves_the_connection_usable() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        with pytest.raises(Refused, match=r"^fork/exec /no/such: no such file or directory$"):
            await client.start(CommandReq("/no/such"))
        assert count(here) == 0
        await client.start(BASH)


async def test_the_host_refuses_bad_read_sizes() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(BASH)
        for size in (0, -1, -(1 << 62)):
            with pytest.raises(Refused, match=f"^invalid read size: {size}$"):
                await client.read(size)
        assert await client.read(1 << 40)


async def test_writes_sent_together_keep_their_order() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/sh", ["-c", "stty -echo; echo go; read x; echo $x"]))
        await read_until(client, "go")
        text = "".join(f"{number:03}" for number in range(60))
        await asyncio.gather(*(client.write(text[i : i + 3].encode()) for i in range(0, 180, 3)))
        await client.write(b"\n")
        assert text in await read_until(client, "059\r\n")


async def test_after_the_natural_end_the_binding_stays_until_stop() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/true"))
        assert (await read_to_end(client))[1] == NATURAL_END
        assert await client.write(b"x") == 1
        await client.resize(80, 24)
        with pytest.raises(Refused, match=ALREADY_RUNNING):
            await client.start(BASH)
        await client.stop()
        await client.start(BASH)


async def test_attach_to_a_shell_that_has_ended_replays_it() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            name = await client.start_session(CommandReq("/bin/sh", ["-c", "echo last words"]))
            await read_to_end(client)
        async with here.client(OWNER) as client:
            await client.attach(name)
            assert await read_to_end(client) == (b"last words\r\n", NATURAL_END)
        await here.host.sweep()
        assert count(here) == 0


async def test_the_terminal_has_the_size_and_environment_asked_for() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(BASH)
        assert await ask(client, "$(stty size) $TERM") == "30 100 dumb"
        await client.resize(132, 40)
        assert await ask(client, "$(stty size)") == "40 132"


async def test_who_looks_on_sees_everything_and_changes_nothing() -> None:
    async with (
        node(OWNER) as here,
        here.client(OWNER) as client,
        here.client(OWNER) as viewer,
        here.client(NULL_KEY, control=True) as local,
    ):
        name = await client.start_session(BASH)
        pid = await shell_pid(client)
        await viewer.view(name)
        await local.view(name)  # the node itself may see what it does not own
        await type_line(client, "echo for ''all")
        for one in (client, viewer, local):
            await read_until(one, "for all")
        for forbidden in (viewer.write(b"x"), viewer.resize(10, 10), viewer.stop()):
            with pytest.raises(Refused, match=f"^.*{VIEW_ONLY}$"):
                await forbidden
        with pytest.raises(Refused, match=ALREADY_RUNNING):
            await viewer.view(name)
        await viewer.close()
        assert alive(pid)
        await client.stop()
        assert (await read_to_end(local))[1] == STOPPED


async def test_nobody_looks_on_at_a_strangers_session() -> None:
    async with (
        node(OWNER, STRANGER) as here,
        here.client(OWNER) as client,
        here.client(STRANGER) as stranger,
    ):
        name = await client.start_session(BASH)
        for wanted in (name, "0123456789abcdef"):
            with pytest.raises(Refused, match=SESSION_NOT_FOUND):
                await stranger.view(wanted)


async def test_a_host_that_knows_no_view_is_attached_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        name = await client.start_session(BASH)
        kept = Gateway.methods

        def without_view(gateway: Gateway) -> dict[str, Method]:
            methods = kept(gateway)
            del methods["pty.View"]
            return methods

        monkeypatch.setattr(Gateway, "methods", without_view)
        async with here.client(OWNER) as viewer:
            await viewer.view(name)
            await type_line(client, "echo at''tached")
            await read_until(viewer, "attached")


async def test_a_host_that_keeps_no_sessions_has_none_to_view() -> None:
    async with node(OWNER, persistent=False) as here, here.client(OWNER) as client:
        with pytest.raises(NotSupported, match="keeps no sessions"):
            await client.view("0123456789abcdef")
