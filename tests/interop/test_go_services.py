"""What is particular to Go's discovery and server, seen from our clients."""

import asyncio

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DIAL_TIMEOUT, DmsgClient
from skywire.dmsg.discovery import DiscoveryClient, update_entry
from skywire.errors import DialFailed, NotFound
from skywire.wire.entry import Entry
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


def server_type(discovery: str, public: PubKey) -> str:
    return str(servers(discovery)[public]["server"]["serverType"])
