"""Signed requests: the recorded headers, the rules of the nonce, each refusal's text."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientSession, web

from skywire.crypto import curve
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, Signature
from skywire.errors import InvalidValue, RemoteProtocolError, Unavailable
from skywire.http import auth
from skywire.http.app import listen, running
from skywire.testing import vectors

ALICE, ALICE_SK, _ = deterministic_key_pair(b"alice")
BOB, BOB_SK, _ = deterministic_key_pair(b"bob")
CASES = vectors.load("routing/http_auth")
SIGNED = [case for case in CASES if "nonce" in case]
(MONITOR,) = (case for case in CASES if "nonce" not in case)


class Nonces:
    """Counters in memory."""

    def __init__(self) -> None:
        self.next: dict[PubKey, int] = {}

    async def next_nonce(self, key: PubKey) -> int:
        await asyncio.sleep(0)
        return self.next.get(key, 0)

    async def advance(self, key: PubKey) -> None:
        await asyncio.sleep(0)
        self.next[key] = self.next.get(key, 0) + 1


class Service:
    """Answers each signed request with the status its path names."""

    def __init__(self, url: str, nonces: Nonces, session: ClientSession) -> None:
        self.url = url
        self.nonces = nonces
        self._session = session
        self.asked: list[tuple[str, PubKey, bytes]] = []
        self.busy = 0
        self.busiest = 0

    async def answer(self, request: web.Request, caller: PubKey) -> web.Response:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        self.asked.append((request.method, caller, await request.read()))
        status = request.match_info["status"]
        if status == "unsaid":
            return auth.Unsaid()
        return web.Response(status=int(status), text="done")

    async def ask(self, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, str]:
        url = f"{self.url}/200"
        async with self._session.post(url, data=body or None, headers=headers) as response:
            if response.status != 401:
                return response.status, await response.text()
            assert response.content_type == "application/json"
            text = await response.text()
            assert text.endswith("}\n")
            error = json.loads(text)["error"]
            assert error["code"] == 401
            return 401, error["message"]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    nonces = Nonces()
    made: Service

    async def answer(request: web.Request, caller: PubKey) -> web.Response:
        return await made.answer(request, caller)

    checks = auth.Authentication(nonces)
    app = web.Application()
    app.add_routes([web.route("*", "/{status}", checks.signed(answer)), checks.route()])
    async with running(app) as runner, ClientSession() as session:
        port = await listen(runner, "127.0.0.1", 0, what="service")
        made = Service(f"http://127.0.0.1:{port}", nonces, session)
        yield made


@pytest.mark.parametrize("case", SIGNED, ids=lambda case: case["nonce"])
async def test_recorded_headers_are_accepted_once(service: Service, case: dict[str, Any]) -> None:
    body, nonce = bytes.fromhex(case["body"]), int(case["nonce"])
    assert auth.signed_payload(body, nonce).hex() == case["signed_payload"]
    service.nonces.next[PubKey.parse(case["headers"]["SW-Public"])] = nonce
    assert await service.ask(case["headers"], body) == (200, "done")
    assert await service.ask(case["headers"], body) == (401, "SW-Nonce does not match")


def test_the_recorded_monitor_may_deregister_when_listed() -> None:
    headers = MONITOR["headers"]
    key = PubKey.parse(headers["NM-PK"])
    assert str(key).encode().hex() == MONITOR["signed_payload"]
    assert auth.check_monitor(headers, frozenset([key])) == key
    assert auth.check_monitor(headers, frozenset([ALICE])) is None
    assert auth.check_monitor({}, frozenset([key])) is None
    forged = {"NM-PK": str(key), "NM-Sign": curve.sign(str(key).encode(), ALICE_SK).hex()}
    assert auth.check_monitor(forged, frozenset([key])) is None
    with pytest.raises(InvalidValue):
        auth.check_monitor({"NM-PK": str(key), "NM-Sign": "x"}, frozenset([key]))


def test_our_headers_verify() -> None:
    headers = auth.signed_headers(ALICE, ALICE_SK, 7, b"body")
    curve.verify(ALICE, b"body7", Signature.parse(headers["SW-Sig"]))
    mine = auth.monitor_headers(ALICE, ALICE_SK)
    assert auth.check_monitor(mine, frozenset([ALICE])) == ALICE


async def test_each_flaw_has_its_text(service: Service) -> None:
    good = auth.signed_headers(ALICE, ALICE_SK, 0, b"")
    for change, text in (
        ({"SW-Public": ""}, "SW-Public missing"),
        ({"SW-Public": "0" * 66}, "error parsing SW-Public: "),
        ({"SW-Public": "zz"}, "error parsing SW-Public: "),
        ({"SW-Sig": ""}, "SW-Sig missing"),
        ({"SW-Sig": "zz"}, "error parsing SW-Sig:'zz': "),
        ({"SW-Nonce": ""}, "SW-Nonce missing"),
        ({"SW-Nonce": "x"}, "error parsing SW-Nonce: invalid syntax"),
        ({"SW-Nonce": "-1"}, "error parsing SW-Nonce: invalid syntax"),
        ({"SW-Nonce": "9" * 20}, "error parsing SW-Nonce: value out of range"),
        ({"SW-Nonce": "1"}, "SW-Nonce does not match"),
        ({"SW-Public": str(BOB)}, "Recovered pubkey does not match pubkey"),
        ({"SW-Public": "", "SW-Sig": "", "SW-Nonce": ""}, "SW-Public missing"),
    ):
        status, message = await service.ask({**good, **change})
        assert status == 401
        assert message.startswith(text)
    assert service.asked == []
    status, message = await service.ask(good, b"another body")
    assert (status, message) == (401, "Recovered pubkey does not match pubkey")


async def test_the_nonce_advances_on_200_and_on_nothing_else(service: Service) -> None:
    async with auth.SignedSession(service.url, ALICE, ALICE_SK) as session:
        for path, nonce in (
            ("/201", 0),
            ("/404", 0),
            ("/500", 0),
            ("/unsaid", 0),
            ("/200", 1),
            ("/200", 2),
            ("/unsaid", 2),
            ("/200", 3),
        ):
            status, _ = await session.request("POST", path, b"{}")
            assert status == int(path[1:]) if path != "/unsaid" else 200
            assert service.nonces.next.get(ALICE, 0) == nonce


async def test_a_wrong_nonce_is_asked_for_again_once(service: Service) -> None:
    async with auth.SignedSession(service.url, ALICE, ALICE_SK) as session:
        await session.request("GET", "/200")
        service.nonces.next[ALICE] = 40
        assert await session.request("GET", "/200") == (200, b"done")
        assert service.nonces.next[ALICE] == 41
    wrong = auth.SignedSession(service.url, ALICE, BOB_SK)
    async with wrong:  # whose signatures never hold
        status, body = await wrong.request("GET", "/200")
        assert status == 401
        assert b"Recovered pubkey" in body


async def test_a_401_of_the_handler_is_not_tried_again(service: Service) -> None:
    async with auth.SignedSession(service.url, ALICE, ALICE_SK) as session:
        assert await session.request("GET", "/401") == (401, b"done")
    assert len(service.asked) == 1


async def test_requests_of_one_session_take_turns(service: Service) -> None:
    async with auth.SignedSession(service.url, ALICE, ALICE_SK) as session:
        answers = await asyncio.gather(*(session.request("GET", "/200") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert service.nonces.next[ALICE] == 20


async def test_one_nonce_passes_once_however_many_try(service: Service) -> None:
    headers = auth.signed_headers(ALICE, ALICE_SK, 0, b"")
    answers = await asyncio.gather(*(service.ask(headers) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 9
    assert service.busiest == 1


async def test_the_nonce_of_a_key_is_told(service: Service) -> None:
    async with ClientSession() as session:
        async with session.get(f"{service.url}/security/nonces/{ALICE}") as response:
            assert response.status == 200
            expected = f'{{"edge":"{ALICE}","next_nonce":0}}\n'
            assert (await response.text(), response.content_type) == (expected, "application/json")
        for bad in ("x", "0" * 66):
            async with session.get(f"{service.url}/security/nonces/{bad}") as response:
                assert response.status == 400
                assert (await response.json())["error"]["code"] == 400


async def test_a_service_that_tells_no_nonce_is_named() -> None:
    async def nothing(_: web.Request) -> web.Response:
        return web.Response(text='{"edge":"","next_nonce":-1}')

    app = web.Application()
    app.add_routes([web.get("/security/nonces/{pk}", nothing)])
    async with running(app) as runner:
        port = await listen(runner, "127.0.0.1", 0, what="service")
        async with auth.SignedSession(f"http://127.0.0.1:{port}", ALICE, ALICE_SK) as session:
            with pytest.raises(RemoteProtocolError, match="expected a nonce"):
                await session.request("GET", "/200")
    async with auth.SignedSession(f"http://127.0.0.1:{port}", ALICE, ALICE_SK) as session:
        with pytest.raises(Unavailable, match=str(port)):
            await session.request("GET", "/200")


async def test_a_silent_service_is_given_up(service: Service) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with auth.SignedSession(url, ALICE, ALICE_SK, timeout=0.05) as session:
            with pytest.raises(Unavailable, match="no answer within"):
                await session.request("GET", "/200")


async def test_turns_leave_nothing_behind() -> None:
    turns = auth.Turns()
    async with turns.of(ALICE), turns.of(BOB):
        assert len(turns) == 2
    assert len(turns) == 0
