"""Every endpoint and rule of services.md §5."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.errors import RemoteProtocolError, Unavailable
from skywire.http.auth import SignedSession
from skywire.services.base import LEASE, Common, Ip
from skywire.services.geo import GeoSource
from skywire.services.service_discovery import FindGeo, ServiceDiscovery, no_geo
from skywire.stores.engine import SqliteEngine
from skywire.stores.open import SqlStores
from skywire.stores.sqlite import Database
from skywire.testing import vectors
from skywire.wire.service import Geo
from tests.services.serving import ALICE, ALICE_SK, BOB, BOB_SK, MONITOR, Clock, Served, serving

IP = "192.0.2.1"
FRANCE = Geo(48.25, -3.5, "FR")
SERVICES = "/api/services"


class Discovery:
    """A running discovery; its clients may say where they come from."""

    def __init__(self, http: Served, clock: Clock) -> None:
        self.http = http
        self.clock = clock

    async def alice(self, ip: str = IP) -> SignedSession:
        return await self.http.signed(ALICE, ALICE_SK, {"X-Real-IP": ip})

    async def bob(self, ip: str = IP) -> SignedSession:
        return await self.http.signed(BOB, BOB_SK, {"X-Real-IP": ip})

    async def list(self, query: str = "type=vpn") -> Any:
        answer = await self.http.ask("GET", f"{SERVICES}?{query}")
        assert (answer.status, answer.body[-1:]) == (200, b"\n")
        return json.loads(answer.body)

    async def one(self, query: str = f"{ALICE}:44?type=vpn") -> Any:
        answer = await self.http.ask("GET", f"{SERVICES}/{query}")
        assert answer.status == 200
        return json.loads(answer.body)


Start = Callable[[FindGeo], Awaitable[Discovery]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(find_geo: FindGeo) -> Discovery:
            clock = Clock()
            stores = SqlStores(SqliteEngine(Database(":memory:")), clock)
            stack.push_async_callback(stores.close)
            common = Common(monitors=frozenset([MONITOR]), trust_proxy=True, clock=clock)
            rules = ServiceDiscovery(
                stores.services(), stores.nonces("service-discovery"), common, find_geo=find_geo
            )
            return Discovery(await stack.enter_async_context(serving(rules.app())), clock)

        yield begin


@pytest.fixture
async def sd(start: Start) -> Discovery:
    return await start(no_geo)


def body(pk: object = ALICE, kind: str = "vpn", port: int = 44, **fields: object) -> bytes:
    service = {"address": f"{pk}:{port}", "type": kind, "version": "v1.3.29", **fields}
    return json.dumps({name: value for name, value in service.items() if value}).encode()


async def test_the_recorded_object_is_taken_and_answered_as_it_is(sd: Discovery) -> None:
    (case,) = (
        case
        for case in vectors.load("routing/service_json")
        if case["name"].startswith("service d")
    )
    recorded = case["json"].encode()
    pk = json.loads(recorded)["address"].partition(":")[0]
    own = recorded.replace(pk.encode(), str(ALICE).encode())
    assert await (await sd.alice()).request("POST", SERVICES, own) == (200, own + b"\n")


async def test_lists_hide_what_single_answers_show(sd: Discovery) -> None:
    alice, bob = await sd.alice(), await sd.bob()
    ips = ["192.0.2.1", "10.0.0.1"]
    shown = body(local_ips=ips, display_node_ip=True, info={"latency": 1.5})
    assert (await alice.request("POST", SERVICES, shown))[0] == 200
    assert (await bob.request("POST", SERVICES, body(BOB, local_ips=ips)))[0] == 200
    first, second = await sd.list()
    assert first == {
        "address": f"{ALICE}:44",
        "type": "vpn",
        "version": "v1.3.29",
        "local_ips": ips,
    }
    assert "local_ips" not in second
    one = await sd.one()
    assert (one["display_node_ip"], one["local_ips"]) == (True, ips)
    assert "info" not in one
    assert await sd.one(f"{BOB}?type=vpn") == {**second, "local_ips": ips}


async def test_lists_are_filtered_and_sampled(start: Start) -> None:
    async def france(_: Ip) -> Geo | None:
        return FRANCE

    sd = await start(france)
    for session, pk in ((await sd.alice(), ALICE), (await sd.bob(), BOB)):
        await session.request("POST", SERVICES, body(pk))
        await session.request("POST", SERVICES, body(pk, "skysocks", version="v2"))
    assert len(await sd.list()) == 2
    assert len(await sd.list("type=vpn&quantity=1")) == 1
    assert len(await sd.list("type=vpn&quantity=5&pretty=true")) == 2
    assert len(await sd.list("type=vpn&quantity=-1")) == 2
    assert len(await sd.list("type=vpn&version=v1.3.29&country=FR")) == 2
    assert await sd.list("type=vpn&version=v2") is None
    assert await sd.list("type=vpn&country=DE") is None
    assert len(await sd.list("type=proxy&version=v2")) == 2  # skysocks by its other name
    assert (await sd.one(f"{ALICE}:44?type=proxy"))["type"] == "skysocks"
    assert (await sd.one())["geo"] == {"lat": 48.25, "lon": -3.5, "country": "FR"}


async def test_errors_are_worded_as_the_reference_does(sd: Discovery) -> None:
    missing = "Bad Request: missing service type in request"
    for path, status, text in (
        (SERVICES, 400, missing),
        (f"{SERVICES}?type=vpn&quantity=x", 400, "quantity must be integer"),
        (f"{SERVICES}/{ALICE}:44", 400, missing),
        (f"{SERVICES}/{ALICE}:44?type=vpn", 500, "Internal Server Error: record not found"),
    ):
        answer = await sd.http.ask("GET", path)
        assert answer[:2] == (
            status,
            json.dumps({"error": text}, separators=(",", ":")).encode() + b"\n",
        )
        assert answer.content_type == "application/json"
    for bad in ("x", f"{ALICE}:x", f"{ALICE}:99999", f"{ALICE}:"):
        assert (await sd.http.ask("GET", f"{SERVICES}/{bad}?type=vpn")).status == 400
    assert (await sd.http.ask("POST", SERVICES, body())).status == 401


async def test_the_checks_of_a_registration(sd: Discovery) -> None:
    alice, hidden = await sd.alice(), await sd.alice("10.0.0.1")
    forbidden = "Forbidden: "
    for session, sent, status, text in (
        (alice, b"{", 400, "Bad Request: invalid json"),
        (alice, b"{}", 400, "Bad Request: invalid json"),
        (alice, body(more=1), 400, "Bad Request: invalid json"),
        (alice, body(version="x" * 65), 400, "Bad Request: invalid json"),
        (alice, body(version="a\0b"), 400, "Bad Request: invalid json"),
        (alice, body(kind=""), 400, "Bad Request: missing service type"),
        (alice, body(BOB), 403, forbidden + "using public key other than your own is forbidden"),
        (alice, body(version=""), 403, forbidden + "visor version is too old"),
        (alice, body(kind="skysocks", version=""), 403, forbidden + "visor version is too old"),
        (
            alice,
            body(kind="visor", local_ips=["10.0.0.1"]),
            403,
            forbidden + "visor is unreachable",
        ),
        (hidden, body(kind="visor"), 500, "Internal Server Error: failed to get visor data"),
        (hidden, body(kind="visor", geo={"lat": 1}), 403, forbidden + "visor is unreachable"),
    ):
        answered, answer = await session.request("POST", SERVICES, sent)
        assert (answered, json.loads(answer)["error"][: len(text)]) == (status, text)
    assert await sd.list() is None
    for session, sent in (
        (alice, body(kind="visor", version="", local_ips=[IP])),
        (alice, body(kind="anything", version="")),
        (hidden, body()),
    ):
        assert (await session.request("POST", SERVICES, sent))[0] == 200


async def test_a_second_port_updates_the_record_and_the_port_stays(sd: Discovery) -> None:
    alice = await sd.alice()
    await alice.request("POST", SERVICES, body())
    _, answer = await alice.request("POST", SERVICES, body(port=45, version="v2"))
    assert json.loads(answer) == {"address": f"{ALICE}:44", "type": "vpn", "version": "v2"}
    assert len(await sd.list()) == 1


async def test_a_record_ends_with_its_lease(sd: Discovery) -> None:
    alice = await sd.alice()
    for _ in range(3):
        await alice.request("POST", SERVICES, body())
        sd.clock.now += LEASE - 1
        assert len(await sd.list()) == 1
    sd.clock.now += 2
    assert await sd.list() is None
    assert (await sd.http.ask("GET", f"{SERVICES}/{ALICE}:44?type=vpn")).status == 500


async def test_only_the_owner_or_a_monitor_removes_a_record(sd: Discovery) -> None:
    alice, bob = await sd.alice(), await sd.bob()
    await alice.request("POST", SERVICES, body())
    path = f"{SERVICES}/{ALICE}:7?type=vpn"  # the port does not matter
    assert (await bob.request("DELETE", path))[0] == 403
    assert (await alice.request("DELETE", f"{SERVICES}/{ALICE}:7"))[0] == 400
    assert len(await sd.list()) == 1
    for _ in range(2):
        assert await alice.request("DELETE", path) == (200, b"true\n")
    assert await sd.list() is None
    await alice.request("POST", SERVICES, body())
    path, keys = f"{SERVICES}/deregister/vpn", json.dumps([str(ALICE)]).encode()
    assert (await sd.http.ask("DELETE", path, keys))[:2] == (403, b"")
    assert (await sd.http.as_monitor("DELETE", path, b'["x"]')).status == 400
    assert (await sd.http.as_monitor("DELETE", path, keys))[:2] == (200, b"true\n")
    assert await sd.list() is None


async def test_every_origin_may_ask(sd: Discovery) -> None:
    answer = await sd.http.ask("GET", f"{SERVICES}?type=vpn")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    before = await sd.http.ask("OPTIONS", SERVICES)
    assert before.status == 200
    assert "DELETE" in before.headers["Access-Control-Allow-Methods"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    sent=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["address", "type", "geo", "local_ips"]), inner
        ),
    ).map(lambda value: json.dumps(value).encode())
)
async def test_no_body_is_an_internal_error(sd: Discovery, sent: bytes) -> None:
    assert (await (await sd.alice()).request("POST", SERVICES, sent))[0] == 400


# Where an address is


async def asked(answer: web.Response) -> tuple[Geo | None, int]:
    """What a source with `answer` finds, asked twice, and how often it was asked."""
    questions = []

    async def handler(request: web.Request) -> web.Response:
        questions.append(request.query["ip"])
        return web.Response(status=answer.status, body=answer.body)

    app = web.Application()
    app.add_routes([web.get("/", handler)])
    async with serving(app) as served:
        source = GeoSource(served.url)
        found = await source.find(ip_address(IP))
        assert await source.find(ip_address(IP)) == found
    assert set(questions) == {IP}
    return found, len(questions)


async def test_a_place_is_rounded_and_remembered() -> None:
    answer = b'{"latitude":48.2567,"longitude":-3.5,"country_code":"FR","region_code":"BRE","x":1}'
    assert await asked(web.Response(body=answer)) == (Geo(48.26, -3.5, "FR", "BRE"), 1)


async def test_a_source_that_does_not_know_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError):
        await asked(web.Response(body=b"<html>"))


async def test_without_its_source_a_service_has_no_place(start: Start) -> None:
    async def broken(_: Ip) -> Geo | None:
        raise Unavailable("gone")

    sd = await start(broken)
    assert (await (await sd.alice()).request("POST", SERVICES, body()))[0] == 200
    assert "geo" not in await sd.one()
