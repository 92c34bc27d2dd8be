"""What is particular to Redis: the reference's keys, and a server that fails."""

from typing import Any

import pytest
import redis

from skywire.errors import InvalidValue, Unavailable
from skywire.stores import redis as stores
from skywire.stores.open import open_discovery
from skywire.testing import vectors
from skywire.wire import entry as wire
from tests.stores.test_discovery_store import client, key, server

pytestmark = pytest.mark.redis


async def test_keys_and_sets_are_those_of_the_reference(empty_redis: str) -> None:
    store = await open_discovery(empty_redis)
    await store.put(client(1, client_type="visor"), None)
    await store.put(client(2), 180)
    await store.put(server(3), 120)
    with redis.Redis.from_url(empty_redis, decode_responses=True) as raw:
        names = [str(key(number)) for number in (1, 2, 3)]
        assert set(raw.keys()) == {*names, "clients", "servers", "visorClients"}
        assert raw.get(names[0]) == client(1, client_type="visor").encode().decode()
        assert raw.smembers("clients") == set(names[:2])
        assert raw.smembers("visorClients") == {names[0]}
        assert raw.smembers("servers") == {names[2]}
        assert raw.ttl(names[0]) == -1
        assert 175 <= raw.ttl(names[1]) <= 180
        assert 115 <= raw.ttl(names[2]) <= 120
    await store.close()


@pytest.mark.parametrize("vector", vectors.load("dmsg/entries")[:8], ids=lambda v: v["note"])
async def test_what_the_reference_stored_is_read(empty_redis: str, vector: dict[str, Any]) -> None:
    """`SET`, then `SADD` to the sets of what the entry is."""
    entry = wire.parse(vector["entry_json"].encode())
    with redis.Redis.from_url(empty_redis) as raw:
        raw.set(str(entry.static), vector["entry_json"], ex=120 if entry.server else None)
        if entry.server:
            raw.sadd("servers", str(entry.static))
        if entry.client:
            raw.sadd("clients", str(entry.static))
    store = await open_discovery(empty_redis)
    assert await store.document(entry.static) == vector["entry_json"].encode()
    assert await store.client_keys() == ([entry.static] if entry.client else [])
    assert len(await store.all_servers()) == (1 if entry.server else 0)
    await store.close()


async def test_rubbish_in_the_database_is_skipped(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis) as raw:
        raw.sadd("servers", "rubbish", str(key(1)), str(key(2)), str(key(3)))
        raw.sadd("clients", "rubbish", b"\xff", "00")
        raw.set("rubbish", "{")
        raw.set(str(key(1)), "[]")
    store = await open_discovery(empty_redis)
    await store.put(server(2), 60)
    assert len(await store.all_servers()) == len(await store.available_servers(9)) == 1
    assert await store.client_keys() == []
    assert await store.sweep() == 3  # two of the clients, and key 3
    with pytest.raises(Unavailable, match=r"entry is a JSON list.*delete that key"):
        await store.put(server(1), 60)
    await store.close()


async def test_a_value_of_another_kind_is_an_error(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis) as raw:
        raw.set("clients", "a text")
    store = await open_discovery(empty_redis)
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await store.client_keys()
    await store.close()


async def test_a_value_that_others_keep_changing_is_given_up(
    empty_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_discovery(empty_redis)
    assert isinstance(store, stores.RedisDiscoveryStore)
    await store.put(client(1), None)

    async def outdated(_: object) -> bytes:
        return client(1).encode() + b" "

    monkeypatch.setattr(store, "document", outdated)
    with pytest.raises(Unavailable, match="changes all the time"):
        await store.put(client(1, 1), None)
    await store.close()


async def test_more_members_than_one_command_takes(
    empty_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "BATCH", 4)
    store = await open_discovery(empty_redis)
    for number in range(11):
        await store.put(server(number, available=number + 1), 60)
    with redis.Redis.from_url(empty_redis) as raw:
        raw.delete(*(str(key(number)) for number in range(0, 10, 2)))
    assert len(await store.all_servers()) == 6
    assert await store.sweep() == 5
    assert await store.count() == (6, 0)
    await store.close()


async def test_a_password_comes_from_the_url_or_beside_it(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis) as raw:
        raw.config_set("requirepass", "hunter2")
        try:
            with pytest.raises(Unavailable, match=r"HELLO must be called|Authentication required"):
                await open_discovery(empty_redis)
            await (await open_discovery(empty_redis, "hunter2")).close()
            url = empty_redis.replace("//", "//:hunter2@")
            await (await open_discovery(url, "another")).close()
        finally:
            raw.config_set("requirepass", "")


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable, match=r"Redis at redis://127\.0\.0\.1:1/0: ") as caught:
        await open_discovery("redis://user:hunter2@127.0.0.1:1/0")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidValue, match="is no Redis URL") as refused:
        await open_discovery("redis://user:hunter2@127.0.0.1:port/0")
    assert "hunter2" not in str(refused.value)
