"""Every row of dmsg.md §9, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.crypto import curve
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import AuthenticationFailed, Unavailable
from skywire.http.app import listen, running
from skywire.services import dmsg_discovery as service
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

CLIENT, CLIENT_SK, _ = deterministic_key_pair(b"client")
SERVER, SERVER_SK, _ = deterministic_key_pair(b"server")
MONITOR, MONITOR_SK, _ = deterministic_key_pair(b"monitor")
SECOND = 10**9
BASE = "/dmsg-discovery"
NOT_FOUND = {"message": "entry of public key is not found", "code": 404}
NO_SERVERS = {"message": "no delegated dmsg servers available for remote", "code": 404}
UNEXPECTED = {"message": "something unexpected happened", "code": 500}
BAD_INPUT = {"message": "error bad input", "code": 400}
UNAUTHORIZED = {"message": "invalid signature", "code": 401}
NEW = {"message": "wrote a new entry", "code": 200}
UPDATED = {"message": "wrote new entry iteration", "code": 200}
DELETED = {"message": "deleted entry", "code": 200}


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str

    @property
    def json(self) -> Any:
        assert self.content_type == "application/json"
        return json.loads(self.body)


class Discovery:
    """A running discovery whose clock is ours."""

    def __init__(self, session: ClientSession, url: str, rules: DmsgDiscovery) -> None:
        self._session = session
        self._url = url
        self.rules = rules
        self.now = 1_800_000_000 * SECOND

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Answer:
        async with self._session.request(
            method, self._url + path, data=body, headers=headers
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, await response.read(), content_type)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", BASE + path)

    async def post(self, entry: Entry, query: str = "") -> Answer:
        return await self.ask("POST", f"{BASE}/entry/{query}", entry.encode())

    async def delete(self, entry: Entry) -> Answer:
        return await self.ask("DELETE", f"{BASE}/entry", entry.encode())

    def client(self, sequence: int = 0, client_type: str = "", age: int = 0) -> Entry:
        entry = Entry.of_client(CLIENT, [SERVER], client_type, now=self.now - age * SECOND)
        return wire.sign(msgspec.structs.replace(entry, sequence=sequence), CLIENT_SK)

    def server(
        self,
        sequence: int = 0,
        *,
        address: str = "192.0.2.1:8081",
        available: int = 5,
        server_type: str = "",
        age: int = 0,
        keys: tuple[PubKey, SecKey] = (SERVER, SERVER_SK),
    ) -> Entry:
        now = self.now - age * SECOND
        entry = Entry.of_server(keys[0], address, available, server_type, now=now)
        return wire.sign(msgspec.structs.replace(entry, sequence=sequence), keys[1])

    def deregistration(self, sk: SecKey = MONITOR_SK) -> dict[str, str]:
        text = str(sk.public())
        return {"NM-PK": text, "NM-Sign": curve.sign(text.encode(), sk).hex()}


Start = Callable[..., Awaitable[Discovery]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a discovery with the given settings; `store` and `app` may be given, too."""
    async with AsyncExitStack() as stack:

        async def begin(
            settings: Settings | None = None, store: DiscoveryStore | None = None, **app: Any
        ) -> Discovery:
            made: Discovery
            if store is None:
                store = SqlDiscoveryStore(Database(":memory:"), clock=lambda: made.now / SECOND)
                stack.push_async_callback(store.close)
            rules = DmsgDiscovery(store, settings, clock=lambda: made.now)
            runner = await stack.enter_async_context(running(rules.app(**app)))
            port = await listen(runner, "127.0.0.1", 0, what="discovery")
            session = await stack.enter_async_context(ClientSession())
            made = Discovery(session, f"http://127.0.0.1:{port}", rules)
            return made

        yield begin


@pytest.fixture
async def disc(start: Start) -> Discovery:
    return await start()


# Looking up


async def test_an_entry_is_answered_as_it_was_signed(disc: Discovery) -> None:
    entry = disc.client(client_type="a<b>&é\u2028")
    assert (await disc.post(entry)).json == NEW
    answer = await disc.get(f"/entry/{CLIENT}")
    assert (answer.status, answer.body) == (200, entry.encode())
    assert answer.content_type == "application/json"
    assert wire.verified(wire.parse(answer.body)) == entry
    assert (await disc.get(f"/entry/{str(CLIENT).upper()}")).body == entry.encode()


async def test_an_unknown_key_is_not_found(disc: Discovery) -> None:
    for text in (str(CLIENT), "0" * 66, "0"):
        answer = await disc.get(f"/entry/{text}")
        assert (answer.status, answer.json) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    "text", ["x", "02", "04" + "11" * 32, "02" + "00" * 31 + "05", "%00", "a" * 3000]
)
async def test_a_bad_key_is_bad_input(disc: Discovery, text: str) -> None:
    answer = await disc.get(f"/entry/{text}")
    assert (answer.status, answer.json) == (400, BAD_INPUT)


# Posting


