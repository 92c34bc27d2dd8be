"""Every endpoint of services.md §2, and what ours refuses that the reference takes."""

import json
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.crypto.keys import PubKey, SecKey
from skywire.http.auth import SignedSession, signed_headers
from skywire.services.base import LEASE, Common
from skywire.services.transport_discovery import MAX_REGISTERED, TransportDiscovery
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlNonceStore, SqlTransportStore
from skywire.stores.sqlite import Database
from skywire.wire import transport as wire
from skywire.wire.transport import Entry, SignedEntry
from tests.services.serving import (
    ALICE,
    ALICE_SK,
    BOB,
    BOB_SK,
    CAROL,
    CAROL_SK,
    MONITOR,
    Clock,
    Served,
    serving,
)

KEYS = {ALICE: ALICE_SK, BOB: BOB_SK, CAROL: CAROL_SK}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def rules(clock: Clock) -> AsyncIterator[TransportDiscovery]:
    engine = SqliteEngine(Database(":memory:"))
    store = SqlTransportStore(engine, clock)
    nonces = SqlNonceStore(engine, "transport-discovery", shares=True)
    yield TransportDiscovery(store, nonces, Common(monitors=frozenset([MONITOR]), clock=clock))
    await store.close()


@pytest.fixture
async def tpd(rules: TransportDiscovery) -> AsyncIterator[Served]:
    async with serving(rules.app()) as served:
        yield served


def signed(
    a: PubKey, b: PubKey, kind: str = "stcpr", *, by: tuple[SecKey, ...] = ()
) -> SignedEntry:
    entry = SignedEntry(Entry.of(a, b, kind))
    for sk in by or (KEYS[a], KEYS[b]):
        entry = wire.sign(entry, sk)
    return entry


async def register(session: SignedSession, *entries: SignedEntry) -> tuple[int, bytes]:
    return await session.request("POST", "/transports/", wire.encode_list(list(entries)))


async def test_what_was_registered_is_found(tpd: Served) -> None:
    alice, entry = await tpd.alice(), signed(ALICE, BOB)
    echo = wire.encode_list([entry]) + b"\n"
    assert await register(alice, entry) == (201, echo)
    listed = b"[" + echo[len('[{"entry":') : echo.index(b',"signatures"')] + b"]\n"
    one = listed[1:-2] + b"\n"
    assert await alice.request("GET", f"/transports/id:{entry.entry.id}") == (200, one)
    for key in (ALICE, BOB):
        assert await alice.request("GET", f"/transports/edge:{key}") == (200, listed)
    assert await alice.request("GET", f"/transports/edge:{CAROL}") == (200, b"null\n")
    assert (await tpd.ask("GET", "/all-transports")).body == listed


async def test_an_empty_list_is_null_and_registering_nothing_is_fine(tpd: Served) -> None:
    assert (await tpd.ask("GET", "/all-transports")).body == b"null\n"
    assert await register(await tpd.alice()) == (201, b"[]\n")


async def test_a_201_does_not_use_up_the_nonce_but_a_200_does(tpd: Served) -> None:
    alice = await tpd.alice()
    path = f"/security/nonces/{ALICE}"
    await register(alice, signed(ALICE, BOB))
    assert json.loads((await tpd.ask("GET", path)).body) == {"edge": str(ALICE), "next_nonce": 0}
    await alice.request("GET", f"/transports/edge:{ALICE}")
    assert json.loads((await tpd.ask("GET", path)).body)["next_nonce"] == 1
    await alice.request("GET", f"/transports/id:{uuid.UUID(int=1)}")  # 404
    assert json.loads((await tpd.ask("GET", path)).body)["next_nonce"] == 1


async def test_a_duplicate_is_a_conflict_that_renews_the_lease(tpd: Served, clock: Clock) -> None:
    alice, entry = await tpd.alice(), signed(ALICE, BOB)
    await register(alice, entry)
    clock.now += LEASE - 1
    status, body = await register(alice, entry)
    assert status == 409
    assert b"registered already" in body
    clock.now += LEASE - 1
    assert len(json.loads((await tpd.ask("GET", "/all-transports")).body)) == 1


async def test_what_expired_is_never_listed(
    tpd: Served, clock: Clock, rules: TransportDiscovery
) -> None:
    alice = await tpd.alice()
    first, second = signed(ALICE, BOB), signed(ALICE, CAROL)
    await register(alice, first)
    clock.now += 100
    await register(alice, second)
    assert len(json.loads((await tpd.ask("GET", "/all-transports")).body)) == 2
    clock.now += LEASE - 100
    (left,) = json.loads((await tpd.ask("GET", "/all-transports")).body)
    assert left["t_id"] == str(second.entry.id)
    assert (await alice.request("GET", f"/transports/id:{first.entry.id}"))[0] == 404
    assert (await alice.request("GET", f"/transports/edge:{BOB}"))[1] == b"null\n"
    assert await rules.sweep() == 1
    assert (await register(alice, first))[0] == 201
    assert b"transport_discovery_transports 2" in (await tpd.ask("GET", "/metrics")).body


async def test_a_visor_cannot_speak_for_others(tpd: Served) -> None:
    carol = await tpd.signed(CAROL, CAROL_SK)
    status, body = await register(carol, signed(ALICE, BOB))
    assert (status, b"is not an edge" in body) == (403, True)
    # An edge whose partner has not signed, or somebody else in its place.
    lonely = signed(BOB, CAROL, by=(CAROL_SK,))
    status, body = await register(carol, lonely)
    assert (status, b"signature of edge" in body) == (403, True)
    good = signed(BOB, CAROL)
    swapped = msgspec.structs.replace(good, signatures=(good.signatures[1], good.signatures[0]))
    assert (await register(carol, swapped))[0] == 403
    assert (await tpd.ask("GET", "/all-transports")).body == b"null\n"


