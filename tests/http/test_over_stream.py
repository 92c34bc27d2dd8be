import asyncio
import hashlib
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue
from skywire.http.over_stream import (
    DmsgConnector,
    remote_address,
    remote_pk,
    serve_http,
    target_of,
)
from skywire.streams.stream import Address, Stream
from skywire.streams.tcp import listen_tcp
from skywire.testing.listener import MemoryListener
from tests.http.serving import CLIENT, SERVER, listener_on


async def show(request: web.Request) -> web.Response:
    address = remote_address(request)
    return web.json_response(
        {
            "host": request.headers["Host"],
            "remote": request.remote,
            "address": str(address),
            "pk": str(remote_pk(request)),
            "network": address.network,
        }
    )


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def chunked(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in range(10):
        await response.write(bytes([piece]) * 5000)
    return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            await ws.send_str(message.data[::-1])
        elif message.type is aiohttp.WSMsgType.BINARY:
            await ws.send_bytes(message.data * 2)
    return ws


def application() -> web.Application:
    app = web.Application(client_max_size=4 << 20)
    app.router.add_get("/", show)
    app.router.add_post("/echo", echo)
    app.router.add_get("/chunked", chunked)
    app.router.add_get("/ws", socket)
    return app


@asynccontextmanager
async def serving(
    listener: MemoryListener,
    app: web.Application | web.AppRunner | None = None,
    *,
    header_timeout: float = 3.0,
    idle_timeout: float = 30.0,
    max_connections: int = 512,
) -> AsyncIterator[None]:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        server = tasks.create_task(
            serve_http(
                app or application(),
                listener,
                header_timeout=header_timeout,
                idle_timeout=idle_timeout,
                max_connections=max_connections,
            )
        )
        yield
        await listener.close()
        await server


@asynccontextmanager
async def session(
    listener: MemoryListener, *, keep_alive: bool = True
) -> AsyncIterator[aiohttp.ClientSession]:
    connector = DmsgConnector(listener.dial, keep_alive=keep_alive)
    async with aiohttp.ClientSession(connector=connector) as client:
        yield client


async def get_json(url: str) -> dict[str, str]:
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        told: dict[str, str] = await response.json()
        return told


async def read_all(stream: Stream) -> bytes:
    data = b""
    while piece := await stream.read():
        data += piece
    return data


@pytest.mark.parametrize(("port", "authority"), [(80, f"{SERVER}"), (8080, f"{SERVER}:8080")])
async def test_the_host_header_is_the_authority_and_the_peer_is_known_by_key(
    port: int, authority: str
) -> None:
    listener = listener_on(port)
    async with (
        serving(listener),
        session(listener) as client,
        client.get(f"dmsg://{authority}/") as response,
    ):
        told = await response.json()
    assert told == {
        "host": authority,
        "remote": str(CLIENT),
        "address": f"{CLIENT}:49153",
        "pk": str(CLIENT),
        "network": "dmsg",
    }


async def test_an_explicit_port_80_stays_in_the_host_header() -> None:
    listener = listener_on(80)
    async with (
        serving(listener),
        session(listener) as client,
        client.get(f"dmsg://{SERVER}:80/") as response,
    ):
        assert (await response.json())["host"] == f"{SERVER}:80"


@pytest.mark.parametrize("chunk", [1000, 65536])
async def test_bodies_arrive_whole_both_ways(chunk: int) -> None:
    listener = listener_on(chunk=chunk)
    blob = bytes(range(256)) * 8192
    async with serving(listener), session(listener) as client:
        async with client.post(f"dmsg://{SERVER}/echo", data=BytesIO(blob)) as response:
            assert hashlib.sha256(await response.read()).digest() == hashlib.sha256(blob).digest()
        async with client.get(f"dmsg://{SERVER}/chunked") as response:
            assert len(await response.read()) == 50_000


async def test_one_stream_serves_many_requests_or_one_as_asked() -> None:
    for keep_alive, streams in ((True, 1), (False, 5)):
        listener = listener_on()
        async with serving(listener), session(listener, keep_alive=keep_alive) as client:
            for _ in range(5):
                async with client.get(f"dmsg://{SERVER}/") as response:
                    assert response.status == 200
        assert listener.dialled == streams


async def test_a_websocket_works_over_a_stream() -> None:
    listener = listener_on()
    async with (
        serving(listener),
        session(listener) as client,
        client.ws_connect(f"dmsg://{SERVER}/ws") as ws,
    ):
        await ws.send_str("abc")
        assert await ws.receive_str() == "cba"
        await ws.send_bytes(b"x" * 100_000)
        assert len(await ws.receive_bytes()) == 200_000
        await ws.close()


async def test_a_file_is_sent_without_the_kernels_sendfile(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(bytes(range(256)) * 4096)

    async def send(_: web.Request) -> web.FileResponse:
        return web.FileResponse(blob)

    app = web.Application()
    app.router.add_get("/blob", send)
    listener = listener_on()
    async with serving(listener, app), session(listener) as client:
        async with client.get(f"dmsg://{SERVER}/blob") as response:
            assert await response.read() == blob.read_bytes()
        async with client.get(f"dmsg://{SERVER}/blob", headers={"Range": "bytes=10-19"}) as part:
            assert (part.status, await part.read()) == (206, blob.read_bytes()[10:20])


async def test_the_same_application_answers_on_tcp_and_on_streams() -> None:
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, tcp_port = runner.addresses[0]
    listener = listener_on()
    async with serving(listener, runner), session(listener) as client:
        async with client.get(f"dmsg://{SERVER}/") as response:
            assert (await response.json())["network"] == "dmsg"
        told = await get_json(f"http://127.0.0.1:{tcp_port}/")
        assert (told["network"], told["remote"], told["pk"]) == ("tcp", "127.0.0.1", "None")
    assert await get_json(f"http://127.0.0.1:{tcp_port}/")  # the runner outlives the listener
    await runner.cleanup()


async def test_a_runner_that_is_not_set_up_is_refused() -> None:
    with pytest.raises(InvalidValue, match="setup"):
        await serve_http(web.AppRunner(application()), listener_on())


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"G"])
async def test_a_head_that_does_not_come_in_time_ends_the_stream(sent: bytes) -> None:
    listener = listener_on()
    async with serving(listener, header_timeout=0.05):
        stream = await listener.dial(SERVER, 80)
        await stream.write(sent)
        with pytest.raises(Exception, match="reset"):
            await read_all(stream)


