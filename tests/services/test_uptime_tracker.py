"""Every endpoint and rule of services.md §6, and the uptime of the transport discovery."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.cli import documents
from skywire.errors import Unavailable
from skywire.http.auth import SignedSession
from skywire.services.base import Common, Ip
from skywire.services.transport_discovery import TransportDiscovery
from skywire.services.uptime_tracker import Limiter, PrivateApi, UptimeTracker
from skywire.services.uptimes import MAX_VERSION, percent
from skywire.stores.engine import SqliteEngine
from skywire.stores.open import SqlStores
from skywire.stores.sqlite import Database
from skywire.stores.times import day_of
from skywire.wire import transport
from skywire.wire.service import Geo
from skywire.wire.transport import Entry
from tests.services.serving import (
    ALICE,
    ALICE_SK,
    BOB,
    BOB_SK,
    CAROL,
    CAROL_SK,
    Clock,
    Served,
    serving,
)

HERE = "192.0.2.1"
UPDATE = "/v4/update?version=v1.3.29"
SLOT = 300.0
HOUR = 3600.0


async def geo(ip: Ip) -> Geo | None:
    if str(ip) == "192.0.2.66":
        raise Unavailable("nobody knows")
    return Geo(48.25, -3.5, "FR")


class Tracker(NamedTuple):
    http: Served
    private: Served
    rules: UptimeTracker
    clock: Clock
    stores: SqlStores

    async def alice(self, ip: str = HERE) -> SignedSession:
        return await self.http.signed(ALICE, ALICE_SK, {"X-Real-IP": ip})

    async def bob(self, ip: str = HERE) -> SignedSession:
        return await self.http.signed(BOB, BOB_SK, {"X-Real-IP": ip})

    async def get(self, path: str, status: int = 200, *, server: Served | None = None) -> Any:
        """Each time as another client: lists are limited."""
        self.clock.now += 12
        answer = await (server or self.http).ask("GET", path)
        assert (answer.status, answer.body[-1:]) == (status, b"\n")
        return json.loads(answer.body)


@pytest.fixture
async def ut(tmp_path: Path) -> AsyncIterator[Tracker]:
    clock = Clock()
    stores = SqlStores(SqliteEngine(Database(":memory:")), clock)
    common = Common(trust_proxy=True, clock=clock)
    rules = UptimeTracker(
        stores.uptimes(),
        stores.nonces("uptime-tracker"),
        common,
        find_geo=geo,
        archive=tmp_path / "days",
    )
    async with serving(rules.app()) as http, serving(PrivateApi(rules).app()) as private:
        yield Tracker(http, private, rules, clock, stores)
    await stores.close()


async def test_a_sign_of_life_counts_once_in_five_minutes(ut: Tracker) -> None:
    alice = await ut.alice()
    for _ in range(3):
        assert await alice.request("GET", UPDATE) == (200, b"")
    (one,) = await ut.get("/uptimes?v=v2")
    assert one == {
        "pk": str(ALICE),
        "on": True,
        "version": "v1.3.29",
        "daily": {day_of(ut.clock.now): "0.35"},
    }
    ut.clock.now += SLOT
    assert await alice.request("GET", UPDATE) == (200, b"")
    (one,) = await ut.get("/uptimes?v=v3")
    assert one["daily"] == {day_of(ut.clock.now): "0.69"}


async def test_nobody_can_speak_for_others_or_without_a_signature(ut: Tracker) -> None:
    assert (await ut.http.ask("GET", UPDATE)).status == 401
    mallory = await ut.http.signed(ALICE, BOB_SK)
    assert (await mallory.request("GET", UPDATE))[0] == 401
    assert await ut.get("/uptimes") == []


@pytest.mark.parametrize("path", ["/update", "/v2/update", "/v3/update"])
async def test_old_updates_are_gone(ut: Tracker, path: str) -> None:
    answer = await ut.http.ask("GET", path)
    assert (answer.status, answer.body) == (410, b"")


async def test_a_version_is_bounded(ut: Tracker) -> None:
    alice = await ut.alice()
    status, body = await alice.request("GET", f"/v4/update?version={'x' * (MAX_VERSION + 1)}")
    assert (status, b"exceeds" in body) == (400, True)
    assert (await alice.request("GET", f"/v4/update?version={'x' * MAX_VERSION}"))[0] == 200


async def test_who_is_silent_for_six_minutes_is_offline(ut: Tracker) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    ut.clock.now += 340
    assert await ut.get("/uptimes") == [{"key": str(ALICE), "online": True}]
    ut.clock.now += 20
    assert await ut.get("/uptimes") == [{"key": str(ALICE), "online": False}]


async def test_lists_are_sorted_and_chosen_from(ut: Tracker) -> None:
    await (await ut.bob()).request("GET", UPDATE)
    ut.clock.now += HOUR
    await (await ut.alice()).request("GET", UPDATE)
    keys = sorted([str(ALICE), str(BOB)])
    assert [one["key"] for one in await ut.get("/uptimes")] == keys
    assert [one["key"] for one in await ut.get("/uptimes?status=on")] == [str(ALICE)]
    assert [one["key"] for one in await ut.get("/uptimes?status=off")] == [str(BOB)]
    chosen = f"/uptimes?v=v2&visors={ALICE},{BOB},{CAROL}"
    assert [one["pk"] for one in await ut.get(chosen)] == keys
    assert await ut.get(f"/uptimes?visors={CAROL}") == []


async def test_a_period_is_whole_months(ut: Tracker) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    now = int(ut.clock.now)
    assert len(await ut.get(f"/uptimes?startDate={now}&endDate={now}")) == 1
    assert len(await ut.get("/uptimes?startDate=0&endDate=0")) == 1
    assert await ut.get(f"/uptimes?startDate={now - 90 * 86400}&endDate={now - 60 * 86400}") == []
    for bad in ("startDate=x", f"endDate={'9' * 30}", "startDate=1.5"):
        assert "error" in await ut.get(f"/uptimes?{bad}", 500)


async def test_one_visor(ut: Tracker) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    assert await ut.get(f"/uptime/{ALICE}") == {"key": str(ALICE), "online": True}
    assert (await ut.get(f"/uptime/{ALICE}?v=v2"))["version"] == "v1.3.29"
    assert "nothing is known" in (await ut.get(f"/uptime/{BOB}", 500))["error"]
    assert "error" in await ut.get("/uptime/x", 500)


async def test_both_lists_share_a_limit_for_each_client(ut: Tracker) -> None:
    for path in ("/uptimes", "/visors", "/uptimes", "/visors", "/uptimes"):
        assert (await ut.http.ask("GET", path)).status == 200
    answer = await ut.http.ask("GET", "/visors")
    assert (answer.status, answer.body) == (429, b"Too Many Requests\n")
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["X-RateLimit-Limit"] == "5"
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    other = await ut.http.ask("GET", "/visors", headers={"X-Real-IP": "192.0.2.2"})
    assert (other.status, other.headers["X-RateLimit-Remaining"]) == (200, "4")
    ut.clock.now += 60
    assert (await ut.http.ask("GET", "/visors")).status == 200


def test_a_limiter_remembers_so_many_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.services.uptime_tracker.MAX_CLIENTS", 3)
    limiter = Limiter(1, Clock())
    assert [limiter.ask(client)[1] for client in "abcdcba"] == [True] * 4 + [False] * 2 + [True]


async def test_the_map_shows_where_visors_are_that_are_online(ut: Tracker) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    await (await ut.bob("192.0.2.66")).request("GET", UPDATE)
    assert await ut.get("/visors") == []
    await ut.rules.look_up()
    assert await ut.get("/visors") == [{"lat": 48.25, "lon": -3.5}]
    assert b"uptime_tracker_online 2" in (await ut.http.ask("GET", "/metrics")).body
    ut.clock.now += HOUR
    assert await ut.get("/visors") == []


async def test_addresses_are_told_on_the_private_port_only(ut: Tracker) -> None:
    assert "no addresses" in (await ut.get("/visor-ips", 500, server=ut.private))["error"]
    await (await ut.alice()).request("GET", UPDATE)
    await (await ut.bob()).request("GET", UPDATE)
    carol = await ut.http.signed(CAROL, CAROL_SK, {"X-Real-IP": "10.0.0.1"})
    await carol.request("GET", UPDATE)
    expected = {HERE: {"count": 2, "public_keys": sorted([str(ALICE), str(BOB)])}}
    assert await ut.get("/visor-ips?month=all", server=ut.private) == expected
    day = day_of(ut.clock.now)
    month = f"{day[:4]}:{int(day[5:7])}"
    assert await ut.get(f"/visor-ips?month={month}", server=ut.private) == expected
    for bad in ("2020:1", "2020:13", "x", "20201"):
        assert "error" in await ut.get(f"/visor-ips?month={bad}", 500, server=ut.private)
    assert (await ut.http.ask("GET", "/visor-ips?month=all")).status == 404
    assert (await ut.private.ask("GET", "/uptimes")).status == 404


async def test_old_days_go_into_files(ut: Tracker, tmp_path: Path) -> None:
    first = day_of(ut.clock.now)
    await (await ut.alice()).request("GET", UPDATE)
    ut.clock.now += 7 * 86400
    await ut.rules.put_away()
    assert not (tmp_path / "days").exists()
    ut.clock.now += 86400
    await (await ut.bob()).request("GET", UPDATE)
    await ut.rules.put_away()
    (path,) = (tmp_path / "days").iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == (f"{first}-uptime-data.json", 0o600)
    (row,) = json.loads(path.read_text())
    assert (row["key"], row["seconds"], row["ips"]) == (str(ALICE), 300, HERE)
    assert [one["key"] for one in await ut.get("/uptimes")] == [str(BOB)]


async def test_a_day_that_cannot_be_written_stays(ut: Tracker, tmp_path: Path) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    ut.clock.now += 8 * 86400
    (tmp_path / "days").write_text("in the way")
    with pytest.raises(Unavailable, match="days"):
        await ut.rules.put_away()
    assert await ut.stores.uptimes().oldest() != ""


async def test_the_dashboard(ut: Tracker) -> None:
    await (await ut.alice()).request("GET", UPDATE)
    answer = await ut.http.ask("GET", "/dashboard?length=3")
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert day_of(ut.clock.now).encode() in answer.body
    for bad in ("0", "x", "-1", "9" * 40):
        assert (await ut.http.ask("GET", f"/dashboard?length={bad}")).status == 400


def test_percents_are_worded_as_the_reference_does() -> None:
    assert [percent(n) for n in (0, 300, 84000, 86400, 86401)] == [
        "0.00", "0.35", "97.22", "100.00", "100"
    ]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(query=st.text(st.characters(codec="ascii", exclude_characters="#%"), max_size=40))
async def test_any_query_is_answered(ut: Tracker, query: str) -> None:
    ut.clock.now += 60
    for path in ("/uptimes", "/dashboard", "/uptime/x"):
        answer = await ut.http.ask("GET", f"{path}?{query}")
        assert answer.status in (200, 400, 500)
        assert b"internal error" not in answer.body


# The transport discovery


def both_signed(entry: Entry) -> bytes:
    keys = {ALICE: ALICE_SK, BOB: BOB_SK, CAROL: CAROL_SK}
    once = transport.sign(entry, keys[entry.edges[0]])
    return transport.encode_list([transport.sign(once, keys[entry.edges[1]])])


async def test_the_discovery_counts_visors_with_two_transports(ut: Tracker) -> None:
    rules = TransportDiscovery(
        ut.stores.transports(),
        ut.stores.nonces("transport-discovery"),
        Common(clock=ut.clock),
        uptimes=ut.stores.transport_uptimes(),
    )
    async with serving(rules.app()) as tpd:
        alice = await tpd.alice()
        await alice.request("POST", "/transports/", both_signed(Entry.of(ALICE, BOB, "stcpr")))
        assert await alice.request("GET", UPDATE) == (200, b"")
        assert (await tpd.ask("GET", "/uptimes?v=v2")).body == b"[]\n"
        await alice.request("POST", "/transports/", both_signed(Entry.of(ALICE, CAROL, "stcpr")))
        assert await alice.request("GET", UPDATE) == (200, b"")
        ut.clock.now += 10
        answer = await tpd.ask("GET", "/uptimes?v=v2")
        (one,) = documents.uptimes(answer.body)  # as `skywire cli ut` reads it
        assert (one.pk, one.on, one.daily) == (str(ALICE), True, {day_of(ut.clock.now): "0.35"})
        assert (await tpd.ask("GET", UPDATE)).status == 401
        ut.clock.now += 32 * 86400
        await rules.sweep()
        assert await ut.stores.transport_uptimes().oldest() == ""


async def test_without_a_store_the_discovery_counts_nothing(ut: Tracker) -> None:
    rules = TransportDiscovery(ut.stores.transports(), ut.stores.nonces("transport-discovery"))
    async with serving(rules.app()) as tpd:
        for path in ("/uptimes", UPDATE):
            assert (await tpd.ask("GET", path)).status == 404
