"""Lists, deregistration, paths and failures: the other rows of dmsg.md §9."""

import asyncio
import json

import msgspec
import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.http.app import listen, running
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database
from skywire.wire.entry import Entry
from tests.services.conftest import (
    BAD_INPUT,
    BASE,
    CLIENT,
    CLIENT_SK,
    MONITOR,
    NO_SERVERS,
    NOT_FOUND,
    SERVER,
    UNEXPECTED,
    Answer,
    Discovery,
    Start,
)

# Lists


async def test_empty_lists(disc: Discovery) -> None:
    assert (await disc.get("/entries")).body == b"[]"
    assert (await disc.get("/visorEntries")).body == b"[]"
    for path in ("/available_servers", "/all_servers"):
        answer = await disc.get(path)
        assert (answer.status, answer.json) == (404, NO_SERVERS)


async def test_clients_and_visors_are_listed(disc: Discovery) -> None:
    await disc.post(disc.client(client_type="visor"))
    await disc.post(disc.server())
    assert (await disc.get("/entries")).json == [str(CLIENT)]
    assert (await disc.get("/visorEntries")).json == [str(CLIENT)]
    await disc.post(disc.client(1))
    assert (await disc.get("/visorEntries")).json == []


async def test_servers_with_room_come_first_and_full_ones_not_at_all(disc: Discovery) -> None:
    for room in (1, 0, 9, -2):
        pk, sk, _ = deterministic_key_pair(b"server %d" % room)
        await disc.post(disc.server(available=room, keys=(pk, sk)))
    answer = (await disc.get("/available_servers")).json
    assert [item["server"]["availableSessions"] for item in answer] == [9, 1]
    assert len((await disc.get("/all_servers")).json) == 4
    await disc.post(disc.client())
    assert len((await disc.get("/all_servers")).json) == 4


async def test_no_more_than_512_servers_are_available(start: Start) -> None:
    store = SqlDiscoveryStore(Database(":memory:"))
    template = Entry.of_server(SERVER, "192.0.2.1:80", 1)
    for number in range(520):
        pk = PubKey(number.to_bytes(33, "big"))
        await store.put(msgspec.structs.replace(template, static=pk), 120)
    disc = await start(store=store)
    assert len((await disc.get("/available_servers")).json) == 512
    assert len((await disc.get("/all_servers")).json) == 520
    await store.close()


# Deregistering


@pytest.fixture
async def watched(start: Start) -> Discovery:
    disc = await start(Settings(monitors=frozenset({MONITOR})))
    await disc.post(disc.client())
    await disc.post(disc.server())
    return disc


async def deregister(disc: Discovery, body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await disc.ask("DELETE", f"{BASE}/deregister", raw, **headers)


async def test_a_monitor_deregisters_keys(watched: Discovery) -> None:
    keys = [str(CLIENT), str(SERVER), "0"]
    answer = await deregister(watched, keys, **watched.deregistration())
    assert (answer.status, answer.body) == (200, b"null")
    assert answer.content_type == "application/json"
    assert (await watched.get(f"/entry/{CLIENT}")).json == NOT_FOUND
    assert (await watched.get("/all_servers")).json == NO_SERVERS


async def test_nobody_else_deregisters(watched: Discovery) -> None:
    keys = [str(CLIENT)]
    good = watched.deregistration()
    for headers, body, status in (
        ({}, keys, 403),
        (watched.deregistration(CLIENT_SK), keys, 403),
        ({**good, "NM-PK": good["NM-PK"].upper()}, keys, 403),
        ({"NM-PK": good["NM-PK"]}, keys, 400),
        ({**good, "NM-Sign": "00"}, keys, 400),
        ({**good, "NM-Sign": "00" * 65}, keys, 403),
        ({**good, "NM-Sign": watched.deregistration(CLIENT_SK)["NM-Sign"]}, keys, 403),
        (good, b"", 400),
        (good, b"{}", 400),
        (good, [1], 400),
        (good, b"\xff", 400),
        (good, b"[" * 9999, 400),
    ):
        answer = await deregister(watched, body, **headers)
        assert (answer.status, answer.body) == (status, b"")
    answer = await deregister(watched, [str(CLIENT), "x"], **good)
    assert (answer.status, answer.json) == (400, BAD_INPUT)
    assert (await watched.get(f"/entry/{CLIENT}")).status == 200


async def test_without_monitors_nobody_deregisters(disc: Discovery) -> None:
    answer = await deregister(disc, [str(CLIENT)], **disc.deregistration())
    assert (answer.status, answer.body) == (403, b"")


# Paths, health


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", BASE),
        ("GET", f"{BASE}/"),
        ("GET", f"{BASE}/entries/"),
        ("GET", "/entries"),
        ("POST", f"{BASE}/entry/a/b"),
        ("GET", f"{BASE}/health"),
        ("GET", "/health/"),
    ],
)
async def test_an_unknown_path_is_not_found(disc: Discovery, method: str, path: str) -> None:
    answer = await disc.ask(method, path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/entry"),
        ("GET", "/entry"),
        ("DELETE", "/entry/"),
        ("GET", "/entry/"),
        ("DELETE", f"/entry/{CLIENT}"),
        ("PUT", f"/entry/{CLIENT}"),
        ("HEAD", f"/entry/{CLIENT}"),
        ("POST", "/entries"),
        ("DELETE", "/all_servers"),
        ("GET", "/deregister"),
        ("OPTIONS", "/available_servers"),
    ],
)
async def test_the_slash_and_the_method_matter(disc: Discovery, method: str, path: str) -> None:
    answer = await disc.ask(method, BASE + path, disc.client().encode())
    assert (answer.status, answer.body) == (405, b"")


