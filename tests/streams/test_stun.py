"""`discover_nat` over UDP on loopback."""

import asyncio

import pytest

from skywire.errors import InvalidValue
from skywire.streams import stun
from skywire.streams.stun import discover_nat, parse_server
from skywire.streams.udp import open_udp
from skywire.testing.stun import stun_server
from skywire.wire.stun import Nat, NatType

PATIENCE = 10.0


async def test_on_loopback_there_is_no_nat() -> None:
    async with stun_server() as server, asyncio.timeout(PATIENCE):
        nat = await discover_nat([server.url])
        assert nat.type is NatType.NONE
        assert nat.public_ip == "127.0.0.1"


async def test_the_questions_may_go_out_from_a_shared_socket() -> None:
    async with stun_server() as server, asyncio.timeout(PATIENCE):
        server.mapped = ("203.0.113.9", 40000)
        sock = await open_udp("127.0.0.1")
        try:
            assert await discover_nat([server.url], sock) == Nat(
                NatType.FULL_CONE, ("203.0.113.9", 40000)
            )
            assert sock.on_other is None
        finally:
            await sock.close()


async def test_a_server_that_answers_nothing_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stun, "TIME_LIMIT", 0.2)
    async with stun_server() as server, stun_server() as silent, asyncio.timeout(PATIENCE):
        silent.silent = True
        servers = ["no-port:", silent.url, server.url]
        assert (await discover_nat(servers)).type is NatType.NONE
        assert silent.requests


async def test_without_a_server_the_test_failed() -> None:
    nat = await discover_nat([])
    assert (nat.type, nat.public_ip) == (NatType.ERROR, "Test failed")


@pytest.mark.parametrize(
    "text", ["", ":3478", "host:", "host:0", "host:65536", "host:x", "host:" + "1" * 5000]
)
def test_bad_servers_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_server(text)


def test_a_server_without_port_has_the_usual_one() -> None:
    assert parse_server("stun.example.org") == ("stun.example.org", 3478)
    assert parse_server("192.0.2.1:3479") == ("192.0.2.1", 3479)
