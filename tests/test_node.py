import asyncio
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

import skywire
from skywire.config.deployment import VARIABLE
from skywire.errors import (
    Conflict,
    InvalidValue,
    NotFound,
    Refused,
    SkywireError,
    StreamClosed,
    StreamReset,
    Unavailable,
)
from skywire.http.asgi import Receive, Scope, Send
from skywire.ports import DMSG_RPC
from skywire.streams.connection import Connection
from skywire.testing import TestNetwork
from skywire.visor import ops_info

PORT = 2000
SOON = 20.0  # seconds nothing here should need

pytestmark = pytest.mark.timeout(60)


async def upper(connection: Connection) -> None:
    async for line in connection.lines():
        await connection.write(line.upper() + b"\n")


async def ask(connection: Connection, line: bytes) -> bytes:
    async with asyncio.timeout(SOON):
        await connection.write(line + b"\n")
        return await connection.readline()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{skywire.remote_pk(request)} wants {request.path_qs}")


def app() -> web.Application:
    made = web.Application()
    made.router.add_get("/redirect", redirect)
    made.router.add_get("/{path:.*}", hello)
    return made


async def redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound("/there")


# Streams


@pytest.mark.parametrize("network", ["dmsg", "skynet", ""])
async def test_dial_and_listen(skywire_nodes: tuple[skywire.Node, ...], network: str) -> None:
    here, there = skywire_nodes
    async with there.listen(PORT) as listener, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(listener.serve(upper))
        async with await here.dial(str(there.pk), PORT, network=network) as connection:
            assert connection.remote.pk == there.pk
            assert connection.remote.network == (network or "dmsg")
            assert await ask(connection, b"hello") == b"HELLO\n"
        await listener.close()
        await serving


async def test_a_listener_on_one_network_leaves_the_other(
    skywire_nodes: tuple[skywire.Node, ...],
) -> None:
    here, there = skywire_nodes
    async with there.listen(PORT, network="dmsg"), there.listen(PORT, network="skynet") as listener:
        async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
            dialling = tasks.create_task(here.dial(there.pk, PORT, network="skynet"))
            accepted = await listener.accept()
            assert accepted.remote.network == "skynet"
            assert accepted.remote.pk == here.pk
            (await dialling).abort()
        with pytest.raises(Conflict):
            there.listen(PORT)
        with pytest.raises(Conflict):
            there.listen(PORT, network="skynet")


async def test_a_port_that_is_half_taken_stays_free(skywire_node: skywire.Node) -> None:
    async with skywire_node.listen(PORT, network="skynet"):
        with pytest.raises(Conflict):
            skywire_node.listen(PORT)
        async with asyncio.timeout(SOON):
            while True:  # it is closed a moment later
                try:
                    await skywire_node.listen(PORT, network="dmsg").close()
                except Conflict:
                    await asyncio.sleep(0)
                else:
                    break


@pytest.mark.parametrize(
    ("pk", "port", "network", "error"),
    [
        ("nonsense", PORT, "", InvalidValue),
        (skywire.key_pair()[0], PORT, "", NotFound),
        (None, PORT, "dmsg", Refused),
        (None, 70000, "dmsg", SkywireError),
        (None, PORT, "tcp", InvalidValue),
    ],
    ids=["no key", "nobody", "nobody listens", "no port", "no network"],
)
async def test_dials_that_fail_say_why(
    skywire_nodes: tuple[skywire.Node, ...], pk: Any, port: int, network: str, error: type
) -> None:
    here, there = skywire_nodes
    with pytest.raises(error):
        async with asyncio.timeout(SOON):
            await here.dial(pk or there.pk, port, network=network)


async def test_asyncios_own_reader_and_writer(skywire_nodes: tuple[skywire.Node, ...]) -> None:
    here, there = skywire_nodes
    async with asyncio.timeout(SOON), there.listen(PORT) as listener, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(listener.serve(upper))
        reader, writer = await here.open_connection(there.pk, PORT)
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()
        await listener.close()
        await serving


# HTTP


@pytest.mark.parametrize("network", ["dmsg", "skynet"])
async def test_an_aiohttp_application(
    skywire_nodes: tuple[skywire.Node, ...], network: str
) -> None:
    here, there = skywire_nodes
    async with await there.serve(app(), 80) as serving, here.http(network=network) as http:
        assert serving.urls == (f"dmsg://{there.pk}:80", f"skynet://{there.pk}:80")
        assert serving.url == serving.urls[0]
        async with http.get(f"{network}://{there.pk}/a?b") as got:
            assert await got.text() == f"{here.pk} wants /a?b"
    assert serving.closed
    await serving.wait()


async def test_http_urls_have_bases_and_redirects(skywire_nodes: tuple[skywire.Node, ...]) -> None:
    here, there = skywire_nodes
    async with (
        await there.serve(app(), 8080),
        here.http(base_url=f"http://{there.pk}:8080") as http,
        http.get("/redirect") as got,
    ):
        assert await got.text() == f"{here.pk} wants /there"


async def test_an_asgi_application_on_one_network(skywire_nodes: tuple[skywire.Node, ...]) -> None:
    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    here, there = skywire_nodes
    async with await there.serve(asgi, 80, network="dmsg", max_body=10) as serving:
        assert serving.urls == (f"dmsg://{there.pk}:80",)
        async with here.http() as http:
            async with http.get(serving.url) as got:
                assert await got.text() == str(here.pk)
            async with http.post(serving.url, data=bytes(11)) as got:
                assert got.status == 413


