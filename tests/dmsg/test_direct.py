import msgspec

from skywire.crypto.generate import deterministic_key_pair
from skywire.dmsg.direct import StaticDirectory, delegate_to_all
from skywire.dmsg.discovery import Directory
from skywire.wire.entry import Entry

PK, SK, _ = deterministic_key_pair(b"own")
SERVICE, _, _ = deterministic_key_pair(b"service")
SERVERS = [
    Entry.of_server(deterministic_key_pair(b"server %d" % number)[0], "192.0.2.1:80", 1)
    for number in range(3)
]


def directory() -> Directory:
    return StaticDirectory(delegate_to_all([PK, SERVICE], SERVERS))


async def test_every_key_is_delegated_to_every_server() -> None:
    for key in (PK, SERVICE):
        entry = await directory().entry(key)
        assert entry.client
        assert entry.client.delegated_servers == tuple(server.static for server in SERVERS)


async def test_servers_are_listed_whole() -> None:
    by_key = {entry.static: entry for entry in await directory().all_servers()}
    assert by_key == {entry.static: entry for entry in SERVERS}
    assert len(await directory().available_servers()) == 3
    assert await StaticDirectory().available_servers() == []


async def test_an_unknown_key_has_an_entry_with_nothing_in_it() -> None:
    stranger, _, _ = deterministic_key_pair(b"stranger")
    entry = await directory().entry(stranger)
    assert entry.static == stranger
    assert entry.client is None
    assert entry.server is None


async def test_posting_and_deleting_stay_in_memory() -> None:
    one, other = directory(), directory()
    posted = msgspec.structs.replace(await one.entry(PK), sequence=1)
    await one.post(posted)
    assert await one.entry(PK) == posted
    assert await other.entry(PK) != posted
    await one.delete(posted)
    await one.delete(posted)
    assert (await one.entry(PK)).client is None
