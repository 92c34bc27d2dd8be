"""The transport setup service against a visor in memory. Source: services.md §9."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.ports import DMSG_TRANSPORT_SETUP
from skywire.rpc.server import GoError, Method, RpcServer
from skywire.services.transport_setup import TransportSetup
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing import vectors
from skywire.testing.streams import stream_pair
from skywire.transport.setup import (
    ADD,
    LIST,
    REMOVE,
    BoolResponse,
    TransportRequest,
    TransportResponse,
    UUIDRequest,
)
from skywire.wire.gob_types import EMPTY, GoType, Slice
from skywire.wire.netrpc import ClientSide, ServerSide
from skywire.wire.transport import transport_id
from tests.services.serving import ALICE, BOB, CAROL, Answer, Served, serving


@dataclass
class Visor:
    """The transports of `pk`, by net/rpc on dmsg port 47."""

    pk: PubKey
    transports: dict[uuid.UUID, TransportResponse] = field(default_factory=dict)
    tasks: Tasks = field(default_factory=lambda: Tasks("fake visor"))

    async def add(self, asked: TransportRequest) -> TransportResponse:
        if asked.type not in ("stcpr", "sudph", "dmsg"):
            raise GoError("save transport: unknown network type")
        id = transport_id(self.pk, asked.remote, asked.type)
        made = TransportResponse(id, self.pk, asked.remote, asked.type)
        self.transports[id] = made
        return made

    async def remove(self, asked: UUIDRequest) -> BoolResponse:
        if self.transports.pop(asked.id, None) is None:
            raise GoError("transport not found")
        return BoolResponse(True)

    async def list(self, _: None) -> list[TransportResponse]:
        return [*self.transports.values()]

    async def dial(self, pk: PubKey, port: int) -> Stream:
        if (pk, port) != (self.pk, DMSG_TRANSPORT_SETUP):
            raise DialFailed("nobody there")
        ours, theirs = stream_pair()
        self.tasks.spawn(self.server().serve(theirs))
        return ours

    def server(self) -> RpcServer:
        return RpcServer(
            {
                ADD: Method(TransportRequest, TransportResponse, self.add),
                REMOVE: Method(UUIDRequest, BoolResponse, self.remove),
                LIST: Method(EMPTY, Slice(TransportResponse), self.list),
            }
        )


@pytest.fixture
async def tps() -> AsyncIterator[Served]:
    visor = Visor(ALICE)
    async with serving(TransportSetup(visor.dial).app()) as served:
        yield served
    await visor.tasks.close()


async def add(tps: Served, source: PubKey, target: PubKey, kind: str = "stcpr") -> Answer:
    body = json.dumps({"from": str(source), "to": str(target), "type": kind})
    return await tps.ask("POST", "/add", body.encode())


def failure(answer: Answer) -> tuple[int, str]:
    assert answer.content_type == "text/plain"
    assert answer.body.endswith(b"\n")
    return answer.status, json.loads(answer.body)["error"]


async def test_add_list_and_remove(tps: Served) -> None:
    id = transport_id(ALICE, BOB, "stcpr")
    shown = f'{{"ID":"{id}","Local":"{ALICE}","Remote":"{BOB}","Type":"stcpr"}}'
    answer = await add(tps, ALICE, BOB)
    assert (answer.status, answer.content_type) == (200, "text/plain")
    assert answer.body.decode() == shown + "\n"
    answer = await tps.ask("GET", f"/{ALICE}/transports")
    assert answer.body.decode() == f"[{shown}]\n"
    body = json.dumps({"from": str(ALICE), "id": str(id)}).encode()
    assert (await tps.ask("POST", "/remove", body)).body == b'{"Result":true}\n'
    assert failure(await tps.ask("POST", "/remove", body)) == (500, f"{ALICE}: transport not found")
    assert (await tps.ask("GET", f"/{ALICE}/transports")).body == b"[]\n"


async def test_what_the_visor_refuses_or_cannot_be_asked(tps: Served) -> None:
    status, text = failure(await add(tps, ALICE, BOB, "xyz"))
    assert (status, text) == (500, f"{ALICE}: save transport: unknown network type")
    assert failure(await add(tps, BOB, CAROL)) == (500, f"{BOB}: nobody there")
    assert failure(await tps.ask("GET", f"/{BOB}/transports"))[0] == 500


async def test_bad_requests(tps: Served) -> None:
    assert failure(await add(tps, ALICE, ALICE))[0] == 400
    assert failure(await add(tps, ALICE, BOB, ""))[0] == 400
    assert failure(await add(tps, ALICE, BOB, "x" * 100))[0] == 400
    good = {"from": str(ALICE), "to": str(BOB), "type": "dmsg"}
    bodies: list[object] = [{}, good | {"more": 1}, good | {"from": "x"}, good | {"to": 7}, []]
    for bad in bodies:
        assert failure(await tps.ask("POST", "/add", json.dumps(bad).encode()))[0] == 400
    for text in (b"", b"\xff", b'{"from":"x","id":"y"}'):
        assert failure(await tps.ask("POST", "/remove", text))[0] == 400
    assert failure(await tps.ask("GET", "/xyz/transports"))[0] == 400
    assert (await tps.ask("GET", "/health")).status == 200


async def test_a_web_page_of_another_site_is_refused(tps: Served) -> None:
    body = json.dumps({"from": str(ALICE), "to": str(BOB), "type": "dmsg"}).encode()
    for method, path in (("POST", "/add"), ("POST", "/remove"), ("GET", f"/{ALICE}/transports")):
        answer = await tps.ask(method, path, body, {"Origin": "http://evil.example"})
        assert failure(answer)[0] == 403
    assert (await tps.ask("GET", f"/{ALICE}/transports")).body == b"[]\n"


CALLS: dict[str, tuple[GoType, GoType]] = {
    ADD: (TransportRequest, TransportResponse),
    REMOVE: (UUIDRequest, BoolResponse),
    LIST: (EMPTY, Slice(TransportResponse)),
}


def test_the_calls_of_a_recorded_session_are_ours() -> None:
    (session,) = vectors.load("routing/live_transport_setup")
    client, server = ClientSide(), ServerSide({name: types[0] for name, types in CALLS.items()})
    errors = []
    for side, text in session["stream"]:
        if side == "visor->setup":
            errors += [reply.error for reply in client.receive_data(bytes.fromhex(text))]
            continue
        server.receive_data(bytes.fromhex(text))
        call = server.next_call()
        assert call is not None
        argument_type, reply_type = CALLS[call.method]
        client.call(call.method, argument_type, call.argument, reply_type)
    assert errors == [
        "",
        "",
        "",
        "transport was not created by skycoin",
        "transport not found",
        "",
        "save transport: unknown network type",
    ]