async def test_health_tells_of_build_start_and_dmsg(start: Start) -> None:
    disc = await start()
    answer = (await disc.ask("GET", "/health")).json
    assert set(answer) == {"build_info", "started_at"}
    assert list(answer["build_info"]) == ["version", "commit", "date"]
    assert answer["started_at"].endswith("Z")
    on_dmsg = await start(dmsg_address=f"{SERVER}:80", dmsg_servers=lambda: [str(CLIENT)])
    answer = (await on_dmsg.ask("GET", "/health")).json
    assert answer["dmsg_address"] == f"{SERVER}:80"
    assert answer["dmsg_servers"] == [str(CLIENT)]


# Failures


async def test_a_crowd_of_half_sent_requests_holds_nobody_up(disc: Discovery) -> None:
    place = URL(disc.url)
    crowd = await asyncio.gather(
        *(asyncio.open_connection(place.host, place.port) for _ in range(300))
    )
    for _, writer in crowd:
        writer.write(b"GET /dmsg-discovery/entries HTTP/1.1\r\nHost: ")
    async with asyncio.timeout(5):
        assert (await disc.get("/entries")).body == b"[]"
    for _, writer in crowd:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in crowd))


class BrokenStore(SqlDiscoveryStore):
    error: Exception = Unavailable("database or disk is full")

    async def document(self, key: PubKey) -> bytes | None:
        raise self.error

    async def put(self, entry: Entry, lifetime: float | None) -> bool:
        raise self.error

    async def client_keys(self) -> list[PubKey]:
        raise self.error


@pytest.mark.parametrize("error", [Unavailable("disk full"), RuntimeError("a bug")])
async def test_a_failing_store_is_unexpected_and_logged(
    start: Start, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    store = BrokenStore(Database(":memory:"))
    store.error = error
    disc = await start(store=store)
    for answer in (
        await disc.post(disc.client()),
        await disc.get(f"/entry/{CLIENT}"),
        await disc.get("/entries"),
    ):
        assert (answer.status, answer.json) == (500, UNEXPECTED)
    assert len(caplog.records) == 3
    assert str(error) in caplog.text
    await store.close()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.sampled_from(["/entry", "/entry/", "/deregister", "/entries"])
    | st.binary(max_size=30).map(lambda raw: "/entry/" + "".join(f"%{byte:02x}" for byte in raw)),
    body=st.binary(max_size=100),
)
def test_any_request_is_answered(method: str, path: str, body: bytes) -> None:
    async def ask() -> Answer:
        store = SqlDiscoveryStore(Database(":memory:"))
        async with running(DmsgDiscovery(store).app()) as runner, ClientSession() as session:
            port = await listen(runner, "127.0.0.1", 0, what="discovery")
            disc = Discovery(session, f"http://127.0.0.1:{port}", DmsgDiscovery(store))
            answer = await disc.ask(method, BASE + path, body)
        await store.close()
        return answer

    answer = asyncio.run(ask())
    assert answer.status in {200, 400, 401, 403, 404, 405, 422, 500}
    if answer.status == 500:
        assert answer.json == UNEXPECTED
