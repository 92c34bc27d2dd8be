"""The contracts of the deployment's services' stores, on every backend that keeps them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, InvalidValue, Unavailable
from skywire.stores.engine import array, items
from skywire.stores.open import Stores, open_stores
from skywire.wire.resolver import STCPR, SUDPH, Binding
from skywire.wire.service import Geo, Service
from skywire.wire.transport import Entry

SHORT = 0.05  # seconds of life
LONG = 60.0
BIND = Binding("192.0.2.1", port="7777", addresses=("127.0.0.1", "192.0.2.1"))


def key(number: int) -> PubKey:
    return deterministic_key_pair(b"store %d" % number)[0]


def entry(a: int, b: int, kind: str = "stcpr") -> Entry:
    return Entry.of(key(a), key(b), kind)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


# Transports


async def test_transports_are_found_by_id_and_by_edge(stores: Stores) -> None:
    store = stores.transports()
    for added in (entry(1, 2), entry(2, 3), entry(2, 3, "dmsg"), entry(4, 4, "dmsg")):
        await store.add(added, LONG)
    assert await store.by_id(entry(1, 2).id) == entry(1, 2)
    assert await store.by_id(entry(1, 3).id) is None
    found = sorted(await store.by_edge(key(2)), key=lambda one: one.id)
    expected = [entry(1, 2), entry(2, 3), entry(2, 3, "dmsg")]
    assert found == sorted(expected, key=lambda one: one.id)
    assert await store.by_edge(key(4)) == [entry(4, 4, "dmsg")]
    assert await store.by_edge(key(5)) == []
    assert len(await store.all()) == await store.count() == 4


async def test_a_transport_is_deleted_once(stores: Stores) -> None:
    store = stores.transports()
    await store.add(entry(1, 2), None)
    assert await store.delete(entry(1, 2).id) is True
    assert await store.delete(entry(1, 2).id) is False
    assert await store.by_id(entry(1, 2).id) is None
    assert await store.by_edge(key(1)) == await store.all() == []
    await store.add(entry(1, 2), None)
    assert await store.all() == [entry(1, 2)]


async def test_a_second_add_is_a_conflict_that_renews_the_lease(stores: Stores) -> None:
    store = stores.transports()
    await store.add(entry(1, 2), 0.5)
    with pytest.raises(Conflict, match="registered already"):
        await store.add(entry(1, 2), LONG)
    await asyncio.sleep(0.6)
    assert await store.all() == [entry(1, 2)]


async def test_of_concurrent_adds_one_succeeds(stores: Stores) -> None:
    store = stores.transports()
    results = await asyncio.gather(
        *(store.add(entry(1, 2), LONG) for _ in range(8)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_an_expired_transport_is_gone_for_all_methods(stores: Stores) -> None:
    store = stores.transports()
    await store.add(entry(1, 2), SHORT)
    await store.add(entry(1, 3), LONG)

    async def gone() -> bool:
        return await store.by_id(entry(1, 2).id) is None

    await until(gone)
    assert await store.by_edge(key(2)) == []
    assert await store.by_edge(key(1)) == await store.all() == [entry(1, 3)]
    assert await store.delete(entry(1, 2).id) is False
    await store.add(entry(1, 2), SHORT)  # no conflict
    await until(gone)
    assert await store.sweep() == 1
    assert await store.sweep() == 0
    assert await store.count() == 1


async def test_a_version_changes_with_every_answer(stores: Stores) -> None:
    store = stores.transports()
    first = await store.version()
    if first is None:
        return  # cannot be told
    await store.add(entry(1, 2), 1.5)
    second = await store.version()
    assert second != first
    await store.delete(entry(1, 2).id)
    assert await store.version() != second
    await store.add(entry(1, 3), 0.3)
    third = await store.version()
    await asyncio.sleep(0.35)
    assert await store.version() != third  # what expires changes it, too


# Bindings


async def test_a_binding_is_found_replaced_and_removed(stores: Stores) -> None:
    store = stores.bindings()
    assert await store.binding(STCPR, key(1)) is None
    await store.bind(STCPR, key(1), Binding("192.0.2.9"), None)
    await store.bind(STCPR, key(1), BIND, LONG)
    assert await store.binding(STCPR, key(1)) == BIND
    assert await store.binding(SUDPH, key(1)) is None
    await store.bind(SUDPH, key(2), BIND, LONG)
    await store.bind(STCPR, key(2), BIND, LONG)
    assert sorted(await store.keys(STCPR)) == sorted([key(1), key(2)])
    assert await store.keys(SUDPH) == [key(2)]
    assert await store.unbind(STCPR, key(1)) is True
    assert await store.unbind(STCPR, key(1)) is False
    assert await store.keys(STCPR) == [key(2)]


async def test_an_expired_binding_is_never_listed(stores: Stores) -> None:
    store = stores.bindings()
    await store.bind(STCPR, key(1), BIND, LONG)
    await store.bind(STCPR, key(1), BIND, SHORT)

    async def gone() -> bool:
        return await store.binding(STCPR, key(1)) is None

    await until(gone)
    assert await store.keys(STCPR) == []
    assert await store.unbind(STCPR, key(1)) is False
    await store.sweep()


# Nonces


async def test_nonces_count_per_service_and_key(stores: Stores) -> None:
    tpd, ar = stores.nonces("transport-discovery"), stores.nonces("address-resolver")
    assert await tpd.next_nonce(key(1)) == 0
    await asyncio.gather(*(tpd.advance(key(1)) for _ in range(10)))
    assert await tpd.next_nonce(key(1)) == 10
    assert await tpd.next_nonce(key(2)) == await ar.next_nonce(key(1)) == 0


# Services


def service(number: int, kind: str = "vpn", port: int = 44, **fields: object) -> Service:
    return Service(f"{key(number)}:{port}", kind, **fields)  # type: ignore[arg-type]


FULL = service(
    1,
    geo=Geo(48.25, -3.5, "FR", "BRE"),
    display_node_ip=True,
    version="v1.3.29",
    local_ips=("192.0.2.1", '"odd\\one"', "a,b"),
)


async def test_a_service_is_found_as_it_was_put(stores: Stores) -> None:
    store = stores.services()
    assert await store.put(FULL, LONG) == FULL
    assert await store.service(key(1), "vpn") == FULL
    assert await store.service(key(1), "visor") is None
    assert await store.put(service(2), None) == service(2)
    assert await store.services("vpn") == [FULL, service(2)]
    assert await store.services("visor") == []
    assert await store.services("vpn", version="v1.3.29") == [FULL]
    assert await store.services("vpn", country="FR") == [FULL]
    assert await store.services("vpn", version="v1.3.29", country="DE") == []


async def test_key_and_type_are_unique_and_the_port_stays(stores: Stores) -> None:
    store = stores.services()
    await store.put(service(1, port=1), LONG)
    assert await store.put(service(1, port=2, version="v2"), LONG) == service(
        1, port=1, version="v2"
    )
    await store.put(service(1, "skysocks", port=3), LONG)
    assert len(await store.services("vpn")) == len(await store.services("skysocks")) == 1
    assert await store.delete(key(1), "vpn") is True
    assert await store.delete(key(1), "vpn") is False
    assert len(await store.services("skysocks")) == 1


async def test_an_expired_service_is_never_listed(stores: Stores) -> None:
    store = stores.services()
    await store.put(service(1, port=1), SHORT)

    async def gone() -> bool:
        return await store.service(key(1), "vpn") is None

    await until(gone)
    assert await store.services("vpn") == []
    assert await store.delete(key(1), "vpn") is False
    await store.put(service(1, port=1), SHORT)
    await until(gone)
    await store.sweep()
    assert await store.put(service(1, port=2), LONG) == service(1, port=2)  # a new record
    assert await store.services("vpn") == [service(1, port=2)]
    assert await store.sweep() == 0


# Opening


async def test_what_was_stored_is_there_after_opening_again(
    stores: Stores, stores_url: str
) -> None:
    await stores.transports().add(entry(1, 2), LONG)
    if "memory" in stores_url:
        return
    again = await open_stores(stores_url)
    assert await again.transports().all() == [entry(1, 2)]
    await again.transports().add(entry(1, 3), LONG)
    await again.close()
    await again.close()
    assert await stores.transports().count() == 2


@pytest.mark.parametrize(
    "url", ["", "x", "sqlite:", "mysql://x", "postgresql://[", "redis://:bad:port:x"]
)
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        await open_stores(url)


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
async def test_a_server_that_is_not_there_is_named_without_its_password(scheme: str) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as caught:
        await open_stores(f"{scheme}://user:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_an_array_reads_back(texts: list[str]) -> None:
    assert items(array(texts)) == tuple(texts)


def test_an_array_as_postgresql_writes_it() -> None:
    assert items('{192.0.2.1,"a,b",::1,"x\\"y"}') == ("192.0.2.1", "a,b", "::1", 'x"y')
    assert items(None) == items("{}") == ()