async def test_the_second_post_is_an_iteration(disc: Discovery) -> None:
    assert (await disc.post(disc.client())).json == NEW
    answer = await disc.post(disc.client(sequence=7))
    assert (answer.status, answer.json) == (200, UPDATED)
    assert wire.parse((await disc.get(f"/entry/{CLIENT}")).body).sequence == 7


async def test_any_path_below_entry_takes_a_post(disc: Discovery) -> None:
    path = f"{BASE}/entry/anything"
    assert (await disc.ask("POST", path, disc.client().encode())).json == NEW


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{} x",
        b'{"static":"' + b"02" + b"00" * 31 + b'05"}',
        b"[" * 9999,
    ],
    ids=lambda body: body[:20],
)
async def test_what_is_no_entry_is_unexpected(disc: Discovery, body: bytes) -> None:
    for method, path in (("POST", "/entry/"), ("DELETE", "/entry")):
        answer = await disc.ask(method, BASE + path, body)
        assert (answer.status, answer.json) == (500, UNEXPECTED)


async def test_an_oversized_body_is_refused(disc: Discovery) -> None:
    body = b" " * (service.MAX_BODY + 1)
    for method, path in (("POST", "/entry/"), ("DELETE", "/entry"), ("DELETE", "/deregister")):
        headers = disc.deregistration()
        disc.rules._settings = Settings(monitors=frozenset({MONITOR}))
        answer = await disc.ask(method, BASE + path, body, **headers)
        assert (answer.status, answer.json["code"]) == (413, 413)
        assert str(service.MAX_BODY) in answer.json["message"]


async def test_a_body_that_does_not_arrive_is_given_up(
    disc: Discovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BODY_TIMEOUT", 0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        answer = await disc.ask("POST", f"{BASE}/entry/", never())  # type: ignore[arg-type]
    assert answer.json == {"message": "request body did not arrive within 0.05 s", "code": 408}


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8081", "127.9.9.9:1", "[::1]:8081", "[::ffff:127.0.0.1]:80", ":8081"]
)
async def test_a_loopback_server_is_refused_in_production(start: Start, address: str) -> None:
    text = "advertising localhost listening address is not allowed in production mode"
    disc = await start()
    answer = await disc.post(disc.server(address=address))
    assert answer.status == 422
    assert answer.json == {"message": f"entry validation error: {text}", "code": 422}
    testing = await start(Settings(test_mode=True))
    assert (await testing.post(testing.server(address=address))).json == NEW


@pytest.mark.parametrize(
    "address", ["localhost:8081", "127.0.0.1", "::1:80", "[::1]", "example.com:80", "10.0.0.1:80"]
)
async def test_other_addresses_pass(disc: Discovery, address: str) -> None:
    assert (await disc.post(disc.server(address=address))).json == NEW


async def test_structural_errors_are_told(disc: Discovery) -> None:
    good = disc.client()
    for changed, reason in (
        (msgspec.structs.replace(good, version=""), "entry has no version"),
        (msgspec.structs.replace(good, signature=""), "entry has no signature"),
        (msgspec.structs.replace(good, client=None), "entry has neither client or server field"),
        (disc.server(address=""), "server address cannot be empty"),
        (disc.server(age=61), "advertised entry has outdated timestamp"),
        (disc.server(age=-6), "advertised entry has outdated timestamp"),
    ):
        for answer in (await disc.post(changed), await disc.delete(changed)):
            assert answer.status == 422
            assert answer.json == {"message": f"entry validation error: {reason}", "code": 422}
    assert (
        (await disc.ask("POST", f"{BASE}/entry/", b"null")).json["message"].endswith("no version")
    )


async def test_a_client_with_a_clock_far_off_is_welcome(disc: Discovery) -> None:
    assert (await disc.post(disc.client(age=10**8))).json == NEW
    assert (await disc.post(disc.client(1, age=-(10**8)))).json == UPDATED


async def test_a_wrong_signature_is_refused(disc: Discovery) -> None:
    forged = msgspec.structs.replace(disc.client(), sequence=1)
    for answer in (await disc.post(forged), await disc.delete(forged)):
        assert (answer.status, answer.json) == (401, UNAUTHORIZED)
    assert (await disc.get(f"/entry/{CLIENT}")).status == 404


async def test_the_structure_is_checked_before_the_signature(disc: Discovery) -> None:
    both = msgspec.structs.replace(disc.client(), version="", sequence=1)
    assert (await disc.post(both)).status == 422


async def test_an_old_sequence_or_time_is_refused(disc: Discovery) -> None:
    await disc.post(disc.client(5))
    for sequence in (4, 5):
        answer = await disc.post(disc.client(sequence))
        assert answer.status == 422
        assert answer.json == {"message": wire.WRONG_SEQUENCE, "code": 422}
    answer = await disc.post(disc.client(6, age=1))
    assert (answer.status, answer.json) == (422, {"message": wire.WRONG_TIME, "code": 422})


async def test_of_two_concurrent_posts_of_one_sequence_one_wins(disc: Discovery) -> None:
    posts = [disc.client(1, client_type=str(number)) for number in range(8)]
    answers = await asyncio.gather(*map(disc.post, posts))
    assert sorted(answer.status for answer in answers) == [200] + [422] * 7


