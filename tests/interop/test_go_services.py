"""What is particular to Go's discovery and server, seen from our clients."""

import asyncio
import json
from pathlib import Path

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DIAL_TIMEOUT, DmsgClient
from skywire.dmsg.direct import StaticDirectory, delegate_to_all
from skywire.dmsg.discovery import DiscoveryClient, update_entry
from skywire.errors import DialFailed, NotFound
from skywire.http.over_stream import DmsgConnector
from skywire.wire.entry import Entry, parse
from skywire.wire.yamux import PING_INTERVAL as KEEPALIVE
from tests.interop.go import Go, servers
from tests.interop.ours import SOON, Network, Ours, answers, client, clients, echo
from tests.interop.processes import LOOPBACK, free_port, run_ours, wait_for
from tests.interop.proxy import SOURCE, proxy_front

UPDATE = 2_000_000_000  # ns between two posts of a server's entry


async def test_our_address_as_a_go_server_sees_it(
    go_net: Network, go: Go, env: dict[str, str]
) -> None:
    async with client(go_net.discovery) as made:
        assert await made.look_up_ip() == LOOPBACK
        assert await made.look_up_ip(go_net.server) == LOOPBACK
    command = ("dmsg", "ip", "--dmsg-disc", go_net.discovery)
    got = await asyncio.to_thread(run_ours, *command, env=env)
    assert (got.returncode, got.stdout) == (0, f"{LOOPBACK}\n"), got


async def test_a_go_server_believes_any_proxy_header(go: Go) -> None:
    """Trap 16 of dmsg: our server does only where a proxy is configured."""
    discovery = await asyncio.to_thread(lambda: go.discovery(go.redis()))
    async with proxy_front() as front:
        front.target = free_port()
        address = {
            "public_address": f"{LOOPBACK}:{front.port}",
            "local_address": f"{LOOPBACK}:{front.target}",
        }
        await asyncio.to_thread(lambda: go.server(discovery, **address))
        async with client(discovery) as made:
            assert await made.look_up_ip() == SOURCE
        got = await asyncio.to_thread(go.ip, discovery)
        assert got.stdout.split() == [SOURCE.encode()]


@pytest.mark.slow
async def test_a_dial_that_a_go_server_never_answers_ends_with_a_clear_error(
    go_net: Network, go: Go
) -> None:
    """No listener at ours, none at a Go client, no session at all: the server says nothing."""
    nobody, secret = key_pair()
    async with (
        DiscoveryClient(go_net.discovery) as directory,
        clients(go_net.discovery, 2) as (one, two),
        echo(one),
    ):
        await update_entry(directory, secret, lambda _: Entry.of_client(nobody, (go_net.server,)))
        clock = asyncio.get_running_loop().time
        begin = clock()
        targets = [(one.public, 999), (nobody, 80)]
        async with asyncio.timeout(DIAL_TIMEOUT + 10):
            errors = await asyncio.gather(*(refusal(two, *target) for target in targets))
        assert clock() - begin < DIAL_TIMEOUT + 5
        for (pk, port), error in zip(targets, errors, strict=True):
            assert error.startswith(f"cannot reach {pk}:{port} through its 1 server(s): ")
            assert error.endswith(f"no answer within {DIAL_TIMEOUT:g} s")
        assert one.sessions == two.sessions == (go_net.server,)
        assert await answers(two, one.public, b"still") == b"still"


async def refusal(dialling: DmsgClient, pk: PubKey, port: int) -> str:
    with pytest.raises(DialFailed) as caught:
        await dialling.dial(pk, port)
    return str(caught.value)


async def test_an_unknown_key_is_told_at_once(go_net: Network) -> None:
    async with client(go_net.discovery) as made:
        with pytest.raises(NotFound, match="dmsg error 100 - entry is not found in discovery"):
            async with asyncio.timeout(3):
                await made.dial(key_pair()[0], 80)


def test_our_server_registers_and_withdraws_at_a_go_discovery(go: Go, ours: Ours) -> None:
    """It posts no type, each time: without passphrase that is an official server."""
    discovery = go.discovery(go.redis())
    public, program = ours.server(discovery, update_interval=UPDATE)
    wait_for(lambda: servers(discovery)[public]["sequence"] >= 2, "the third post", SOON)
    assert server_type(discovery, public) == "official"
    assert servers(discovery)[public]["server"]["availableSessions"] == 2048
    assert program.stop() == 0
    assert public not in servers(discovery)


async def test_a_go_discovery_answers_over_dmsg(go: Go) -> None:
    """Our direct client knows a server and guesses that the discovery is there as well."""
    redis, address = await asyncio.to_thread(go.redis), f"{LOOPBACK}:{free_port()}"
    url = f"http://{address}"
    public, secret = key_pair()

    def restart_with_a_key() -> Entry:  # without a server it would sleep for a minute
        first = go.start_discovery(redis, address)
        server, _ = go.server(url)
        entry = parse(json.dumps(servers(url)[server]).encode())
        first.stop()
        go.start_discovery(redis, address, "--sk", secret.hex())
        return entry

    server = await asyncio.to_thread(restart_with_a_key)
    ours, our_secret = key_pair()
    direct = StaticDirectory(delegate_to_all([public, ours], [server]))
    async with DmsgClient(ours, our_secret, direct) as dialling:
        connector = DmsgConnector(dialling.dial)
        async with (
            asyncio.timeout(SOON),
            DiscoveryClient(f"dmsg://{public}:80", connector=connector) as over_dmsg,
            DiscoveryClient(url) as over_tcp,
        ):
            listed = await over_dmsg.all_servers()
            assert [entry.static for entry in listed] == [server.static]
            made, made_secret = key_pair()
            await update_entry(over_dmsg, made_secret, lambda _: Entry.of_client(made, ()))
            assert (await over_tcp.entry(made)).static == made


@pytest.mark.slow
async def test_idle_sessions_live_on(go: Go, go_net: Network, our_net: Network, www: Path) -> None:
    """Keepalives: of our client and a Go server, and of a Go client and our server."""
    files = await asyncio.to_thread(go.http, our_net.discovery, www)
    async with clients(go_net.discovery, 2) as (one, two), echo(one):
        assert one.sessions == (go_net.server,)
        await asyncio.sleep(KEEPALIVE + 2)
        assert one.sessions == two.sessions == (go_net.server,)
        assert 0 < (one.round_trip(go_net.server) or 0) < 5
        assert await answers(two, one.public, b"still") == b"still"
    got = await asyncio.to_thread(go.curl, our_net.discovery, f"dmsg://{files}:80/a.txt")
    assert got.stdout == b"hello dmsg\n\n"


def server_type(discovery: str, public: PubKey) -> str:
    return str(servers(discovery)[public]["server"]["serverType"])