async def test_id_edges_and_type_must_belong_together(tpd: Served) -> None:
    alice, good = await tpd.alice(), signed(ALICE, BOB)
    replace = msgspec.structs.replace
    for wrong in (
        replace(good.entry, id=uuid.UUID(int=7)),
        replace(good.entry, edges=good.entry.edges[::-1]),
        replace(good.entry, type="sudph"),
        replace(good.entry, label="x" * 65),
    ):
        status, _ = await register(alice, replace(good, entry=wrong))
        assert status == 400
    assert (await register(alice, good))[0] == 201


async def test_a_transport_to_oneself_needs_one_signature(tpd: Served) -> None:
    assert (await register(await tpd.alice(), signed(ALICE, ALICE, "dmsg")))[0] == 201


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[null]", b"[{}]", b'{"entry":1}', b"\xff"])
async def test_malformed_bodies_are_refused(tpd: Served, body: bytes) -> None:
    status, answer = await (await tpd.alice()).request("POST", "/transports/", body)
    assert status == 400
    assert "error" in json.loads(answer)


async def test_too_many_entries_and_too_large_bodies_are_refused(tpd: Served) -> None:
    alice = await tpd.alice()
    status, _ = await register(alice, *[signed(ALICE, BOB)] * (MAX_REGISTERED + 1))
    assert status == 400
    assert (await alice.request("POST", "/transports/", b" " * 300_000))[0] == 413


async def test_errors_are_worded_as_the_reference_does(tpd: Served) -> None:
    alice = await tpd.alice()
    for method, path, status, text in (
        ("GET", "/transports/id:7", 400, "transport ID is invalid"),
        ("GET", f"/transports/id:{uuid.UUID(int=1)}", 404, "transport not found"),
        ("GET", "/transports/edge:7", 400, "public key is invalid"),
        ("DELETE", "/transports/id:x", 400, "transport ID is invalid"),
        ("DELETE", f"/transports/id:{uuid.UUID(int=1)}", 404, "transport not found"),
    ):
        answer = await alice.request(method, path)
        assert answer == (status, b'{"error":"%s"}\n' % text.encode())
    unsigned = await tpd.ask("POST", "/transports/", b"[]")
    assert unsigned.body == b'{"error":{"message":"SW-Public missing","code":401}}\n'
    assert (unsigned.status, unsigned.content_type) == (401, "application/json")
    assert (await tpd.ask("POST", "/transports", b"[]")).status == 404
    assert (await tpd.ask("POST", "/statuses"))[:2] == (410, b"")


async def test_only_an_edge_deletes_a_transport(tpd: Served) -> None:
    alice, bob = await tpd.alice(), await tpd.bob()
    entry = signed(ALICE, BOB)
    path = f"/transports/id:{entry.entry.id}"
    await register(alice, entry)
    carol = await tpd.signed(CAROL, CAROL_SK)
    answer = await carol.request("DELETE", path)
    assert answer == (400, b'{"error":"transport ID is invalid"}\n')
    assert await bob.request("DELETE", path) == (200, b"transport deleted")
    assert (await alice.request("DELETE", path))[0] == 404


async def test_a_monitor_deregisters_and_nobody_else(tpd: Served) -> None:
    alice, entry = await tpd.alice(), signed(ALICE, BOB)
    await register(alice, entry)
    ids = json.dumps(["nonsense", str(entry.entry.id)]).encode()
    refused = await tpd.ask("DELETE", "/transports/deregister", ids)
    assert refused[:2] == (403, b"")
    assert (await tpd.as_monitor("DELETE", "/transports/deregister", b"{"))[:2] == (400, b"")
    done = await tpd.as_monitor("DELETE", "/transports/deregister", ids)
    assert done[:2] == (400, b"null")  # a bad id, but the rest is done
    assert (await tpd.ask("GET", "/all-transports")).body == b"null\n"
    done = await tpd.as_monitor(
        "DELETE", "/transports/deregister", ids[ids.index(b",") :].replace(b",", b"[")
    )
    assert done[:2] == (200, b"null")


async def test_health_tells_of_dmsg(tpd: Served) -> None:
    health = await tpd.ask("GET", "/health")
    assert health.status == 200
    assert set(json.loads(health.body)) == {"build_info", "started_at"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(body=st.binary(max_size=300))
async def test_no_body_is_an_internal_error(tpd: Served, body: bytes) -> None:
    status, _ = await (await tpd.alice()).request("POST", "/transports/", body)
    assert status in (201, 400)


async def test_a_replayed_request_is_refused(tpd: Served) -> None:
    entry = signed(ALICE, BOB)
    path = f"/transports/id:{entry.entry.id}"
    body = wire.encode_list([entry])
    registering = signed_headers(ALICE, ALICE_SK, 0, body)
    deleting = signed_headers(ALICE, ALICE_SK, 0, b"")
    assert (await tpd.ask("POST", "/transports/", body, registering)).status == 201
    assert (await tpd.ask("DELETE", path, b"", deleting)).status == 200
    assert (await tpd.ask("POST", "/transports/", body, registering)).status == 401
    assert (await tpd.ask("GET", "/all-transports")).body == b"null\n"
    assert (await register(await tpd.alice(), entry))[0] == 201
    assert (await tpd.ask("DELETE", path, b"", deleting)).status == 401
    forged = signed_headers(ALICE, BOB_SK, 1, b"")
    assert (await tpd.ask("DELETE", path, b"", forged)).status == 401
    assert len(json.loads((await tpd.ask("GET", "/all-transports")).body)) == 1
