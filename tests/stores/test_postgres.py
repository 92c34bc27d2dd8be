"""What is PostgreSQL's own: the reference's tables, lost connections, what it cannot store."""

import asyncio
import json

import psycopg
import pytest
import redis

from skywire.errors import InvalidValue, Unavailable
from skywire.stores.open import SqlStores, open_stores
from skywire.stores.postgres import PostgresEngine, open_engine
from skywire.wire.resolver import STCPR, Binding
from skywire.wire.service import Service
from tests.stores.test_service_stores import entry, key

pytestmark = pytest.mark.postgres

# As the reference makes them (services.md §2, §5).
REFERENCE = """
CREATE TABLE transports (id bigserial PRIMARY KEY, created_at timestamptz, transport_id text UNIQUE,
  edge_a text, edge_b text, type text, label text);
CREATE TABLE services (id bigserial PRIMARY KEY, created_at timestamptz, addr text, type text,
  lat numeric, lon numeric, country text, region text, display_node_ip bool, version text,
  local_ips text[])
"""


async def test_the_tables_of_the_reference_are_shared(empty_postgres: str) -> None:
    first = entry(1, 2)
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        connection.execute(REFERENCE)
        insert = (
            "INSERT INTO transports (created_at, transport_id, edge_a, edge_b, type, label)"
            " VALUES (now(), %s, %s, %s, %s, %s)"
        )
        edges = first.edges
        row = (str(first.id), str(edges[0]), str(edges[1]), first.type, first.label)
        connection.execute(insert, row)
        connection.execute(
            "INSERT INTO services (addr, type, lat, local_ips) VALUES (%s, 'vpn', 1.25, '{a,b}')",
            (f"{key(1)}:44",),
        )
        stores = await open_stores(empty_postgres)
        assert await stores.transports().all() == [first]
        (service,) = await stores.services().services("vpn")
        assert service.geo is not None
        assert (service.geo.lat, service.local_ips) == (1.25, ("a", "b"))
        await stores.transports().add(entry(1, 3), 60)
        await stores.close()
        listed = connection.execute("SELECT edge_a, edge_b, type FROM transports").fetchall()
        assert len(listed) == 2
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert, row)


async def test_several_open_the_same_empty_database(empty_postgres: str) -> None:
    opened = await asyncio.gather(*(open_stores(empty_postgres) for _ in range(4)))
    for stores in opened:
        await stores.close()


async def test_a_lost_connection_is_replaced(empty_postgres: str) -> None:
    stores = await open_stores(empty_postgres)
    store = stores.transports()
    await asyncio.gather(*(store.count() for _ in range(5)))
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    async with asyncio.timeout(10):
        while True:
            try:
                assert await store.count() == 0
                break
            except Unavailable:
                continue
    await stores.close()


async def test_connections_are_limited(empty_postgres: str) -> None:
    engine = await open_engine(empty_postgres, {}, 2)
    await asyncio.gather(*(engine.read("SELECT pg_sleep(0.01)") for _ in range(10)))
    ((count,),) = await engine.read(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    )
    assert count <= 2
    await engine.close()


async def test_a_cancelled_question_spoils_nothing(empty_postgres: str) -> None:
    engine = await open_engine(empty_postgres, {}, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await engine.read("SELECT pg_sleep(5)")
    assert await engine.read("SELECT 7") == [(7,)]
    await engine.close()


async def test_what_it_cannot_store_is_the_callers_fault(empty_postgres: str) -> None:
    engine = await open_engine(empty_postgres, {}, 1)
    services = SqlStores(engine).services()
    with pytest.raises(InvalidValue, match="cannot store"):
        await services.put(Service(f"{key(1)}:1", "vpn", version="a\0b"), None)
    assert await services.services("vpn") == []
    await engine.close()


async def test_user_and_database_may_come_from_elsewhere(empty_postgres: str) -> None:
    host = empty_postgres.rpartition("@")[2].rpartition("/")[0]
    defaults = {"user": "skywire", "dbname": "postgres", "password": ""}
    engine = await open_engine(f"postgresql://{host}", defaults, 1)
    assert await engine.read("SELECT current_user, current_database()") == [("skywire", "postgres")]
    await engine.close()
    with pytest.raises(Unavailable, match="does not exist"):
        await open_engine(f"postgresql://nobody@{host}", defaults, 1)


async def test_an_answer_that_does_not_come_is_unavailable(
    empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await open_engine(empty_postgres, {}, 1)
    assert isinstance(engine, PostgresEngine)
    monkeypatch.setattr("skywire.stores.postgres.TIMEOUT", 0.05)
    with pytest.raises(Unavailable, match="no answer within"):
        await engine.read("SELECT pg_sleep(5)")
    await engine.close()


@pytest.mark.redis
async def test_the_names_in_redis_are_the_references(empty_redis: str) -> None:
    stores = await open_stores(empty_redis)
    await stores.bindings().bind(STCPR, key(1), Binding("192.0.2.1", port="7"), 60)
    nonces = stores.nonces("address-resolver")
    await nonces.advance(key(1))
    with redis.Redis.from_url(empty_redis) as client:
        name = f"address-resolver:stcpr:{key(1)}"
        stored = client.get(name)
        assert isinstance(stored, bytes)
        assert json.loads(stored)["remote_addr"] == "192.0.2.1"
        lifetime = client.ttl(name)
        assert isinstance(lifetime, int)
        assert 0 < lifetime <= 60
        assert client.get(f"address-resolver:nonces:{key(1)}") == b"1"
        assert client.smembers("address-resolver:nonces") == {bytes(key(1))}
        client.set(f"address-resolver:nonces:{key(2)}", "nonsense")
        client.set(f"address-resolver:stcpr:{key(2)}", "nonsense")
        client.set("address-resolver:stcpr:nokey", "{}")
    assert await nonces.next_nonce(key(2)) == 0
    assert await stores.bindings().binding(STCPR, key(2)) is None
    assert sorted(await stores.bindings().keys(STCPR)) == sorted([key(1), key(2)])
    await stores.close()