async def test_a_head_split_anywhere_is_no_late_head() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    listener = listener_on()
    async with serving(listener):
        for cut in range(len(request)):
            stream = await listener.dial(SERVER, 80)
            await stream.write(request[:cut])
            for _ in range(5):
                await asyncio.sleep(0)
            await stream.write(request[cut:])
            assert (await read_all(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_stream_idle_for_too_long_is_closed_in_order() -> None:
    listener = listener_on()
    async with serving(listener, idle_timeout=0.1):
        stream = await listener.dial(SERVER, 80)
        await stream.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_all(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_slow_handler_is_not_a_late_head() -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(text="at last")

    app = web.Application()
    app.router.add_get("/", slow)
    listener = listener_on()
    async with (
        serving(listener, app, header_timeout=0.05),
        session(listener) as client,
        client.get(f"dmsg://{SERVER}/") as response,
    ):
        assert await response.text() == "at last"


async def test_garbage_is_answered_with_400_and_ends_the_stream() -> None:
    listener = listener_on()
    async with serving(listener):
        stream = await listener.dial(SERVER, 80)
        await stream.write(b"\x16\x03\x01 no HTTP \x00\r\n\r\n")
        assert (await read_all(stream)).startswith(b"HTTP/1.0 400 Bad Request\r\n")


async def test_one_stream_too_many_is_refused_and_the_next_one_is_not() -> None:
    listener = listener_on()
    async with serving(listener, max_connections=2):
        first, second, third = [await listener.dial(SERVER, 80) for _ in range(3)]
        with pytest.raises(Exception, match="reset"):
            await third.read()
        await first.close()
        await second.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_all(second)).startswith(b"HTTP/1.1 200")
        async with session(listener) as client, client.get(f"dmsg://{SERVER}/") as response:
            assert response.status == 200


async def test_stopping_lets_a_request_finish_and_ends_idle_streams() -> None:
    started = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        started.set()
        await asyncio.sleep(0.05)
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", slow)
    listener = listener_on()
    server = asyncio.ensure_future(serve_http(app, listener))
    idle = await listener.dial(SERVER, 80)
    busy = await listener.dial(SERVER, 80)
    await busy.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await started.wait()
    server.cancel()
    assert (await read_all(busy)).endswith(b"done")
    assert await idle.read() == b""
    with pytest.raises(asyncio.CancelledError):
        await server


async def test_a_client_that_leaves_cancels_its_handler() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def endless(_: web.Request) -> web.Response:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", endless)
    listener = listener_on()
    async with serving(listener, app):
        stream = await listener.dial(SERVER, 80)
        await stream.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()
        stream.abort()
        await cancelled.wait()


async def test_errors_of_the_dial_come_out_as_they_are() -> None:
    listener = listener_on(80)
    async with session(listener) as client:
        with pytest.raises(DialFailed, match="nobody listens"):
            await client.get(f"dmsg://{SERVER}:81/")
        with pytest.raises(InvalidValue, match="public key"):
            await client.get("dmsg://02ab/")
        with pytest.raises(aiohttp.NonHttpUrlClientError):
            await client.get("http://127.0.0.1/")


async def test_a_dial_that_hangs_ends_by_the_sessions_deadline() -> None:
    async def dial(_: PubKey, __: int) -> Stream:
        await asyncio.Event().wait()
        raise AssertionError

    timeout = aiohttp.ClientTimeout(sock_connect=0.02)
    async with aiohttp.ClientSession(connector=DmsgConnector(dial), timeout=timeout) as client:
        with pytest.raises(TimeoutError):
            await client.get(f"dmsg://{SERVER}/")


async def test_a_server_that_ends_early_is_a_client_error() -> None:
    listener = listener_on()

    async def serve() -> None:
        stream = await listener.accept()
        await stream.read()
        await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        await stream.close()

    async with asyncio.TaskGroup() as tasks, session(listener) as client:
        tasks.create_task(serve())
        async with client.get(f"dmsg://{SERVER}/") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_closing_the_session_closes_the_streams_and_leaves_no_task() -> None:
    listener = listener_on()
    before = asyncio.all_tasks()
    client = aiohttp.ClientSession(connector=DmsgConnector(listener.dial))
    connector = client.connector
    assert connector is not None

    async def answer() -> bytes:
        stream = await listener.accept()
        await stream.read()
        await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return await stream.read()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(answer())
        async with client.get(f"dmsg://{SERVER}/") as response:
            assert await response.text() == "ok"
        await client.close()
        await connector.close()  # twice is fine
        assert await serving == b""
    assert asyncio.all_tasks() == before


def test_aiohttp_still_has_the_hook_the_connector_overrides() -> None:
    hook = aiohttp.BaseConnector._create_connection
    assert inspect.iscoroutinefunction(hook)
    assert list(inspect.signature(hook).parameters) == ["self", "req", "traces", "timeout"]
    ours = inspect.signature(DmsgConnector._create_connection)
    assert list(ours.parameters) == ["self", "req", "traces", "timeout"]


def test_targets() -> None:
    assert target_of(URL(f"dmsg://{SERVER}/x")) == (SERVER, 80)
    assert target_of(URL(f"dmsg://{str(SERVER).upper()}:8080")) == (SERVER, 8080)
    for bad in (f"http://{SERVER}/", "dmsg:///x", f"dmsg://{SERVER}:0/", "dmsg://localhost/"):
        with pytest.raises(InvalidValue):
            target_of(URL(bad))


async def test_peers_of_other_networks() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    seen: list[Address] = []

    async def note(request: web.Request) -> web.Response:
        seen.append(remote_address(request))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", note)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        server = tasks.create_task(serve_http(app, listener))
        async with aiohttp.ClientSession() as plain:
            await plain.get(f"http://127.0.0.1:{listener.address.port}/")
        await listener.close()
        await server
    assert seen[0][:2] == ("tcp", "127.0.0.1")
