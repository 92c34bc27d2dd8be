"""The client: cancelled reads, hosts of any age, the end of a shell, keepalive."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import NotSupported, Refused, RemoteProtocolError, StreamClosed, StreamReset
from skywire.pty import client as module
from skywire.pty.client import PtyClient
from skywire.pty.mux import request_service
from skywire.pty.shell import ShellOutput
from skywire.pty.types import NATURAL_END, CommandExecReq, CommandReq, WinSize
from skywire.rpc.server import Method, RpcServer
from skywire.streams.supervise import Tasks
from skywire.testing.old_host import OldHost
from skywire.testing.processes import alive
from skywire.testing.shells import FakeShell
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.wire.gob_types import BYTES, EMPTY

from .kit import BASH, node, read_to_end, read_until, shell_pid, type_line

OWNER = key_pair()[0]


class Old:
    def __init__(self, host: OldHost, client: PtyClient, shells: list[FakeShell]) -> None:
        self.host = host
        self.client = client
        self.shells = shells


@asynccontextmanager
async def old_host() -> AsyncIterator[Old]:
    """Connected to a 2024 host whose shells echo."""
    shells: list[FakeShell] = []

    class Echo(FakeShell):
        def __init__(self, output: ShellOutput) -> None:
            super().__init__(output)
            shells.append(self)

        def write_now(self, data: bytes) -> int:
            size = super().write_now(data)
            self.print(data[:size].replace(b"\n", b"\r\n"))
            return size

    tasks = Tasks("old host")
    host = OldHost(Echo)
    ours, theirs = stream_pair()
    tasks.spawn(host.serve(theirs))
    async with await PtyClient.connect(ours) as client:
        yield Old(host, client, shells)
    await tasks.close()


async def test_a_cancelled_read_loses_nothing() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.start(CommandReq("/bin/sh", ["-c", "stty -echo; echo go; cat"]))
        await read_until(client, "go\r\n")
        reading = asyncio.ensure_future(client.read())
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await type_line(client, "kept")
        assert await read_until(client, "kept\r\n") == "kept\r\n"


async def test_close_leaves_a_kept_session_and_ends_another() -> None:
    async with node(OWNER) as here:
        async with here.client(OWNER) as client:
            await client.open(BASH)
            kept = await shell_pid(client)
        async with here.client(OWNER) as client:
            await client.start(BASH)
            ended = await shell_pid(client)
        await eventually(lambda: not alive(ended), limit=2)
        assert alive(kept)


async def test_close_wakes_a_reader() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        await client.open(CommandReq("/bin/sleep", ["1000"]))
        reading = asyncio.ensure_future(client.read())
        await asyncio.sleep(0.01)
        await client.close()
        await client.close()
        with pytest.raises(StreamClosed):
            await reading
        with pytest.raises(StreamClosed):
            await client.write(b"x")


async def test_t38_an_old_host_gives_a_plain_shell() -> None:
    async with old_host() as old:
        assert await old.client.open(BASH, "deadbeefdeadbeef") == ("", False)
        assert old.host.started == [BASH]
        await old.client.resize(80, 24)
        assert old.shells[0].sizes == [WinSize(x=80, y=24, rows=24, cols=80)]
        await type_line(old.client, "hello")
        assert await old.client.read() == b"hello\r\n"
        for call in (old.client.ping(), old.client.execute(CommandExecReq("x"))):
            with pytest.raises(Refused, match="rpc: can't find method pty"):
                await call
        with pytest.raises(NotSupported):
            await old.client.start_session(BASH)


async def test_an_old_host_is_left_in_order_although_a_read_waits() -> None:
    """Stop alone would wait for ever: the Read must get something first."""
    async with old_host() as old:
        await old.client.open(BASH)
        reading = asyncio.ensure_future(old.client.read())
        await asyncio.sleep(0.01)
        reading.cancel()
        begin = time.monotonic()
        await old.client.close()
        assert time.monotonic() - begin < 1
        assert old.host.stopped == 1
        assert old.shells[0].typed == b"\n"


async def test_an_old_host_is_left_in_order_although_somebody_goes_on_reading() -> None:
    """The one Read more that its answer brings on would keep Stop waiting."""

    async def read_on(client: PtyClient) -> None:
        while True:
            await client.read()

    async with old_host() as old:
        await old.client.open(BASH)
        reading = asyncio.ensure_future(read_on(old.client))
        await asyncio.sleep(0.01)
        begin = time.monotonic()
        await old.client.close()
        assert time.monotonic() - begin < 1
        assert old.host.stopped == 1
        with pytest.raises(StreamClosed, match="closed by us"):
            await reading


async def test_an_old_host_whose_shell_stays_silent_is_left_after_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.1)
    async with old_host() as old:
        await old.client.open(BASH)
        reading = asyncio.ensure_future(old.client.read())
        await asyncio.sleep(0.01)
        reading.cancel()
        old.shells[0].print = lambda data: None  # type: ignore[method-assign]
        begin = time.monotonic()
        await old.client.close()
        assert time.monotonic() - begin < 1
        assert old.host.stopped == 0


async def test_after_the_natural_end_an_old_host_needs_a_stop() -> None:
    async with old_host() as old:
        await old.client.open(BASH)
        old.shells[0].exit()
        assert await read_to_end(old.client) == (b"", NATURAL_END)
        with pytest.raises(Refused, match="a pty session is already running"):
            await old.client.start(BASH)
        await old.client.stop()
        await old.client.start(BASH)
    assert old.host.stopped == 2


async def test_keepalive_goes_on_with_old_hosts_and_ends_with_the_connection() -> None:
    async with old_host() as old:
        keeping = asyncio.ensure_future(old.client.keep_alive(interval=0.01))
        await asyncio.sleep(0.1)
        assert not keeping.done()
        old.client.stream.abort()
        async with asyncio.timeout(2):
            await keeping


async def test_a_host_that_stops_answering_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.05)
    ours, _silent = stream_pair()
    async with PtyClient(ours) as client:
        reading = asyncio.ensure_future(client.read())
        async with asyncio.timeout(2):
            await client.keep_alive(interval=0.01)
            with pytest.raises(StreamReset):
                await reading


async def test_an_answer_of_a_wrong_type_is_refused() -> None:
    async def nothing(_: object) -> None: ...

    async def request(_: object) -> CommandReq:
        return BASH

    methods = {
        "pty.Start": Method(CommandReq, EMPTY, nothing),
        "pty.Write": Method(BYTES, CommandReq, request),
    }
    tasks = Tasks("host")
    ours, theirs = stream_pair()
    tasks.spawn(RpcServer(methods).serve(theirs))
    async with PtyClient(ours) as client:
        with pytest.raises(RemoteProtocolError):
            await client.write(b"x")
        await client.start(BASH)
    await tasks.close()


async def test_a_host_that_closes_or_rejects() -> None:
    for answer, error in ((b"", StreamReset), (b"\x01", Refused), (b"\xff", Refused)):
        ours, theirs = stream_pair()
        await theirs.write(answer)
        await theirs.write_eof()
        with pytest.raises(error):
            await PtyClient.connect(ours)
        with pytest.raises(StreamClosed):
            await ours.read()


async def test_a_request_longer_than_the_length_byte_allows() -> None:
    ours, _ = stream_pair()
    with pytest.raises(Exception, match="request URI cannot be larger than 255 bytes"):
        await request_service(ours, "x" * 256)