async def test_what_cannot_be_served_leaves_the_port_free(skywire_node: skywire.Node) -> None:
    async def broken(_: web.Application) -> None:
        raise ZeroDivisionError

    bad = web.Application()
    bad.on_startup.append(broken)
    with pytest.raises(ZeroDivisionError):
        await skywire_node.serve(bad, 80)
    with pytest.raises(InvalidValue, match="expected an aiohttp"):
        await skywire_node.serve("app", 80)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="client_max_size"):
        await skywire_node.serve(app(), 80, max_body=1)
    with pytest.raises(InvalidValue, match="nonsense"):
        skywire_node.http(network="nonsense")
    async with await skywire_node.serve(app(), 80):
        with pytest.raises(Conflict):
            await skywire_node.serve(app(), 80)


async def test_requests_to_nobody_and_to_no_key(skywire_node: skywire.Node) -> None:
    async with skywire_node.http() as http:
        with pytest.raises(NotFound):
            await http.get(f"dmsg://{skywire.key_pair()[0]}/")
        with pytest.raises(InvalidValue):
            await http.get("http://example.com/")
        with pytest.raises(aiohttp.NonHttpUrlClientError):
            await http.get(f"skynet://{skywire_node.pk}/")


# Operations


async def test_operations_here_and_there(skywire_network: TestNetwork) -> None:
    here = skywire_network[0]
    there = await skywire_network.node({"hypervisors": [str(here.pk)]})
    assert await here.call(ops_info.uptime) > 0
    async with asyncio.timeout(SOON), here.remote_visor(there.pk) as visor:
        summary = await visor.call(ops_info.summary)
    assert summary.overview is not None
    assert summary.overview.local_pk == there.pk


async def test_a_visor_answers_those_it_knows_only(
    skywire_nodes: tuple[skywire.Node, ...],
) -> None:
    here, there = skywire_nodes
    async with asyncio.timeout(SOON), here.remote_visor(there.pk) as visor:
        with pytest.raises(StreamReset):
            await visor.call(ops_info.uptime)


# A node's life


async def test_leaving_ends_all_that_was_opened(skywire_network: TestNetwork) -> None:
    here = skywire_network[0]
    node = skywire.Node(deployment=skywire_network.deployment)
    async with node:
        listener = node.listen(PORT)
        serving = await node.serve(app(), 80)
        http = node.http()
        connection = await here.dial(node.pk, PORT)
    assert serving.closed
    assert http.closed
    with pytest.raises(StreamClosed):
        await listener.accept()
    async with asyncio.timeout(SOON):
        with suppress(StreamReset):  # an end is as good
            assert await connection.read() == b""
    with pytest.raises(StreamClosed):
        await node.dial(here.pk, PORT)


async def test_closed_things_are_not_kept(skywire_node: skywire.Node) -> None:
    for _ in range(50):
        await skywire_node.listen(PORT).close()
        await skywire_node.http().close()
    assert len(skywire_node._kept) < 4


@pytest.fixture
def handlers() -> list[logging.Handler]:
    """Those of the program, before there is a node."""
    return list(logging.getLogger().handlers)


async def test_a_node_leaves_the_program_around_it_alone(
    handlers: list[logging.Handler], skywire_node: skywire.Node
) -> None:
    assert logging.getLogger().handlers == handlers
    for port in (1, 22, 80, 8080, 49152):  # ports of visors, and of programs
        await skywire_node.listen(port).close()
    assert os.listdir(skywire_node.visor.config.local_path) == []


def test_a_node_that_was_not_entered_says_so() -> None:
    with pytest.raises(StreamClosed, match="async with"):
        skywire.Node().listen(PORT)


async def test_no_configuration_at_all(
    skywire_network: TestNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment is the embedded one, or that of the file SKYDEPLOY names."""
    file = tmp_path / "deployment.json"
    file.write_bytes(msgspec.json.encode({"prod": skywire_network.deployment}))
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.chdir(tmp_path)
    async with skywire.Node() as one, skywire.Node() as other, one.listen(PORT) as listener:
        assert one.pk != other.pk
        async with asyncio.timeout(SOON):
            (await other.dial(one.pk, PORT)).abort()
            (await listener.accept()).abort()
    assert os.listdir(tmp_path) == ["deployment.json"]


async def test_a_config_file_and_a_key(skywire_network: TestNetwork, tmp_path: Path) -> None:
    secret = skywire.key_pair()[1]
    file = tmp_path / "config.json"
    config = {
        "sk": secret.hex(),
        "dmsg": {"discovery": skywire_network.urls["discovery"]},
        "cli_addr": "",
        "dmsgpty": None,
        "local_path": str(tmp_path),
        "transport": {"log_store": {"type": "memory"}},
    }
    file.write_text(json.dumps(config))
    async with skywire.Node(file) as node:
        assert node.pk == secret.public()
        with pytest.raises(Conflict):
            node.listen(DMSG_RPC)
    known = skywire_network.deployment
    for key in (secret, secret.hex()):
        async with skywire.Node(secret_key=key, deployment=known) as node:
            assert node.pk == secret.public()
    with pytest.raises(InvalidValue, match="secret_key"):
        skywire.Node(file, secret_key=secret)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"config": "/nowhere/config.json"}, "not found"),
        ({"config": {"dmsg": {"sessions_count": "x"}}}, "dmsg.sessions_count"),
        ({"secret_key": "00"}, "secret key"),
        ({"deployment": "nonsense"}, "nonsense"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidValue, match=named):
        skywire.Node(**arguments)


async def test_services_that_are_away() -> None:
    nowhere = skywire.Deployment(dmsg_discovery="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"not on the network after 2 s: .*127\.0\.0\.1:9"):
        async with skywire.Node(deployment=nowhere, ready_within=2):
            pass
    async with skywire.Node(deployment=nowhere, ready_within=0) as node:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await node.ready()
    with pytest.raises(InvalidValue, match="discovery"):
        async with skywire.Node(deployment=skywire.Deployment(dmsg_discovery="ftp://x")):
            pass
