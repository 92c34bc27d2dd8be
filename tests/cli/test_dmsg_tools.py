"""`skywire dmsg http|curl|ip|ping|socks|web` over a real discovery, server and clients.

Commands with an end run as processes; services run here, as their coroutine.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import click
import pytest
from aiohttp import web
from click.testing import CliRunner

from skywire.cli import dmsg_http, dmsg_net, dmsg_web
from skywire.cli.dmsg_curl import curl
from skywire.cli.dmsg_options import Identity
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.control import serve_control
from skywire.errors import Refused, Unavailable
from skywire.http.app import listen, running
from skywire.http.client import dmsg_session
from skywire.streams.socks5 import dial_through
from skywire.streams.stream import Listener, Stream
from skywire.streams.tcp import listen_tcp
from skywire.testing.deployment import Deployment, deployment

LIMIT = 30.0  # seconds no test here should need


class Ended(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)["output"]


async def skywire(*arguments: object, **environment: str) -> Ended:
    """Run `skywire dmsg …` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "skywire",
        "dmsg",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    return Ended(process.returncode or 0, out, err.decode())


def identity(net: Deployment) -> Identity:
    public, secret = key_pair()
    return Identity(public, secret, net.url, 1)


class Service:
    """A service command that runs in this process; `told` is what it printed."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def place(self, name: str) -> tuple[str, int]:
        host, _, port = self.told[name].rpartition(":")
        return host, int(port)


@asynccontextmanager
async def running_service(
    work: Coroutine[Any, Any, None], capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Service]:
    capsys.readouterr()
    async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        printed = ""
        while not printed.rstrip().endswith("}"):
            await asyncio.sleep(0.005)
            assert not task.done() or task.exception() is None, task.exception()
            printed += capsys.readouterr().out
        yield Service(json.loads(printed)["output"])
        task.cancel()


def site() -> web.Application:
    """A local web server that tells what reaches it."""

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.path} {request.host}")

    async def socket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data.upper())
        return ws

    app = web.Application()
    app.router.add_get("/ws", socket)
    app.router.add_route("*", "/{path:.*}", show)
    return app


@asynccontextmanager
async def local_site() -> AsyncIterator[int]:
    async with running(site()) as runner:
        yield await listen(runner, "127.0.0.1", 0, what="site")


@asynccontextmanager
async def net_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], **options: Any
) -> AsyncIterator[tuple[Deployment, str]]:
    """A network, and the URL of a file server on it."""
    (tmp_path / "blob").write_bytes(os.urandom(2_000_000))
    (tmp_path / "hello.txt").write_text("hello")
    async with deployment() as net:
        who = identity(net)
        allowed = options.get("allowed", frozenset())
        work = dmsg_http._serve(tmp_path, 80, allowed, who, True)
        async with running_service(work, capsys) as service:
            assert service.told == {
                "public_key": str(who.public),
                "port": 80,
                "url": f"dmsg://{who.public}:80",
            }
            yield net, service.told["url"]


async def test_curl_fetches_from_http(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("out") / "blob"
    async with net_and_files(tmp_path, capsys) as (net, url):
        disc = ("--dmsg-disc", net.url)
        ended = await skywire("curl", f"{url}/hello.txt", *disc)
        assert (ended.code, ended.out, ended.err) == (0, b"hello", "")

        ended = await skywire("curl", f"{url}/blob", "-o", out, "--json", *disc)
        assert (ended.code, ended.err) == (0, "")
        assert ended.json == {"status": 200, "bytes": 2_000_000, "file": str(out)}
        served = (tmp_path / "blob").read_bytes()
        assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(served).digest()

        ended = await skywire("curl", f"{url}/hello.txt", "-o", out, *disc)
        assert (ended.code, ended.err.count("exists; replace it with -r")) == (1, 1)
        ended = await skywire("curl", f"{url}/hello.txt", "-o", out, "-r", *disc)
        assert (ended.code, ended.out) == (0, b"")
        assert out.read_text() == "hello"

        ended = await skywire("curl", f"{url}/missing", "-o", out, "-r", *disc)
        assert (ended.code, ended.out) == (1, b"")
        assert "404 Not Found: 404 page not found" in ended.err
        assert out.read_text() == "hello"
        assert [path.name for path in out.parent.iterdir()] == ["blob"]

        ended = await skywire("curl", f"{url}/hello.txt", "--json", *disc)
        assert ended.json == {"status": 200, "bytes": 5, "body": "hello"}


async def test_many_requests_share_one_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with net_and_files(tmp_path, capsys) as (net, url):
        client = await net.client()
        dialled = 0

        async def dial(pk: PubKey, port: int) -> Stream:
            nonlocal dialled
            dialled += 1
            return await client.dial(pk, port)

        async with asyncio.timeout(LIMIT), dmsg_session(dial) as session:
            for _ in range(20):
                async with session.get(f"{url}/hello.txt") as response:
                    assert await response.text() == "hello"
            async with session.get(f"{url}/blob", headers={"Range": "bytes=10-19"}) as response:
                assert len(await response.read()) == 10
    assert dialled == 1


async def test_a_whitelist_lets_one_key_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public, secret = key_pair()
    key_file = tmp_path / "key"
    key_file.write_text(f"{public}\n{secret.hex()}\n")
    allowed = frozenset({public})
    async with net_and_files(tmp_path, capsys, allowed=allowed) as (net, url):
        disc = ("--dmsg-disc", net.url)
        ended = await skywire("curl", f"{url}/hello.txt", *disc)
        assert (ended.code, "403 Forbidden" in ended.err) == (1, True)
        ended = await skywire("curl", f"{url}/hello.txt", *disc, DMSGCURL_SK=secret.hex())
        assert (ended.code, ended.out) == (0, b"hello")
        ended = await skywire("curl", f"{url}/hello.txt", "-s", f"@{key_file}", *disc)
        assert (ended.code, ended.out) == (0, b"hello")


async def test_ip_and_ping() -> None:
    async with deployment() as net, asyncio.TaskGroup() as tasks:
        node = await net.client()
        control = node.listen(7)
        serving = tasks.create_task(serve_control(control))
        disc = ("--dmsg-disc", net.url)
        ended = await skywire("ip", *disc)
        assert (ended.code, ended.out) == (0, b"127.0.0.1\n")
        server = net.servers[0].public
        ended = await skywire("ip", "-d", server, "--json", *disc)
        assert ended.json == {"ip": "127.0.0.1"}

        ended = await skywire("ping", node.public, "-c", 3, "-i", 0.01, *disc)
        lines = ended.out.decode().splitlines()
        assert (ended.code, len(lines)) == (0, 4)
        assert lines[0].startswith(f"pong 1 from {node.public}: ")
        assert lines[3].startswith("3 of 3 pongs, min/mean/max ")

        ended = await skywire("ping", node.public, "-c", 2, "-i", 0, "--json", *disc)
        assert ended.json["sent"] == ended.json["received"] == 2
        assert 0 < ended.json["min_ms"] <= ended.json["mean_ms"] <= ended.json["max_ms"]

        ended = await skywire("ping", key_pair()[0], *disc)
        assert (ended.code, "entry is not found" in ended.err) == (1, True)
        await control.close()
        await serving
        ended = await skywire("ping", node.public, *disc)
        assert (ended.code, "no associated listener" in ended.err) == (1, True)


async def test_socks_from_a_program_to_a_web_server(capsys: pytest.CaptureFixture[str]) -> None:
    async with deployment() as net, local_site() as port:
        who = identity(net)
        server = dmsg_net._socks_server(1081, True, frozenset(), who, True)
        async with running_service(server, capsys):
            client = dmsg_net._socks_client(who.public, 0, 1081, identity(net), True)
            async with running_service(client, capsys) as service:
                proxy = service.place("address")
                assert await get_through(proxy, "127.0.0.1", port) == f"GET / 127.0.0.1:{port}"
                closed = await listen_tcp("127.0.0.1", 0)
                await closed.close()
                with pytest.raises(Refused, match="connection refused"):
                    await dial_through(proxy, "127.0.0.1", closed.address.port)


async def test_a_socks_server_keeps_strangers_out_of_its_own_network(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with deployment() as net, local_site() as port:
        who = identity(net)
        server = dmsg_net._socks_server(1081, False, frozenset(), who, True)
        async with running_service(server, capsys):
            client = dmsg_net._socks_client(who.public, 0, 1081, identity(net), True)
            async with running_service(client, capsys) as service:
                for host in ("127.0.0.1", "localhost"):
                    with pytest.raises(Refused, match="not allowed"):
                        await dial_through(service.place("address"), host, port)


async def test_a_socks_server_serves_its_whitelist_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with deployment() as net, local_site() as port:
        who, friend = identity(net), identity(net)
        server = dmsg_net._socks_server(1081, True, frozenset({friend.public}), who, True)
        async with running_service(server, capsys):
            for client, served in ((friend, True), (identity(net), False)):
                work = dmsg_net._socks_client(who.public, 0, 1081, client, True)
                async with running_service(work, capsys) as service:
                    proxy = service.place("address")
                    if served:
                        assert await get_through(proxy, "127.0.0.1", port)
                    else:
                        with pytest.raises(Exception, match=r"closed|broke"):
                            await dial_through(proxy, "127.0.0.1", port)


async def get_through(proxy: tuple[str, int], host: str, port: int) -> str:
    """GET / through a SOCKS proxy: the body."""
    stream = await dial_through(proxy, host, port)
    await stream.write(
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = b""
    while data := await stream.read():
        answer += data
    await stream.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    return body.decode()


@asynccontextmanager
async def published(
    net: Deployment, capsys: pytest.CaptureFixture[str], *, raw: bool, allowed: Any = frozenset()
) -> AsyncIterator[PubKey]:
    """A local site on the dmsg port 80 of the key."""
    who = identity(net)
    async with local_site() as port:
        work = dmsg_web._publish(80, port, raw, allowed, who, True)
        async with running_service(work, capsys):
            yield who.public


@pytest.mark.parametrize("raw", [False, True])
async def test_web_shows_a_published_site(raw: bool, capsys: pytest.CaptureFixture[str]) -> None:
    async with deployment() as net, published(net, capsys, raw=raw) as pk:
        ports = dmsg_web._Ports(0, 0)
        proxy = dmsg_web._all_sites(".dmsg", ports, None, identity(net), True)
        async with running_service(proxy, capsys) as service, aiohttp.ClientSession() as browser:
            shown = await get_through(service.place("socks"), f"{pk}.dmsg", 80)
            assert shown.startswith("GET / ")
            host, port = service.place("http")
            headers = {"Host": f"{pk}.dmsg"}
            async with browser.get(f"http://{host}:{port}/a/b", headers=headers) as response:
                assert (await response.text()).startswith("GET /a/b ")
            through = f"http://{host}:{port}"
            async with browser.get(f"http://{pk}.dmsg/x", proxy=through) as response:
                assert (await response.text()).startswith("GET /x ")
            async with browser.ws_connect(f"{through}/ws", headers=headers) as ws:
                await ws.send_str("abc")
                assert await ws.receive_str() == "ABC"
            async with browser.get(f"{through}/") as response:
                assert response.status == 404
                assert "only names ending in .dmsg" in await response.text()
            for bad in ("home.dmsg", "[::1", "x:99999"):
                async with browser.get(f"{through}/", headers={"Host": bad}) as response:
                    assert response.status == 400
            other = {"Host": f"{key_pair()[0]}.dmsg"}
            async with browser.get(f"{through}/", headers=other) as response:
                assert response.status == 404
                assert "not found in discovery" in await response.text()
            with pytest.raises(Refused):
                await dial_through(service.place("socks"), f"{key_pair()[0]}.dmsg", 80)
            with pytest.raises(Refused):
                await dial_through(service.place("socks"), "home.dmsg", 80)


async def test_web_reaches_other_names_directly_or_through_a_proxy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with deployment() as net, local_site() as port:
        ports = dmsg_web._Ports(0, 0)
        direct = dmsg_web._all_sites(".dmsg", ports, None, identity(net), True)
        async with running_service(direct, capsys) as first:
            assert await get_through(first.place("socks"), "127.0.0.1", port)
            upstream = first.place("socks")
            chained = dmsg_web._all_sites(".dmsg", ports, upstream, identity(net), True)
            async with running_service(chained, capsys) as second:
                assert await get_through(second.place("socks"), "127.0.0.1", port)


@pytest.mark.parametrize(("raw", "name"), [(False, "http"), (True, "tcp")])
async def test_web_shows_one_site_on_a_local_port(
    raw: bool, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with deployment() as net, published(net, capsys, raw=True) as pk:
        work = dmsg_web._one_site(pk, 80, 0, raw, identity(net), True)
        async with running_service(work, capsys) as service, aiohttp.ClientSession() as browser:
            host, port = service.place(name)
            async with browser.get(f"http://{host}:{port}/page") as response:
                seen = f"{host}:{port}" if raw else f"{pk}:80"
                assert await response.text() == f"GET /page {seen}"


async def test_web_srv_serves_its_whitelist_only(capsys: pytest.CaptureFixture[str]) -> None:
    async with deployment() as net:
        friend, stranger = await net.client(), await net.client()
        for raw in (False, True):
            allowed = frozenset({friend.public})
            async with published(net, capsys, raw=raw, allowed=allowed) as pk:
                assert await status_of(friend, pk) == 200
                assert await status_of(stranger, pk) == (0 if raw else 403)


async def status_of(client: DmsgClient, pk: PubKey) -> int:
    """Of GET /; 0 when the stream ends without an answer."""
    async with asyncio.timeout(LIMIT), dmsg_session(client.dial) as session:
        try:
            async with session.get(f"dmsg://{pk}/") as response:
                return response.status
        except aiohttp.ClientError:
            return 0


async def test_failures_are_told_in_one_line() -> None:
    listener: Listener = await listen_tcp("127.0.0.1", 0)
    nowhere = f"http://127.0.0.1:{listener.address.port}"
    await listener.close()
    pk = key_pair()[0]
    ended = await skywire("curl", f"dmsg://{pk}/", "--dmsg-disc", nowhere)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert f"Error: discovery {nowhere} cannot be asked" in ended.err
    async with deployment(servers=0) as net:
        ended = await skywire("ip", "--dmsg-disc", net.url, "--json")
        told = json.loads(ended.err)
        assert told["code"] == Unavailable.code
        assert told["error"].endswith("lists no dmsg server")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["http://127.0.0.1/"], "expected dmsg://"),
        ([f"dmsg://{'0' * 66}/"], "public key"),
        (["dmsg://x/", "-s", "abc"], "secret key"),
        (["dmsg://x/", "-s", "@/does/not/exist"], "No such file"),
        (["dmsg://x/", "-t", "-1"], "-1"),
    ],
)
def test_bad_arguments(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(curl, arguments)
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)
    assert "abc" not in str(result.exception)


def test_web_options_that_exclude_each_other() -> None:
    for arguments, told in ((["-c"], "-c needs -t"), (["-r", "nowhere"], "expected host:port")):
        result = CliRunner().invoke(dmsg_web.web, arguments)
        assert told in result.output + str(result.exception)


@pytest.mark.parametrize(
    "command",
    [
        curl,
        dmsg_http.http,
        dmsg_net.ip,
        dmsg_net.ping,
        dmsg_net.socks_server,
        dmsg_net.socks_client,
        dmsg_web.web,
        dmsg_web.srv,
    ],
    ids=lambda command: command.name,
)
def test_no_option_has_two_meanings(command: click.Command) -> None:
    names = [name for parameter in command.params for name in parameter.opts]
    assert len(names) == len(set(names))
