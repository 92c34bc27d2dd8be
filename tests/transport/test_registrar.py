"""The transport discovery kept in step; its client and the service discovery's against answers."""

import asyncio
from uuid import UUID

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import (
    Conflict,
    Forbidden,
    InvalidValue,
    NotFound,
    NotSupported,
    RemoteProtocolError,
    Unavailable,
)
from skywire.testing.wait import eventually
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.service_directory import ServiceDirectory
from skywire.wire import transport
from skywire.wire.service import VISOR, Service
from skywire.wire.transport import STCP, Entry, SignedEntry
from tests.transport.kit import Net, Node, net, other_end

A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")


async def linked(made: Net) -> tuple[Node, Node, UUID]:
    """Dialler, acceptor, id."""
    first, second = await made.pair()
    link = await first.manager.save(second.pk, STCP)
    await other_end(second, link)
    return first, second, link.id


async def test_what_has_expired_is_registered_again_by_the_acceptor_only() -> None:
    async with net() as made:
        dialler, acceptor, id = await linked(made)
        made.discovery.entries.clear()
        await dialler.manager._registrar.check()
        assert not made.discovery.entries
        await acceptor.manager._registrar.check()
        transport.verify(made.discovery.entries[id])


async def test_what_is_there_is_renewed_until_the_discovery_does_not_know_how() -> None:
    async with net() as made:
        _, acceptor, _ = await linked(made)
        registrar = acceptor.manager._registrar
        await registrar.check()
        await registrar.check()
        assert made.discovery.registrations == 3
        made.discovery.renews = False
        await registrar.check()
        await registrar.check()
        assert made.discovery.registrations == 4


async def test_what_is_listed_without_being_there_is_deleted() -> None:
    async with net() as made:
        dialler, _, id = await linked(made)
        stale = transport.sign(Entry.of(A, B, STCP), A_SECRET)
        stale = transport.sign(stale, B_SECRET)
        ghost = Entry.of(dialler.pk, A, STCP)
        made.discovery.entries[stale.entry.id] = stale
        made.discovery.entries[ghost.id] = SignedEntry(ghost)
        await dialler.manager._registrar.check()
        await eventually(lambda: ghost.id not in made.discovery.entries)
        assert set(made.discovery.entries) == {id, stale.entry.id}


async def test_a_transport_that_is_back_is_not_deleted_by_an_old_try() -> None:
    async with net() as made:
        dialler, acceptor, id = await linked(made)
        made.discovery.away = True
        dialler.manager.links[id].end("cut")
        await eventually(lambda: not acceptor.manager.links and not dialler.manager.links)
        await asyncio.sleep(0.05)
        made.discovery.away = False
        assert id in made.discovery.entries
        link = await dialler.manager.save(acceptor.pk, STCP)
        await asyncio.sleep(1.3)  # past the second try of the deletes
        assert link.is_up
        assert id in made.discovery.entries


class Fixed:
    """One answer to everything; notes what was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = (status, body)
        self.asked: list[tuple[str, str, bytes]] = []

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self.asked.append((method, path, body))
        return self._answer

    plain = request


ENTRY = Entry.of(A, B, STCP)
SIGNED = transport.sign(transport.sign(ENTRY, A_SECRET), B_SECRET)


async def test_the_discovery_is_asked_as_go_asks() -> None:
    session = Fixed(201, b"")
    await TransportDiscoveryClient(session).register([SIGNED])
    assert session.asked == [("POST", "/transports/", b"[" + SIGNED.encode() + b"]\n")]
    session = Fixed(200, ENTRY.encode() + b"\n")
    assert await TransportDiscoveryClient(session).entry(ENTRY.id) == ENTRY
    session = Fixed(200, b"[" + ENTRY.encode() + b"]\n")
    assert await TransportDiscoveryClient(session).of_edge(A) == [ENTRY]
    for nothing in (Fixed(200, b"null\n"), Fixed(404, b'{"error":"none"}')):
        assert await TransportDiscoveryClient(nothing).of_edge(A) == []
    session = Fixed(200, b"transport deleted")
    await TransportDiscoveryClient(session).delete(ENTRY.id)
    assert session.asked == [("DELETE", f"/transports/id:{ENTRY.id}", b"")]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (409, b'{"error":"exists"}', Conflict),
        (500, b'{"error":"violates unique constraint \\"x\\""}', NotSupported),
        (500, b"\xff", Unavailable),
        (404, b"", NotFound),
        (400, b'{"error":"transport ID is invalid"}', InvalidValue),
        (401, b'{"error":{"message":"SW-Nonce does not match","code":401}}', Unavailable),
    ],
)
async def test_the_discovery_s_refusals(status: int, body: bytes, error: type[Exception]) -> None:
    client = TransportDiscoveryClient(Fixed(status, body))
    with pytest.raises(error):
        await client.register([SIGNED])
    with pytest.raises(error):
        await client.delete(ENTRY.id)
    with pytest.raises(RemoteProtocolError):
        await TransportDiscoveryClient(Fixed(200, b"junk")).entry(ENTRY.id)


async def test_public_visors_are_read_and_bad_records_left_out() -> None:
    listed = f'[{{"address":"{A}:7","type":"visor","new":1}},{{"address":"x"}},{{"address":"{B}"}}]'
    session = Fixed(200, listed.encode())
    directory = ServiceDirectory(session)
    assert await directory.public_visors(3) == [A, B]
    assert session.asked[0][1] == "/api/services?type=visor&quantity=3"
    assert await ServiceDirectory(Fixed(200, b"null\n")).find(VISOR) == []
    with pytest.raises(RemoteProtocolError):
        await ServiceDirectory(Fixed(200, b"{}")).find(VISOR)
    with pytest.raises(Unavailable):
        await ServiceDirectory(Fixed(500, b"")).find(VISOR)


async def test_a_service_is_registered_and_withdrawn() -> None:
    session, service = Fixed(200, b"{}"), Service(f"{A}:5", VISOR, version="v1")
    directory = ServiceDirectory(session)
    await directory.register(service)
    await directory.withdraw(service)
    assert session.asked == [
        (
            "POST",
            "/api/services",
            f'{{"address":"{A}:5","type":"visor","version":"v1"}}\n'.encode(),
        ),
        ("DELETE", f"/api/services/{A}:5?type=visor", b""),
    ]
    with pytest.raises(Forbidden, match="not reachable"):
        await ServiceDirectory(Fixed(403, b'{"error":"Forbidden: not reachable"}')).register(
            service
        )
