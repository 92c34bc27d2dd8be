"""Every answer of the route finder. Source: services.md §3."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.services.graph import FRESH
from skywire.services.route_finder import MAX_EDGES, RouteFinder
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlTransportStore
from skywire.stores.sqlite import Database
from skywire.wire import routes
from skywire.wire.routes import Bounds
from skywire.wire.transport import Entry
from tests.services.serving import ALICE, BOB, CAROL, Answer, Served, serving

DAVE = deterministic_key_pair(b"dave")[0]
ANY = Bounds(0, 50)


@pytest.fixture
async def store() -> AsyncIterator[SqlTransportStore]:
    store = SqlTransportStore(SqliteEngine(Database(":memory:")))
    yield store
    await store.close()


@pytest.fixture
async def rf(store: SqlTransportStore) -> AsyncIterator[Served]:
    async with serving(RouteFinder(store).app()) as served:
        yield served


async def ask(rf: Served, *edges: tuple[PubKey, PubKey], bounds: Bounds = ANY) -> Answer:
    return await rf.ask("POST", "/routes", routes.encode_request(edges, bounds))


def error(answer: Answer) -> tuple[int, str]:
    assert answer.content_type == "application/json"
    assert not answer.body.endswith(b"\n")
    told = json.loads(answer.body)["error"]
    assert told["code"] == answer.status
    return answer.status, told["message"]


async def test_paths_both_ways(rf: Served, store: SqlTransportStore) -> None:
    first, second = Entry.of(ALICE, BOB, "stcpr"), Entry.of(BOB, CAROL, "dmsg")
    await store.add(first, None)
    await store.add(second, None)
    answer = await ask(rf, (ALICE, CAROL), (CAROL, ALICE))
    assert (answer.status, answer.content_type) == (200, "application/json")
    paths = routes.parse_response(answer.body)
    ((there,), (home,)) = paths[ALICE, CAROL], paths[CAROL, ALICE]
    assert [hop.tp_id for hop in there] == [first.id, second.id]
    assert [hop.tp_id for hop in home] == [second.id, first.id]
    assert not answer.body.endswith(b"\n")


async def test_a_change_of_the_store_is_seen_at_once(rf: Served, store: SqlTransportStore) -> None:
    await store.add(Entry.of(ALICE, BOB, "stcpr"), None)
    assert (await ask(rf, (ALICE, BOB))).status == 200
    assert error(await ask(rf, (ALICE, CAROL))) == (404, "no route to destination")
    added = Entry.of(BOB, CAROL, "stcpr")
    await store.add(added, None)
    assert (await ask(rf, (ALICE, CAROL))).status == 200
    await store.delete(added.id)
    await asyncio.sleep(FRESH)
    assert (await ask(rf, (ALICE, CAROL))).status == 404


async def test_no_routes(rf: Served, store: SqlTransportStore) -> None:
    await store.add(Entry.of(ALICE, BOB, "stcpr"), None)
    await store.add(Entry.of(CAROL, DAVE, "stcpr"), None)
    assert error(await ask(rf, (MALLORY, BOB))) == (404, "transport not found")
    assert error(await ask(rf, (ALICE, MALLORY))) == (404, "no route to destination")
    assert error(await ask(rf, (ALICE, DAVE))) == (404, "no route to destination")
    assert error(await ask(rf, (ALICE, BOB), bounds=Bounds(2, 50))) == (404, "route not found")
    assert error(await ask(rf, (ALICE, BOB), (ALICE, DAVE)))[0] == 404  # one failing edge is enough


MALLORY = deterministic_key_pair(b"mallory")[0]


async def test_without_options_there_is_never_a_route(rf: Served, store: SqlTransportStore) -> None:
    await store.add(Entry.of(ALICE, BOB, "stcpr"), None)
    for body in (f'{{"Edges":["{ALICE}:{BOB}"]}}', f'{{"Edges":["{ALICE}:{BOB}"],"Opts":{{}}}}'):
        answer = await rf.ask("POST", "/routes", body.encode())
        assert error(answer) == (404, "route not found")


async def test_keys_and_names_in_any_case(rf: Served, store: SqlTransportStore) -> None:
    await store.add(Entry.of(ALICE, BOB, "stcpr"), None)
    body = f'{{"eDGES":["{str(ALICE).upper()}:{BOB}"],"opts":{{"MAXHOPS":1}}}}'
    answer = await rf.ask("POST", "/routes", body.encode())
    assert list(routes.parse_response(answer.body)) == [(ALICE, BOB)]


async def test_nothing_asked_nothing_answered(rf: Served) -> None:
    answer = await rf.ask("POST", "/routes", b"{}")
    assert (answer.status, answer.body) == (200, b"{}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"Edges":["x"]}',
        b'{"Edges":["' + b"0" * 66 + b":" + b"z" * 66 + b'"],"Opts":{"MaxHops":9}}',
        b'{"Edges":["' + b"00" * 33 + b":" + b"00" * 33 + b'"],"Opts":{"MaxHops":9}}',
    ],
)
async def test_bad_requests(rf: Served, body: bytes) -> None:
    assert error(await rf.ask("POST", "/routes", body))[0] == 400


async def test_limits(rf: Served, store: SqlTransportStore) -> None:
    await store.add(Entry.of(ALICE, BOB, "stcpr"), None)
    assert (await ask(rf, *[(ALICE, BOB)] * MAX_EDGES)).status == 200
    assert error(await ask(rf, *[(ALICE, BOB)] * (MAX_EDGES + 1)))[0] == 400
    assert error(await rf.ask("POST", "/routes", b" " * 300_000))[0] == 413


async def test_other_requests(rf: Served) -> None:
    assert (await rf.ask("GET", "/routes")).status == 405
    assert (await rf.ask("GET", "/")).status == 404
    health = await rf.ask("GET", "/health")
    assert health.status == 200
    assert "build_info" in json.loads(health.body)
    assert b"route_finder_transports 0" in (await rf.ask("GET", "/metrics")).body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(body=st.binary(max_size=200))
async def test_any_body_is_answered(rf: Served, body: bytes) -> None:
    assert (await rf.ask("POST", "/routes", body)).status in (200, 400, 404)
