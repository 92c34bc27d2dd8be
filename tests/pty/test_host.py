"""Scenarios T23 to T27, the hello, and who is let in."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Conflict, DialFailed, InvalidValue, NotSupported, Refused, StreamReset
from skywire.pty import host as host_module
from skywire.pty.client import PtyClient, whitelist_call
from skywire.pty.control import dial_control, listen_control, proxy_uri
from skywire.pty.dialing import Dial
from skywire.pty.host import PtyHost
from skywire.pty.mux import request_service
from skywire.pty.proxy import parse_query
from skywire.pty.types import NATURAL_END, PTY_URI, WHITELIST_URI, CommandExecReq, CommandReq
from skywire.pty.whitelist import MAX_KEYS, Whitelist
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing import vectors
from skywire.testing.wait import eventually

from .kit import BASH, Node, ask, node, over_dmsg, read_to_end, read_until, shell_pid

OWNER, STRANGER = key_pair()[0], key_pair()[0]


async def answer_of(stream: Stream) -> bytes:
    """Everything the host sends before it closes, or the first byte it accepts with."""
    async with asyncio.timeout(5):
        return await stream.read(1)


async def test_t23_whitelist_add_and_remove() -> None:
    async with node(OWNER) as here:

        async def call(method: str, keys: list[PubKey] | None = None) -> list[PubKey]:
            stream = here.stream_from(None, control=True)
            await request_service(stream, WHITELIST_URI)
            found: list[PubKey] = await whitelist_call(stream, f"whitelist.{method}", keys)
            return found

        keys = [key_pair()[0] for _ in range(10)]
        for key in keys:
            await call("WhitelistAdd", [key])
            await call("WhitelistAdd", [key])
        assert set(await call("Whitelist")) == {OWNER, *keys}
        for key in keys:
            await call("WhitelistRemove", [key, STRANGER])
        assert await call("Whitelist") == [OWNER]


async def test_t24_eight_rounds_on_one_connection() -> None:
    async with node(OWNER, persistent=False) as here, here.client(OWNER) as client:
        for number in range(8):
            await client.start(BASH)
            assert await ask(client, f"round {number}") == f"round {number}"
            await client.ping()
            await client.stop()


def dial_to(there: Node, us: PubKey) -> Dial:
    async def dial(pk: PubKey, port: int) -> Stream:
        if (pk, port) != (there.key, 22):
            raise DialFailed(f"{pk}:{port}: nobody there")
        return there.stream_from(us)

    return over_dmsg(dial)


async def test_t25_a_proxy_between_two_hosts() -> None:
    us = key_pair()[0]
    async with node(us) as there, node(dial=dial_to(there, us)) as here:
        uri = proxy_uri(there.key, 22)
        async with here.client(NULL_KEY, uri, control=True) as client:
            with pytest.raises(Refused, match="no active pty session"):
                await client.write(b"x")
            with pytest.raises(Refused, match=r"^invalid read size: -1$"):
                await client.read(-1)
            with pytest.raises(Refused, match=r"can't find method pty\.Attach"):
                await client.attach("deadbeefdeadbeef")
            await client.start(BASH)
            await client.resize(132, 40)
            assert await ask(client, "$(stty size)") == "40 132"
            await client.ping()
            result = await client.execute(CommandExecReq("/bin/echo", ["hello"]))
            assert result.stdout == b"hello\n"
            await client.write(b"exit\n")
            assert (await read_to_end(client))[1] == NATURAL_END
            await client.stop()
            await client.start(BASH)
            pid = await shell_pid(client)
            assert there.host.sessions is not None
            assert len(there.host.sessions) == 1
        await eventually(lambda: len(there.host.sessions or ()) == 0)
        assert pid


async def test_a_proxy_whose_target_cannot_be_reached_closes_without_an_answer() -> None:
    us = key_pair()[0]
    async with node() as there, node(dial=dial_to(there, us)) as here, node() as lone:
        for uri in (
            proxy_uri(STRANGER, 22),  # nobody there
            proxy_uri(there.key, 22),  # does not admit us
            proxy_uri(there.key, 22).replace("pk=", "pk=zz"),
            proxy_uri(there.key, 99999),
            "dmsgpty/proxy",
        ):
            with pytest.raises(StreamReset, match=r"^failed to read response: EOF$"):
                await request_service(here.stream_from(None, control=True), uri)
        with pytest.raises(StreamReset):
            await request_service(lone.stream_from(None, control=True), proxy_uri(there.key, 22))


def test_the_query_of_a_proxy_request() -> None:
    assert parse_query({"pk": str(OWNER), "port": "22"}) == (OWNER, 22, "")
    scheme = {"pk": str(OWNER), "port": "22", "scheme": "skynet"}
    assert parse_query(scheme) == (OWNER, 22, "skynet")
    with pytest.raises(InvalidValue, match="unknown scheme"):
        parse_query(scheme | {"scheme": "x"})
    for pk in ("", "zz", str(NULL_KEY)[:-2], "02" + "ff" * 32):
        with pytest.raises(InvalidValue, match=r"^invalid query value 'pk': "):
            parse_query({"pk": pk, "port": "22"})
    for port in ("", "x", "-1", "65536", "²", "1" * 5000):
        with pytest.raises(InvalidValue, match=r"^invalid query value 'port': "):
            parse_query({"pk": str(OWNER), "port": port})


async def test_t26_a_key_that_is_not_in_the_whitelist(caplog: pytest.LogCaptureFixture) -> None:
    async with node(OWNER) as here:
        for _ in range(3):
            stream = here.stream_from(STRANGER)
            assert await answer_of(stream) == b"\x01", "before anything is asked"
            assert await stream.read() == b""
            with pytest.raises(Refused, match="request rejected by remote dmsgpty-host"):
                await request_service(here.stream_from(STRANGER), PTY_URI)
        refused = [one for one in caplog.records if "not in the whitelist" in one.message]
        assert len(refused) == 1, "logged once"
        assert str(STRANGER) in refused[0].getMessage()
        here.host.whitelist.add([STRANGER])
        async with here.client(STRANGER) as client:
            await client.start(BASH)


async def test_a_stream_without_a_key_is_refused() -> None:
    async with node(OWNER, NULL_KEY) as here:
        for stream in (here.stream_from(None), here.stream_from(NULL_KEY)):
            assert await answer_of(stream) == b"\x01"


async def test_refused_keys_are_remembered_in_bounded_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "LOGGED_KEYS", 3)
    async with node(OWNER) as here:
        for _ in range(5):
            assert await answer_of(here.stream_from(key_pair()[0])) == b"\x01"
        assert len(here.host._refused) == 3


async def test_t27_a_host_without_a_dialer_survives_the_end_of_a_session() -> None:
    async with node(OWNER, persistent=False) as here:
        for _ in range(2):
            async with here.client(OWNER) as client:
                await client.start(CommandReq("/bin/true"))
                assert (await read_to_end(client))[1] == NATURAL_END


def shown(vector: dict[str, Any]) -> str:
    return f"{vector['where']}: {vector['request'] or 'empty'}"


@pytest.mark.parametrize("vector", vectors.load("pty/mux"), ids=shown)
async def test_the_same_answers_as_a_go_host(vector: dict[str, Any]) -> None:
    """But for a proxy: Go dials, we have nobody to dial here."""
    async with node(OWNER) as here:
        owner = STRANGER if "not whitelisted" in vector["where"] else OWNER
        control = vector["where"] == "control socket"
        stream = here.stream_from(None if control else owner, control=control)
        uri = vector["request"].encode()
        await stream.write(bytes([len(uri)]) + uri)
        expected = bytes.fromhex(vector["answer"] or "")
        assert await answer_of(stream) == expected
        if expected != b"\0":
            assert await stream.read() == b""
        stream.abort()


@pytest.mark.parametrize("sent", [b"", b"\x0b", b"\x0bdmsg", b"\xff" + b"x" * 200])
async def test_a_request_that_is_never_finished(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "HANDSHAKE_TIMEOUT", 0.05)
    async with node(OWNER) as here:
        waiting, leaving = here.stream_from(OWNER), here.stream_from(OWNER)
        for stream in (waiting, leaving):
            await stream.write(sent)
        await leaving.write_eof()
        assert await answer_of(waiting) == b"\x01"
        assert await answer_of(leaving) == b"\x01"
        assert here.host._connections == 0


async def test_garbage_after_the_hello_ends_that_connection_only() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(BASH)
        stream = here.stream_from(OWNER)
        await request_service(stream, PTY_URI)
        await stream.write(b"\xff" * 5000)
        async with asyncio.timeout(5):
            while await stream.read():
                pass
        assert await ask(client, "still here") == "still here"


async def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_module, "MAX_CONNECTIONS", 2)
    path = str(tmp_path / "pty.sock")
    tasks = Tasks("test")
    async with PtyHost(Whitelist()) as host:
        listener = await listen_control("unix", path)
        accepting = tasks.spawn(host.accept_control(listener))
        open_ = [await dial_control(path, PTY_URI) for _ in range(2)]
        with pytest.raises(StreamReset):
            await dial_control(path, PTY_URI)
        await open_.pop().close()
        await eventually(lambda: host._connections == 1)
        await (await dial_control(path, PTY_URI)).close()
        for stream in open_:
            await stream.close()
        await listener.close()
        await accepting
    await tasks.close()


async def test_the_control_socket_end_to_end(tmp_path: Path) -> None:
    path = str(tmp_path / "pty.sock")
    tasks = Tasks("test")
    async with PtyHost(Whitelist([OWNER])) as host:
        listener = await listen_control("unix", path)
        tasks.spawn(host.accept_control(listener))
        with pytest.raises(Conflict, match="in use by another program"):
            await listen_control("unix", path)
        stream = await dial_control(path, WHITELIST_URI)
        assert await whitelist_call(stream, "whitelist.Whitelist") == [OWNER]
        async with PtyClient(await dial_control(path, PTY_URI)) as client:
            await client.start(BASH)
            assert await ask(client, "local") == "local"
        with pytest.raises(DialFailed, match="the node could not reach that host"):
            await dial_control(path, proxy_uri(STRANGER, 22))
        await listener.close()
    await tasks.close()
    with pytest.raises(DialFailed):
        await dial_control(path, PTY_URI)
    with pytest.raises(InvalidValue, match=r'pty\.cli_network is "tcp"'):
        await listen_control("tcp", path)


async def test_leaving_the_host_stops_everything() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        name = await client.start_session(BASH)
        pid = await shell_pid(client)
        await here.host.__aexit__()
        with pytest.raises((StreamReset, Refused)):
            await client.attach(name)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_whitelist_is_bounded_and_has_no_null_key() -> None:
    whitelist = Whitelist([NULL_KEY, OWNER])
    assert whitelist.keys == [OWNER]
    assert None not in whitelist
    many = [PubKey(b"\x02" + number.to_bytes(32, "big")) for number in range(MAX_KEYS)]
    with pytest.raises(Exception, match="room for 4096 keys"):
        whitelist.add(many)
    assert whitelist.keys == [OWNER]


async def test_t35_schemes_of_a_node_that_is_on_dmsg_only() -> None:
    dialled = []

    async def dmsg(pk: PubKey, port: int) -> Stream:
        dialled.append((pk, port))
        raise DialFailed("nobody there")

    dial = over_dmsg(dmsg)
    for scheme in ("", "dmsg"):
        with pytest.raises(DialFailed):
            await dial(OWNER, 22, scheme)
    assert dialled == [(OWNER, 22)] * 2
    with pytest.raises(NotSupported):
        await dial(OWNER, 22, "skynet")
    with pytest.raises(InvalidValue, match='unknown network "tor"'):
        await dial(OWNER, 22, "tor")
    assert len(dialled) == 2


async def test_nothing_typed_or_printed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(BASH)
        await client.write(b"echo sec''ret-word\n")
        await read_until(client, "secret-word")
    assert "secret-word" not in caplog.text
    assert "sec''ret-word" not in caplog.text
