"""What is particular to our discovery and server, seen from Go clients and servers."""

import asyncio
import signal
import time

import pytest

from skywire.crypto.generate import key_pair
from skywire.dmsg import control
from skywire.dmsg.discovery import DiscoveryClient, update_entry
from skywire.http.app import listen, running
from skywire.ports import DMSG_CONTROL
from skywire.services import dmsg_discovery
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.open import open_discovery
from skywire.streams.supervise import Tasks
from skywire.wire.entry import Entry
from tests.interop.go import Go, Visor, servers
from tests.interop.ours import SOON, Network, Ours, client
from tests.interop.processes import LOOPBACK, free_port, get_json, wait_for
from tests.interop.proxy import SOURCE, proxy_front
from tests.interop.test_go_services import UPDATE, server_type

AT_ONCE = 3.0  # seconds; the start of the Go program is most of it


async def failing_curl(go: Go, discovery: str, url: str) -> str:
    """What Go's curl says. It must not take its 20 s."""
    begin = time.monotonic()
    got = await asyncio.to_thread(go.curl, discovery, url)
    took = time.monotonic() - begin
    print(f"failed within {took:.2f} s: {url}")
    assert got.returncode == 1
    assert took < AT_ONCE
    return got.stdout.decode()


async def test_go_is_told_of_an_unknown_key_at_once(go: Go, our_net: Network) -> None:
    said = await failing_curl(go, our_net.discovery, f"dmsg://{key_pair()[0]}:80/")
    assert "dmsg error 100 - entry is not found in discovery" in said


async def test_go_is_told_of_a_key_without_session_at_once(go: Go, our_net: Network) -> None:
    """The answer is ours, where Go expects the signature of the key it dialled."""
    nobody, secret = key_pair()
    async with DiscoveryClient(our_net.discovery) as directory:
        await update_entry(directory, secret, lambda _: Entry.of_client(nobody, (our_net.server,)))
    said = await failing_curl(go, our_net.discovery, f"dmsg://{nobody}:80/")
    assert "dmsg error 350 - response has invalid signature" in said


async def test_go_is_told_of_a_missing_listener_at_once(go: Go, our_net: Network) -> None:
    async with client(our_net.discovery) as made:
        said = await failing_curl(go, our_net.discovery, f"dmsg://{made.public}:80/")
    assert "dmsg error 306 - request has no associated listener" in said


def test_go_refuses_a_loopback_address_from_our_server(go: Go, our_net: Network) -> None:
    """It has understood the answer: only what it says does not please."""
    got = go.ip(our_net.discovery)
    assert b"received non-public IP address from dmsg server" in got.stdout + got.stderr


async def test_go_asks_our_server_for_its_address(go: Go, ours: Ours) -> None:
    discovery = await asyncio.to_thread(ours.discovery)
    async with proxy_front() as front:
        front.target = free_port()
        config = {
            "public_address": f"{LOOPBACK}:{front.port}",
            "local_address": f"{LOOPBACK}:{front.target}",
            "proxied": True,
        }
        public, _ = await asyncio.to_thread(lambda: ours.server(discovery, **config))
        for more in ((), ("-d", str(public))):
            got = await asyncio.to_thread(go.ip, discovery, *more)
            assert got.stdout.split() == [SOURCE.encode()], got


@pytest.mark.parametrize("whose", ["go", "ours"])
def test_a_go_server_is_official_first_then_community(go: Go, ours: Ours, whose: str) -> None:
    """Trap 12 of dmsg. Its withdrawal fails: it signs what the discovery has changed since."""
    discovery = ours.discovery() if whose == "ours" else go.discovery(go.redis())
    public, program = go.server(discovery, update_interval=UPDATE)
    assert server_type(discovery, public) == "official"
    wait_for(lambda: server_type(discovery, public) == "community", "the second post", SOON)
    program.stop()
    assert 'resp_body="invalid signature" resp_status=401' in program.output
    assert public in servers(discovery)


async def test_a_go_visor_lives_on_our_discovery_over_dmsg(
    go: Go, ours: Ours, services: str
) -> None:
    """It has two sessions of one key with our server: one for the discovery, one for the rest.

    At its end it withdraws its entry, the same way.
    """
    public, secret = key_pair()
    discovery = await asyncio.to_thread(ours.discovery, "", "--sk", secret.hex())
    server, program = await asyncio.to_thread(ours.server, discovery)
    dmsg = {"discovery": f"dmsg://{public}:80", "servers": [servers(discovery)[server]]}
    visor = await asyncio.to_thread(lambda: Visor(go, discovery, services, dmsg=dmsg))
    assert program.output.count(f"session up remote={visor.public}") >= 2
    async with client(discovery) as made:
        for _ in range(3):
            async with asyncio.timeout(AT_ONCE):
                stream = await made.dial(visor.public, DMSG_CONTROL)
                assert 0 < await control.ping(stream) < AT_ONCE
                await stream.close()
    visor.program.stop()
    assert get_json(f"{discovery}/dmsg-discovery/entry/{visor.public}") is None


async def test_a_dead_go_server_expires(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays as long as it posts."""
    monkeypatch.setattr(dmsg_discovery, "SERVER_LIFETIME", 5.0)
    store = await open_discovery("sqlite::memory:")
    discovery = DmsgDiscovery(store, Settings(test_mode=True))
    tasks = Tasks("sweep")
    async with running(discovery.app()) as runner:
        url = f"http://{LOOPBACK}:{await listen(runner, LOOPBACK, 0, what='discovery')}"
        tasks.spawn(discovery.run(), "sweep")
        public, program = await asyncio.to_thread(lambda: go.server(url, update_interval=UPDATE))
        async with asyncio.timeout(SOON), DiscoveryClient(url) as directory:
            await asyncio.sleep(6)  # more than its lifetime: only posts keep it
            assert [entry.static for entry in await directory.all_servers()] == [public]
            program.signal(signal.SIGKILL)
            while await directory.all_servers():  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.1)
    await tasks.close()
    await store.close()