async def test_keys_of_2026_are_kept_when_signed(disc: Discovery) -> None:
    plain = Entry.of_client(CLIENT, [SERVER], now=disc.now)
    newer = wire.sign(msgspec.structs.replace(plain, protocol="smux"), CLIENT_SK)
    await disc.post(newer)
    assert (await disc.get(f"/entry/{CLIENT}")).body == newer.encode()
    older = msgspec.structs.replace(disc.client(1), protocol="smux")  # not covered
    assert (await disc.post(older)).json == UPDATED
    assert (await disc.get(f"/entry/{CLIENT}")).body == disc.client(1).encode()


# The type of a server


async def server_type(disc: Discovery) -> str:
    server = wire.parse((await disc.get(f"/entry/{SERVER}")).body).server
    assert server
    return server.server_type


async def test_without_passphrase_the_second_post_makes_a_server_community(disc: Discovery) -> None:
    await disc.post(disc.server())
    assert await server_type(disc) == "official"
    await disc.post(disc.server(1, server_type="official"))  # what Go servers echo
    assert await server_type(disc) == "community"


async def test_with_a_passphrase_it_makes_a_server_official(start: Start) -> None:
    disc = await start(Settings(passphrase="sesame"))
    for sequence, (given_type, expected) in enumerate(
        [
            ("", "community"),
            ("sesame", "official"),
            ("official", "community"),
            ("sésame", "community"),
        ]
    ):
        await disc.post(disc.server(sequence, server_type=given_type))
        assert await server_type(disc) == expected
    assert b"sesame" not in (await disc.get("/all_servers")).body


async def test_a_listed_key_is_official_whatever_it_posts(start: Start) -> None:
    disc = await start(Settings(passphrase="sesame", official=frozenset({SERVER})))
    await disc.post(disc.server())
    assert await server_type(disc) == "official"


async def test_a_stored_server_no_longer_verifies_and_a_client_does(disc: Discovery) -> None:
    """dmsg.md §8: the type is rewritten after verifying."""
    await disc.post(disc.server())
    with pytest.raises(AuthenticationFailed):
        wire.verified(wire.parse((await disc.get(f"/entry/{SERVER}")).body))
    await disc.post(disc.client())
    wire.verified(wire.parse((await disc.get(f"/entry/{CLIENT}")).body))


# Lifetime


@pytest.mark.parametrize(("query", "seconds"), [("", 120), ("?timeout=true", 120)])
async def test_a_server_lives_two_minutes_after_a_post(
    disc: Discovery, query: str, seconds: int
) -> None:
    await disc.post(disc.server(), query)
    disc.now += (seconds - 1) * SECOND
    assert (await disc.get(f"/entry/{SERVER}")).status == 200
    disc.now += 2 * SECOND
    assert (await disc.get(f"/entry/{SERVER}")).json == NOT_FOUND
    assert (await disc.get("/all_servers")).json == NO_SERVERS
    assert (await disc.post(disc.server())).json == NEW


async def test_a_client_lives_for_ever_or_three_minutes(disc: Discovery) -> None:
    await disc.post(disc.client())
    disc.now += 10**9 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200
    await disc.post(disc.client(1), "?timeout=true")
    disc.now += 179 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200
    disc.now += 2 * SECOND
    assert (await disc.get(f"/entry/{CLIENT}")).json == NOT_FOUND
    assert (await disc.get("/entries")).body == b"[]"


async def test_the_sweep_forgets_and_counts(disc: Discovery) -> None:
    await disc.post(disc.server())
    await disc.post(disc.client())
    await disc.rules.sweep()
    metrics = await disc.ask("GET", "/metrics")
    assert b'dmsg_entries{type="server"} 1\n' in metrics.body
    assert b'dmsg_entries{type="client"} 1\n' in metrics.body
    disc.now += 121 * SECOND
    await disc.rules.sweep()
    assert b'dmsg_entries{type="server"} 0\n' in (await disc.ask("GET", "/metrics")).body


async def test_the_sweep_runs_until_cancelled(disc: Discovery) -> None:
    await disc.post(disc.server())
    task = asyncio.ensure_future(disc.rules.run())
    async with asyncio.timeout(5):
        while disc.rules._counts != (1, 0):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Deleting


async def test_an_owner_deletes_its_entry(disc: Discovery) -> None:
    await disc.post(disc.client(5))
    answer = await disc.delete(disc.client(0))  # any sequence
    assert (answer.status, answer.json) == (200, DELETED)
    assert (await disc.get(f"/entry/{CLIENT}")).json == NOT_FOUND
    assert (await disc.delete(disc.client())).json == DELETED  # nothing was stored


async def test_nobody_else_deletes_it(disc: Discovery) -> None:
    await disc.post(disc.client())
    stranger = wire.sign(Entry.of_client(SERVER, [], now=disc.now), SERVER_SK)
    assert (await disc.delete(stranger)).json == DELETED  # its own, which is none
    assert (await disc.get(f"/entry/{CLIENT}")).status == 200


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
