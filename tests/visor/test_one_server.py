"""A visor that uses one dmsg server and no other."""

from pathlib import Path

from skywire.crypto.generate import deterministic_key_pair
from skywire.dmsg.direct import StaticDirectory
from skywire.visor.one_server import OneServer
from skywire.visor.visor import Visor
from skywire.wire.entry import Entry
from tests.visor.network import network

A, B, C = (deterministic_key_pair(name)[0] for name in (b"a", b"b", b"c"))


async def test_one_server_is_offered_however_full_it_is() -> None:
    servers = [Entry.of_server(A, "127.0.0.1:1", 0, "all"), Entry.of_server(B, "x:1", 9, "all")]
    directory = OneServer(StaticDirectory(servers), A)
    assert [entry.static for entry in await directory.available_servers()] == [A]
    assert [entry.static for entry in await directory.all_servers()] == [A]
    assert (await directory.entry(B)).static == B
    assert await OneServer(StaticDirectory(servers), C).available_servers() == []


async def test_a_visor_stays_with_its_server(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await net.start_discovery()
        for _ in range(3):
            await net.start_server()
        file = net.config("a", dmsg={"discovery": net.discovery, "sessions_count": 3})
        wanted = net._servers[1].public
        node = await net.start(file, Visor(file, dmsg_server=wanted))
        assert node.visor.dmsg.sessions == (wanted,)
