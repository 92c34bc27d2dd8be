"""Directories that know services without asking, and several ways to one discovery."""

import asyncio
import logging

import pytest

from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg import seeding
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.discovery import Directory
from skywire.dmsg.seeding import FirstOf, SeededDirectory, keys_of, seeded
from skywire.errors import NotFound, Unavailable
from skywire.testing.deployment import deployment
from skywire.wire.entry import Entry

SERVICE, OTHER, FIRST, SECOND = (
    deterministic_key_pair(name)[0] for name in (b"service", b"other", b"first", b"second")
)


def server(pk: PubKey, port: int) -> Entry:
    return Entry.of_server(pk, f"127.0.0.1:{port}", 1)


class Away(StaticDirectory):
    """A discovery that cannot be asked; `asked` counts."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.asked = 0
        self._error = error or Unavailable("discovery away")

    async def entry(self, pk: PubKey) -> Entry:
        self.asked += 1
        raise self._error

    async def all_servers(self) -> list[Entry]:
        self.asked += 1
        raise self._error


class Silent(Away):
    async def entry(self, pk: PubKey) -> Entry:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


def made(inner: Directory, *, first_known: bool = False) -> SeededDirectory:
    known = [server(FIRST, 1), server(SECOND, 2)]
    return SeededDirectory(inner, [SERVICE], known, first_known=first_known)


async def test_a_service_and_the_servers_are_known_without_asking() -> None:
    away = Away()
    directory = made(away)
    entry = await directory.entry(SERVICE)
    assert entry.client is not None
    assert entry.client.delegated_servers == (FIRST, SECOND)
    first = await directory.entry(FIRST)
    assert first.server is not None
    assert first.server.address == "127.0.0.1:1"
    assert away.asked == 0
    with pytest.raises(Unavailable):
        await directory.entry(OTHER)


async def test_known_servers_serve_while_the_discovery_is_away() -> None:
    servers = await made(Away()).available_servers()
    assert [one.static for one in servers] == [FIRST, SECOND]


async def test_a_learnt_address_beats_a_known_one() -> None:
    inner = StaticDirectory([server(FIRST, 9)])
    directory = made(inner)
    assert [one.static for one in await directory.all_servers()] == [FIRST]
    learnt = await directory.entry(FIRST)
    assert learnt.server is not None
    assert learnt.server.address == "127.0.0.1:9"
    known = await directory.entry(SECOND)
    assert known.server is not None
    assert known.server.address == "127.0.0.1:2"


async def test_an_empty_list_is_no_reason_to_have_no_server() -> None:
    assert len(await made(StaticDirectory()).available_servers()) == 2


async def test_over_dmsg_the_first_question_is_not_asked() -> None:
    away = Away()
    directory = made(away, first_known=True)
    assert len(await directory.available_servers()) == 2
    assert away.asked == 0
    await directory.available_servers()
    assert away.asked == 1


async def test_what_is_learnt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "MAX_LEARNT", 3)
    many = [server(key_pair()[0], port) for port in range(1, 6)]
    directory = made(StaticDirectory(many))
    await directory.all_servers()
    assert len(directory._learnt) == 3


def test_nothing_to_know_leaves_the_directory_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    inner = StaticDirectory()
    with caplog.at_level(logging.INFO):
        assert seeded(inner, [SERVICE], []) is inner
        assert caplog.records == []
        assert seeded(inner, [], [server(FIRST, 1)]) is not inner


def test_keys_are_taken_once_and_garbage_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    address = f"dmsg://{SERVICE}:80"
    found = keys_of({"a": address, "b": address, "c": "dmsg://zz", "d": "x", "e": ""})
    assert found == [SERVICE]
    (warning,) = caplog.records
    assert "count=2" in warning.message


async def test_the_way_that_answered_is_asked_first_from_then_on() -> None:
    away, there = Away(), StaticDirectory([server(FIRST, 1)])
    first = FirstOf([away, there])
    assert (await first.entry(FIRST)).server is not None
    assert (await first.entry(FIRST)).server is not None
    assert away.asked == 1
    await first.post(Entry.of_client(SERVICE, [FIRST]))
    assert (await there.entry(SERVICE)).client is not None
    await first.delete(Entry.of_client(SERVICE, [FIRST]))
    assert len(await first.available_servers()) == len(await first.all_servers()) == 1


async def test_a_silent_way_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "PATIENCE", 0.05)
    first = FirstOf([Silent(), StaticDirectory([server(FIRST, 1)])])
    async with asyncio.timeout(5):
        assert (await first.entry(FIRST)).static == FIRST


async def test_every_cause_is_told_and_a_no_is_an_answer() -> None:
    with pytest.raises(Unavailable, match="one; two"):
        await FirstOf([Away(Unavailable("one")), Away(Unavailable("two"))]).entry(FIRST)
    no = Away(NotFound("no such entry"))
    later = Away()
    with pytest.raises(NotFound):
        await FirstOf([no, later]).entry(FIRST)
    assert later.asked == 0


async def test_a_dial_tries_the_servers_until_one_knows_the_service() -> None:
    """The entry delegates to all servers on purpose: "not found here" means: try the next."""
    async with deployment(servers=2) as net, asyncio.timeout(30):
        service = await net.client()
        listener = service.listen(80)
        known = [Entry.of_server(one.public, one.public_address, 1) for one in net.servers]
        directory = SeededDirectory(Away(), [service.public], known)
        async with DmsgClient(*key_pair(), directory) as client:
            stream = await client.dial(service.public, 80)
            accepted = await listener.accept()
            await stream.write(b"hello")
            assert await accepted.read() == b"hello"
            await stream.close()
            await accepted.close()
