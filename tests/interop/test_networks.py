"""What works on every network of Go's and our services, with Go's and our clients."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from aiohttp import web

from skywire.crypto.generate import key_pair
from skywire.http.client import dmsg_session
from skywire.http.over_stream import remote_pk, serve_http
from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from tests.interop.go import Go
from tests.interop.ours import (
    SOON,
    Network,
    Ours,
    answers,
    client,
    clients,
    echo,
    read_exactly,
)
from tests.interop.processes import run_ours

BULK = 64 << 20  # bytes
BULK_LIMIT = 50.0  # seconds; 2 s on a quiet machine
SESSIONS = 30
BLOCK = 1 << 18  # bytes of one write


async def test_two_of_our_clients_talk(net: Network) -> None:
    async with clients(net.discovery, 2) as (one, two), echo(one), echo(two):
        assert one.sessions == two.sessions == (net.server,)
        assert await answers(one, two.public, b"to two") == b"to two"
        data = os.urandom(300_000)
        assert await answers(two, one.public, data) == data
        listener = two.listen(80)
        async with asyncio.timeout(SOON):
            stream = await one.dial(two.public, 80)
            accepted = await listener.accept()
            assert accepted.remote.pk == one.public
            await accepted.close()
            assert await stream.read() == b""
        await stream.close()
        await listener.close()


async def test_64_mb_arrive_intact(net: Network) -> None:
    block = os.urandom(BLOCK)
    async with clients(net.discovery, 2) as (one, two):
        listener = two.listen(80)
        async with asyncio.timeout(SOON):
            sender = await one.dial(two.public, 80)
            receiver = await listener.accept()

        async def send() -> None:
            for _ in range(BULK // BLOCK):
                await sender.write(block)

        async with asyncio.timeout(BULK_LIMIT), asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            for number in range(BULK // BLOCK):
                assert await read_exactly(receiver, BLOCK) == block, f"block {number}"
        await sender.close()
        assert await receiver.read() == b""
        await receiver.close()
        await listener.close()


def test_go_curl_fetches_from_go_http(go: Go, net: Network, www: Path, tmp_path: Path) -> None:
    check_go_curl(go, net, f"dmsg://{go.http(net.discovery, www)}:80", www, tmp_path)


def test_go_curl_fetches_from_our_http(
    go: Go, ours: Ours, net: Network, www: Path, tmp_path: Path
) -> None:
    check_go_curl(go, net, f"dmsg://{ours.http(net.discovery, www)}:80", www, tmp_path)


def check_go_curl(go: Go, net: Network, url: str, www: Path, tmp_path: Path) -> None:
    got = go.curl(net.discovery, f"{url}/a.txt")
    assert (got.returncode, got.stdout) == (0, b"hello dmsg\n\n")
    file = tmp_path / "big"
    got = go.curl(net.discovery, "-r", "-o", str(file), f"{url}/big.bin")
    assert got.returncode == 0, got
    assert digest(file) == digest(www / "big.bin")
    got = go.curl(net.discovery, f"{url}/none")
    assert got.returncode == 0  # to Go any answer is a success
    assert b"not found" in got.stdout.lower()


def test_our_curl_fetches_from_go_http(
    go: Go, net: Network, www: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    url = f"dmsg://{go.http(net.discovery, www)}:80"
    disc = ("--dmsg-disc", net.discovery)
    got = run_ours("dmsg", "curl", *disc, f"{url}/a.txt", env=env)
    assert (got.returncode, got.stdout) == (0, "hello dmsg\n"), got
    file = tmp_path / "big"
    got = run_ours("dmsg", "curl", *disc, "-o", str(file), f"{url}/big.bin", env=env)
    assert got.returncode == 0, got
    assert digest(file) == digest(www / "big.bin")
    got = run_ours("dmsg", "curl", *disc, f"{url}/none", env=env)
    assert got.returncode == 1
    assert "404 Not Found" in got.stderr


async def test_go_curl_is_known_by_its_key(go: Go, net: Network) -> None:
    """Our HTTP server sees the key of who asks, and the request as it was made."""
    public, secret = key_pair()
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers["Host"], remote_pk(request)))
        return web.Response(text=f"{request.method} {await request.text()}")

    app = web.Application()
    app.router.add_route("*", "/form", handle)
    async with client(net.discovery) as listening:
        listener, tasks = listening.listen(8080), Tasks("http")
        tasks.spawn(serve_http(app, listener), "serve")
        host = f"{listening.public}:8080"
        command = ("-s", secret.hex(), "-d", "some data", f"dmsg://{host}/form")
        got = await asyncio.to_thread(go.curl, net.discovery, *command)
        assert (got.returncode, got.stdout) == (0, b"POST some data\n\n"), got
        assert seen == [("POST", host, public)]
        await listener.close()
        await tasks.close()


async def test_our_library_fetches_from_go_http_on_many_streams(
    go: Go, net: Network, www: Path
) -> None:
    files = await asyncio.to_thread(go.http, net.discovery, www)
    whole = (www / "big.bin").read_bytes()
    async with client(net.discovery) as dialling, dmsg_session(dialling.dial) as http:

        async def fetch() -> None:
            async with http.get(f"dmsg://{files}/big.bin") as response:
                assert response.status == 200
                assert await response.read() == whole

        async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(fetch())
        async with http.get(f"dmsg://{files}:80/a.txt") as response:  # on a stream that was kept
            assert await response.text() == "hello dmsg\n"


def test_go_http_refuses_who_is_not_in_its_whitelist(go: Go, net: Network, www: Path) -> None:
    public, secret = key_pair()
    url = f"dmsg://{go.http(net.discovery, www, '-w', str(public))}:80/a.txt"
    assert go.curl(net.discovery, "-s", secret.hex(), url).stdout == b"hello dmsg\n\n"
    assert b"hello" not in go.curl(net.discovery, url).stdout


def test_our_http_refuses_who_is_not_in_its_whitelist(
    go: Go, ours: Ours, net: Network, www: Path
) -> None:
    public, secret = key_pair()
    url = f"dmsg://{ours.http(net.discovery, www, '-w', str(public))}:80/a.txt"
    assert go.curl(net.discovery, "-s", secret.hex(), url).stdout == b"hello dmsg\n\n"
    assert b"hello" not in go.curl(net.discovery, url).stdout


async def test_a_client_comes_back_with_the_same_key(net: Network) -> None:
    keys = key_pair()
    async with client(net.discovery) as other:
        for text in (b"one", b"two", b"three"):
            async with client(net.discovery, keys) as made, echo(made):
                assert await answers(other, made.public, text) == text


async def test_a_client_whose_connection_breaks_comes_back(net: Network) -> None:
    async with clients(net.discovery, 2) as (one, two), echo(one):
        assert await answers(two, one.public, b"before") == b"before"
        one.drop_sessions()
        assert one.sessions == ()
        await eventually(lambda: one.sessions)
        assert await answers(two, one.public, b"after") == b"after"


async def test_a_pause_before_the_first_byte_never_loses_a_session(
    net: Network, caplog: pytest.LogCaptureFixture
) -> None:
    """A Go server drops a session whose first bytes come with the last one of the handshake."""
    caplog.set_level("INFO")
    async with client(net.discovery) as other:
        for number in range(SESSIONS):
            async with client(net.discovery) as made, echo(made):
                assert await answers(other, made.public, b"x") == b"x", f"session {number}"
    lost = [line for line in caplog.messages if "session down" in line]
    assert all("reason=client is closing" in line for line in lost), lost


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
