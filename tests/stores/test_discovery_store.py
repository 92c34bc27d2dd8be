"""The contract of `DiscoveryStore`, on every backend."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, NotSupported, SkywireError
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.open import open_discovery
from skywire.wire.entry import Entry, parse

SHORT = 0.05  # seconds of life


def key(number: int) -> PubKey:
    return deterministic_key_pair(b"store %d" % number)[0]


def client(number: int, sequence: int = 0, client_type: str = "") -> Entry:
    entry = Entry.of_client(key(number), [key(0)], client_type, now=5)
    return msgspec.structs.replace(entry, sequence=sequence, signature="signed")


def server(number: int, available: int = 1, sequence: int = 0) -> Entry:
    entry = Entry.of_server(key(number), "192.0.2.1:80", available, "official", now=5)
    return msgspec.structs.replace(entry, sequence=sequence, signature="signed")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


async def test_what_was_put_is_found_as_its_document(store: DiscoveryStore) -> None:
    assert await store.document(key(1)) is None
    assert await store.put(client(1), None)
    assert await store.document(key(1)) == client(1).encode()
    assert await store.document(key(2)) is None


async def test_a_newer_entry_replaces_an_older_one(store: DiscoveryStore) -> None:
    assert await store.put(client(1, 3), None) is True
    assert await store.put(client(1, 9), None) is False
    assert await store.document(key(1)) == client(1, 9).encode()


async def test_an_older_or_equal_entry_is_refused(store: DiscoveryStore) -> None:
    await store.put(client(1, 3), None)
    for sequence in (0, 2, 3):
        with pytest.raises(Conflict, match="sequence field of new entry"):
            await store.put(client(1, sequence), None)
    with pytest.raises(Conflict, match="timestamp is not greater"):
        await store.put(msgspec.structs.replace(client(1, 4), timestamp=4), None)
    assert await store.document(key(1)) == client(1, 3).encode()


async def test_the_largest_sequence_is_stored_exactly(store: DiscoveryStore) -> None:
    largest = 2**64 - 1
    await store.put(client(1, largest - 1), None)
    await store.put(client(1, largest), None)
    document = await store.document(key(1))
    assert document is not None
    assert parse(document).sequence == largest
    with pytest.raises(Conflict):
        await store.put(client(1, largest), None)


async def test_of_two_posts_of_one_sequence_exactly_one_wins(shared_url: str) -> None:
    stores = [await open_discovery(shared_url) for _ in range(2)]
    try:
        for sequence in range(5):
            texts = [f"writer {number}" for number in range(8)]
            results = await asyncio.gather(
                *(
                    stores[number % 2].put(client(1, sequence, text), None)
                    for number, text in enumerate(texts)
                ),
                return_exceptions=True,
            )
            won = [
                text
                for text, result in zip(texts, results, strict=True)
                if not isinstance(result, BaseException)
            ]
            assert len(won) == 1
            assert all(isinstance(result, bool | Conflict) for result in results)
            document = await stores[0].document(key(1))
            assert document == await stores[1].document(key(1))
            assert document is not None
            assert parse(document).client_type == won[0]
    finally:
        for opened in stores:
            await opened.close()


async def test_delete_tells_whether_there_was_something(store: DiscoveryStore) -> None:
    await store.put(client(1, client_type="visor"), None)
    await store.put(server(2), None)
    assert await store.delete(key(1)) is True
    assert await store.delete(key(1)) is False
    assert await store.delete(key(2)) is True
    assert await store.document(key(1)) is None
    assert await store.count() == (0, 0)
    assert await store.client_keys() == await store.visor_keys() == []
    assert await store.all_servers() == []
    assert await store.put(client(1), None) is True  # any sequence may come after a deletion


async def test_available_servers_are_sorted_and_full_ones_left_out(store: DiscoveryStore) -> None:
    for number, available in enumerate([3, 0, 2048, -1, 7]):
        await store.put(server(number, available), 60)
    await store.put(client(9), None)
    documents = await store.available_servers(512)
    entries = [parse(document) for document in documents]
    assert [entry.server and entry.server.available_sessions for entry in entries] == [2048, 7, 3]
    assert len(await store.all_servers()) == 5
    assert await store.count() == (5, 1)


async def test_a_limit_picks_at_random_among_those_available(store: DiscoveryStore) -> None:
    for number in range(12):
        await store.put(server(number, available=0 if number < 4 else number), 60)
    seen = set()
    for _ in range(40):
        documents = await store.available_servers(2)
        assert len(documents) == 2
        seen.update(documents)
    assert len(seen) > 4  # the odds against it are 1 in 10^9


async def test_all_servers_come_in_random_order(store: DiscoveryStore) -> None:
    for number in range(6):
        await store.put(server(number), 60)
    orders = {tuple(await store.all_servers()) for _ in range(10)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


async def test_clients_and_visors_are_listed(store: DiscoveryStore) -> None:
    await store.put(client(1), None)
    await store.put(client(2, client_type="visor"), None)
    await store.put(server(3), 60)
    assert set(await store.client_keys()) == {key(1), key(2)}
    assert await store.visor_keys() == [key(2)]


async def test_an_entry_is_listed_for_what_it_is_now(store: DiscoveryStore) -> None:
    await store.put(client(1, 0, "visor"), None)
    await store.put(server(1, sequence=1), 60)
    assert await store.client_keys() == await store.visor_keys() == []
    assert len(await store.all_servers()) == 1
    await store.put(client(1, 2), None)
    assert await store.client_keys() == [key(1)]
    assert await store.all_servers() == []


async def test_an_entry_dies_after_its_lifetime(store: DiscoveryStore) -> None:
    await store.put(server(1, sequence=7), SHORT)
    await store.put(client(2, 7, "visor"), SHORT)
    await store.put(client(3), None)
    assert await store.count() == (1, 2)

    async def gone() -> bool:
        return await store.document(key(1)) is None and await store.document(key(2)) is None

    await until(gone)
    assert await store.all_servers() == await store.available_servers(9) == []
    assert await store.sweep() == 2
    assert await store.sweep() == 0
    assert await store.count() == (0, 1)
    assert await store.client_keys() == [key(3)]
    assert await store.visor_keys() == []
    assert await store.put(server(1, sequence=0), 60) is True  # nothing is left to compare with


async def test_a_new_post_prolongs_the_life(store: DiscoveryStore) -> None:
    await store.put(server(1), SHORT)
    await store.put(server(2), SHORT)
    await store.put(server(1, sequence=1), 60)

    async def gone() -> bool:
        return await store.document(key(2)) is None

    await until(gone)
    await store.sweep()
    assert await store.document(key(1)) is not None
    assert len(await store.all_servers()) == 1


async def test_many_callers_at_once(store: DiscoveryStore) -> None:
    async def one(number: int) -> None:
        await store.put(client(number), None)
        assert await store.document(key(number)) is not None

    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(one(number))
    assert await store.count() == (0, 40)


async def test_closing_twice_does_no_harm(store: DiscoveryStore) -> None:
    await store.close()
    await store.close()


async def test_what_was_put_is_there_after_opening_again(shared_url: str) -> None:
    first = await open_discovery(shared_url)
    await first.put(client(1), None)
    await first.close()
    second = await open_discovery(shared_url)
    assert await second.document(key(1)) == client(1).encode()
    await second.close()


async def test_a_missing_redis_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skywire.stores.redis", None)
    with pytest.raises(NotSupported, match=r"pyskywire\[redis\]"):
        await open_discovery("redis://127.0.0.1")


async def test_three_slashes_are_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await (await open_discovery("sqlite:///store.db")).close()
    assert (tmp_path / "store.db").is_file()


async def test_an_url_that_names_no_store_is_refused() -> None:
    for url in (
        "",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:x",
        "mysql://x",
        "redis",
        "redis://host:port",
        "postgres:",
    ):
        with pytest.raises(SkywireError) as caught:
            await open_discovery(url)
        assert caught.value.code == "invalid_value"
