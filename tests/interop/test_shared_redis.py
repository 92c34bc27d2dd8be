"""A Go discovery and ours on one Redis at the same time: what one is told, the other knows."""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import redis as redis_client

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import Conflict, NotFound
from skywire.stores.redis import CLIENTS, SERVERS, VISORS
from skywire.wire import entry as wire
from skywire.wire.entry import Entry
from tests.interop.go import Go, servers
from tests.interop.ours import Ours, client
from tests.interop.processes import get_json


class Pair(NamedTuple):
    """URLs of the two discoveries, and of their Redis."""

    go: str
    ours: str
    redis: str


@pytest.fixture(scope="module")
def pair(go: Go, ours: Ours) -> Pair:
    redis = go.redis()
    return Pair(go.discovery(redis), ours.discovery(redis), redis)


@pytest.fixture(params=["go to ours", "ours to go"])
def direction(request: pytest.FixtureRequest, pair: Pair) -> tuple[str, str]:
    """(told, asked)"""
    return (pair.go, pair.ours) if request.param == "go to ours" else (pair.ours, pair.go)


def signed(make: Callable[[PubKey], Entry], sequence: int = 0) -> tuple[PubKey, SecKey, Entry]:
    public, secret = key_pair()
    return public, secret, numbered(make(public), secret, sequence)


def numbered(entry: Entry, secret: SecKey, sequence: int) -> Entry:
    from msgspec.structs import replace

    return wire.sign(replace(entry, sequence=sequence, timestamp=time.time_ns()), secret)


def documents(pair: Pair, path: str) -> list[Any]:
    return [get_json(f"{url}/dmsg-discovery/{path}") for url in (pair.go, pair.ours)]


async def test_a_clients_entry(pair: Pair, direction: tuple[str, str]) -> None:
    told, asked = direction
    servers_of = (key_pair()[0], key_pair()[0])
    public, secret, entry = signed(lambda pk: Entry.of_client(pk, servers_of, "visor"))
    async with DiscoveryClient(told) as one, DiscoveryClient(asked) as two:
        with pytest.raises(NotFound):
            await two.entry(public)
        await one.post(entry)
        assert await two.entry(public) == entry
        from_go, from_ours = documents(pair, f"entry/{public}")
        assert from_go == from_ours
        for listed in documents(pair, "entries") + documents(pair, "visorEntries"):
            assert str(public) in listed

        with pytest.raises(Conflict):  # the other one knows which sequence is next
            await two.post(numbered(entry, secret, 0))
        newer = numbered(entry, secret, 1)
        await two.post(newer)
        assert await one.entry(public) == newer

        await one.delete(newer)
        with pytest.raises(NotFound):
            await two.entry(public)
        for listed in documents(pair, "entries") + documents(pair, "visorEntries"):
            assert str(public) not in (listed or ())


async def test_a_servers_entry(pair: Pair, direction: tuple[str, str]) -> None:
    told, asked = direction
    public, secret, entry = signed(lambda pk: Entry.of_server(pk, "127.0.0.1:9", 7))
    async with DiscoveryClient(told) as one, DiscoveryClient(asked) as two:
        await one.post(entry)
        found = servers(asked)[public]
        assert found == servers(told)[public]
        assert found["server"] == {
            "address": "127.0.0.1:9",
            "availableSessions": 7,
            "serverType": "official",
        }
        with redis_client.Redis.from_url(pair.redis) as store:
            assert 115_000 < store.pttl(str(public)) <= 120_000
            assert store.sismember(SERVERS, str(public))
            assert not store.sismember(CLIENTS, str(public))
        full = numbered(Entry.of_server(public, "127.0.0.1:9", 0), secret, 1)
        await two.post(full)
        assert public not in servers(told)
        assert public in {entry.static for entry in await one.all_servers()}
        await two.delete(full)
        assert public not in {entry.static for entry in await one.all_servers()}


async def test_both_keep_an_entry_in_the_same_place(pair: Pair) -> None:
    """The sets, the key's name and the document's form are the same, whoever wrote them."""
    forms = []
    for url in (pair.go, pair.ours):
        public, _, entry = signed(lambda pk: Entry.of_client(pk, (), "visor"))
        async with DiscoveryClient(url) as directory:
            await directory.post(entry)
        with redis_client.Redis.from_url(pair.redis) as store:
            document = store.get(str(public))
            assert isinstance(document, bytes)
            assert document == entry.encode()
            sets = [bool(store.sismember(name, str(public))) for name in (SERVERS, CLIENTS, VISORS)]
            forms.append((list(json.loads(document)), sets, store.pttl(str(public))))
    assert forms[0] == forms[1]


async def test_clients_of_the_two_discoveries_meet(pair: Pair, go: Go) -> None:
    public, _ = go.server(pair.go)
    async with client(pair.go) as one, client(pair.ours) as two:
        assert one.sessions == two.sessions == (public,)
        listener = one.listen(80)
        stream = await two.dial(one.public, 80)
        assert (await listener.accept()).remote.pk == two.public
        await stream.close()
        await listener.close()
