"""What entries and peers may make a client or a server keep, try or wait for."""

import asyncio
import time

import pytest

from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg import client as client_module
from skywire.dmsg import relay
from skywire.errors import DialFailed, RemoteProtocolError
from skywire.wire.dmsg import Addr, StreamRequest
from skywire.wire.entry import Entry
from skywire.wire.yamux import DATA, RST, pack_header

from .conftest import Net, soon, until
from .raw import raw_client, works

ENDLESS_LABEL = "a" * 70


async def test_data_for_a_stream_nobody_has_accepted_is_bounded(net: Net) -> None:
    server = net.servers[0]
    async with works(net), raw_client(server) as silent, raw_client(server) as flood:
        await until(lambda: server.find(silent.pk) is not None)
        target = Addr(silent.pk, 80)
        flood.request(1, StreamRequest(time.time_ns(), Addr(flood.pk, 5), target))
        await until(lambda: len(server._pending) == 1)
        piece = bytes(relay.MAX_EARLY // 2)
        for _ in range(3):
            flood.writer.write(pack_header(0, DATA, 0, 1, len(piece)) + piece)
        while not flood.flags.get(1, 0) & RST:
            await flood.receive()
        await until(lambda: not server._pending)
        assert server.find(flood.pk) is not None, "the session goes on"


async def test_a_little_data_before_the_answer_is_delivered(net: Net) -> None:
    """As much as a peer may have sent on, not knowing better."""
    server = net.servers[0]
    async with raw_client(server) as a, raw_client(server) as b:
        await until(lambda: server.find(b.pk) is not None)
        a.request(1, StreamRequest(time.time_ns(), Addr(a.pk, 5), Addr(b.pk, 80)))
        a.writer.write(pack_header(0, DATA, 0, 1, 5) + b"early")
        while not b.data:
            await b.receive()
        assert server.find(a.pk) is not None


@pytest.mark.parametrize("host", ["a..b", ENDLESS_LABEL, "a\0b", "ü" * 90, "\udc80"])
async def test_a_server_entry_with_an_impossible_name_is_a_failed_dial(
    net: Net, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await net.client()
    bad, lost = generate.key_pair()[0], generate.key_pair()[0]
    await net.directory.post(Entry.of_server(bad, f"{host}:80", 9))
    await net.directory.post(Entry.of_client(lost, [bad]))
    with pytest.raises(DialFailed, match="that is no host name"):
        await soon(client.dial(lost, 80))
    assert bad in client._failed
    assert "Traceback" not in caplog.text


async def test_a_client_with_endless_servers_costs_few_attempts(net: Net) -> None:
    client = await net.client()
    nowhere = [generate.key_pair()[0] for _ in range(client_module.MAX_SERVERS + 20)]
    asked: list[PubKey] = []
    entry = net.directory.entry

    async def counted(pk: PubKey) -> Entry:
        asked.append(pk)
        return await entry(pk)

    lost = generate.key_pair()[0]
    await net.directory.post(Entry.of_client(lost, nowhere))
    net.directory.entry = counted  # type: ignore[method-assign]
    with pytest.raises(DialFailed):
        await soon(client.dial(lost, 80))
    assert asked.count(lost) == 1
    assert len(asked) == 1 + client_module.MAX_SERVERS


async def test_servers_that_failed_are_remembered_in_bounded_space(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_FAILED", 3)
    client = await net.client()
    servers = [generate.key_pair()[0] for _ in range(5)]
    for server in servers:
        await net.directory.post(Entry.of_server(server, "127.0.0.1:1", 9))
        with pytest.raises(DialFailed):
            await soon(client.look_up_ip(server))
    assert list(client._failed) == servers[2:]


@pytest.mark.parametrize("error", [RemoteProtocolError("nonsense"), TimeoutError()], ids=repr)
async def test_a_server_that_cannot_be_looked_up_does_not_end_the_dial(
    net: Net, error: Exception
) -> None:
    """The next server of the entry is tried."""
    await net.server()
    a, b = await net.client(), await net.client(min_sessions=2)
    b.listen(80)
    await until(lambda: len(b.sessions) == 2)
    unknown = generate.key_pair()[0]
    entry = net.directory.entry

    async def broken(pk: PubKey) -> Entry:
        if pk == unknown:
            raise error
        if pk == b.public:
            return Entry.of_client(pk, [unknown, *b.sessions])
        return await entry(pk)

    net.directory.entry = broken  # type: ignore[method-assign]
    for session in list(a._sessions.values()):
        session.close("to try the unknown one first")
    async with asyncio.timeout(10):
        stream = await a.dial(b.public, 80)
    await stream.close()
