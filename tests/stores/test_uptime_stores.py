"""The contract of the uptime stores, on every backend."""

import psycopg
import pytest

from skywire.stores.contracts import DailyUptime
from skywire.stores.open import Stores, open_stores
from tests.stores.test_service_stores import key

NOON = 1_800_014_400.0  # 2027-01-15, 12:00 UTC
DAY = 86_400.0
TODAY = "2027-01-15"
YESTERDAY = "2027-01-14"


async def test_credits_of_a_day_add_up(stores: Stores) -> None:
    store = stores.uptimes()
    await store.credit(key(1), NOON, 300, "v1.3.28", "192.0.2.1")
    await store.credit(key(1), NOON + 300, 300, "v1.3.29", "192.0.2.2")
    await store.credit(key(1), NOON + 600, 300, "v1.3.29", "192.0.2.1")
    await store.credit(key(1), NOON + 900, 300, "v1.3.29", "")
    (found,) = await store.days(TODAY, TODAY)
    assert found == DailyUptime(
        key(1).hex(), TODAY, 1200, "v1.3.29", "192.0.2.1,192.0.2.2", "192.0.2.1", NOON + 900
    )


async def test_one_address_within_another_is_another(stores: Stores) -> None:
    store = stores.uptimes()
    for address in ("192.0.2.12", "192.0.2.1", "92.0.2.1"):
        await store.credit(key(1), NOON, 300, "", address)
    (found,) = await store.days(TODAY, TODAY)
    assert found.ips == "192.0.2.12,192.0.2.1,92.0.2.1"


async def test_the_addresses_of_a_day_are_bounded(stores: Stores) -> None:
    store = stores.uptimes()
    for number in range(200):
        await store.credit(key(1), NOON, 300, "", f"192.0.2.{number}")
    (found,) = await store.days(TODAY, TODAY)
    assert len(found.ips) < 1100
    assert found.last_ip == "192.0.2.199"


async def test_days_are_kept_apart_and_forgotten(stores: Stores) -> None:
    store = stores.uptimes()
    assert await store.oldest() == ""
    for number, moment in ((2, NOON), (1, NOON), (1, NOON - DAY)):
        await store.credit(key(number), moment, 300, "", "")
    both = sorted([(key(1).hex(), YESTERDAY), (key(1).hex(), TODAY), (key(2).hex(), TODAY)])
    assert [(one.key, one.day) for one in await store.days(YESTERDAY, TODAY)] == both
    assert len(await store.days(TODAY, TODAY)) == 2
    assert await store.oldest() == YESTERDAY
    assert await store.forget(YESTERDAY) == 1
    assert await store.forget(YESTERDAY) == 0
    assert await store.oldest() == TODAY


async def test_the_discovery_counts_for_itself(stores: Stores) -> None:
    await stores.uptimes().credit(key(1), NOON, 300, "", "")
    assert await stores.transport_uptimes().days(TODAY, TODAY) == []
    await stores.transport_uptimes().credit(key(1), NOON, 300, "", "")
    assert len(await stores.uptimes().days(TODAY, TODAY)) == 1


@pytest.mark.postgres
async def test_a_table_of_the_reference_goes_on_working(empty_postgres: str) -> None:
    with psycopg.connect(empty_postgres, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE daily_uptime_histories (id bigserial PRIMARY KEY, created_at timestamptz,"
            " updated_at timestamptz, pub_key text, daily_online bigint, version text, ips text,"
            " last_ip text)"
        )
        insert = (
            "INSERT INTO daily_uptime_histories (created_at, updated_at, pub_key, daily_online,"
            " version, ips, last_ip) VALUES (%s, %s, %s, 600, 'v1.3.28', '192.0.2.9', '192.0.2.9')"
        )
        connection.execute(insert, ("2027-01-15 01:00+00", "2027-01-15 02:00+00", key(1).hex()))
        stores = await open_stores(empty_postgres)
        await stores.uptimes().credit(key(1), NOON, 300, "v1.3.29", "")
        connection.execute(insert, ("2027-01-15 13:00+00", "2027-01-15 14:00+00", key(2).hex()))
        found = await stores.uptimes().days(TODAY, TODAY)
    assert sum(one.seconds for one in found if one.key == key(1).hex()) == 900
    assert [one.seconds for one in found if one.key == key(2).hex()] == [600]
    await stores.close()
