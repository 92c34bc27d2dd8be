import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from skywire.errors import Conflict, LocalProtocolError, Refused, StreamError, StreamReset
from skywire.rpc import server as server_module
from skywire.rpc.client import RpcClient
from skywire.rpc.server import GoError, Handler, Method, RpcServer
from skywire.streams.stream import Stream
from skywire.testing.streams import stream_pair
from skywire.wire import gob
from skywire.wire.gob_types import BYTES, EMPTY, INT, STRING, GoType, Slice
from skywire.wire.netrpc import ClientSide


async def double(value: int) -> int:
    return 2 * value


@asynccontextmanager
async def serving(
    methods: dict[str, Method], **options: Any
) -> AsyncIterator[tuple[RpcClient, "asyncio.Task[None]"]]:
    ours, theirs = stream_pair()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(RpcServer(methods, **options).serve(theirs))
        async with RpcClient(ours) as rpc:
            yield rpc, task


@asynccontextmanager
async def raw(
    methods: dict[str, Method], *, chunk: int = 65536, **options: Any
) -> AsyncIterator[tuple[Stream, Stream, "asyncio.Task[None]"]]:
    """Both streams, and the task that serves the second."""
    ours, theirs = stream_pair(chunk)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        yield ours, theirs, tasks.create_task(RpcServer(methods, **options).serve(theirs))


def refused(text: str) -> Any:
    return pytest.raises(Refused, match=f"^{text}$")


def calls(*methods: str) -> bytes:
    client = ClientSide()
    return b"".join(client.call(method, INT, n, INT)[1] for n, method in enumerate(methods))


async def test_a_handler_answers() -> None:
    async with serving({"t.Double": Method(INT, INT, double)}) as (rpc, _):
        assert await rpc.call("t.Double", INT, 21, INT) == 42


async def test_calls_nobody_answers_leave_the_connection_usable() -> None:
    async with serving({"t.Double": Method(INT, INT, double)}) as (rpc, _):
        with refused("rpc: can't find method t.Nope"):
            await rpc.call("t.Nope", STRING, "x", INT)
        with refused("rpc: can't find service whitelist.Whitelist"):
            await rpc.call("whitelist.Whitelist", EMPTY, None, INT)
        with refused("rpc: service/method request ill-formed: Double"):
            await rpc.call("Double", INT, 1, INT)
        with refused(r"gob: decoding into local type \*int, received remote type string"):
            await rpc.call("t.Double", STRING, "x", INT)
        assert await rpc.call("t.Double", INT, 21, INT) == 42


def failing(error: BaseException) -> Handler:
    async def handler(_: Any) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GoError("EOF"), "EOF"),
        (Conflict("a pty session is already running"), "a pty session is already running"),
        (StreamReset("read: reset"), "read: reset"),
        (TimeoutError(), "timed out"),
        (GoError(""), "timed out"),
        (LocalProtocolError("a bug"), "internal error"),
        (ValueError("secret"), "internal error"),
        (asyncio.CancelledError(), "internal error"),
    ],
)
@pytest.mark.parametrize("ordered", [True, False])
async def test_errors_become_texts(error: BaseException, text: str, ordered: bool) -> None:
    methods = {"t.Fail": Method(EMPTY, EMPTY, failing(error), ordered)}
    async with serving(methods) as (rpc, _):
        for _ in range(2):  # the second shows that the first did no harm
            with refused(text):
                await rpc.call("t.Fail", EMPTY, None, EMPTY)


async def test_an_unexpected_error_is_logged_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving({"t.Fail": Method(EMPTY, EMPTY, failing(ValueError("x")))}) as (rpc, _):
        with refused("internal error"):
            await rpc.call("t.Fail", EMPTY, None, EMPTY)
    assert "rpc handler failed method=t.Fail" in caplog.text


async def test_a_reply_that_cannot_be_written_is_an_internal_error() -> None:
    methods = {"t.Text": Method(INT, STRING, double), "t.Double": Method(INT, INT, double)}
    async with serving(methods) as (rpc, _):
        with refused("internal error"):
            await rpc.call("t.Text", INT, 1, STRING)
        assert await rpc.call("t.Double", INT, 1, INT) == 2


async def test_a_blocked_handler_does_not_hold_up_others() -> None:
    data = asyncio.Event()

    async def read(size: int) -> bytes:
        await data.wait()
        return bytes(size)

    async def write(item: bytes) -> int:
        data.set()
        return len(item)

    methods = {
        "pty.Read": Method(INT, BYTES, read),
        "pty.Write": Method(BYTES, INT, write, ordered=True),
    }
    async with serving(methods) as (rpc, _):
        reading = asyncio.ensure_future(rpc.call("pty.Read", INT, 3, BYTES))
        assert await rpc.call("pty.Write", BYTES, b"x", INT) == 1
        assert await reading == b"\0\0\0"


async def test_ordered_methods_run_one_after_the_other_as_they_came() -> None:  # trap pty 4
    log: list[str] = []

    def slow(name: str, turns: int) -> Handler:
        async def handler(value: int) -> int:
            log.append(f"{name}{value} starts")
            for _ in range(turns):
                await asyncio.sleep(0)
            log.append(f"{name}{value} ends")
            return value

        return handler

    methods = {
        "t.A": Method(INT, INT, slow("A", 5), ordered=True),
        "t.B": Method(INT, INT, slow("B", 0), ordered=True),
    }
    async with serving(methods) as (rpc, _):
        names = ["t.A", "t.B", "t.B", "t.A", "t.B"]
        async with asyncio.TaskGroup() as tasks:
            for n, name in enumerate(names):
                tasks.create_task(rpc.call(name, INT, n, INT))
    expected = [
        f"{name[2:]}{n} {what}" for n, name in enumerate(names) for what in ("starts", "ends")
    ]
    assert log == expected


async def test_a_reply_is_never_more_than_one_write() -> None:
    async with raw({"t.Double": Method(INT, INT, double)}) as (ours, theirs, _):
        writes: list[bytes] = []
        write = theirs.write

        async def counted(data: bytes) -> None:
            writes.append(data)
            await write(data)

        theirs.write = counted  # type: ignore[method-assign]
        await ours.write(calls("t.Double", "t.Nope"))
        await ours.write_eof()
        while await ours.read():
            pass
        assert 1 <= len(writes) <= 2


class Gate:
    """A handler that waits until `open`."""

    def __init__(self) -> None:
        self.running = self.cancelled = 0
        self.open = asyncio.Event()
        self._changed = asyncio.Condition()

    async def __call__(self, value: int) -> int:
        self.running += 1
        async with self._changed:
            self._changed.notify_all()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
            async with self._changed:
                self._changed.notify_all()
        return value

    async def has(self, count: int) -> None:
        """Until `count` calls are in it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.running == count)


@pytest.mark.parametrize("ordered", [True, False])
async def test_calls_over_the_limit_wait_for_a_place(ordered: bool) -> None:
    gate = Gate()
    methods = {"t.Wait": Method(INT, INT, gate, ordered)}
    async with serving(methods, max_calls=3) as (rpc, _):
        tasks = [asyncio.ensure_future(rpc.call("t.Wait", INT, n, INT)) for n in range(10)]
        await gate.has(1 if ordered else 3)
        for _ in range(20):  # turns in which a further one could start
            await asyncio.sleep(0)
        assert gate.running == (1 if ordered else 3)
        gate.open.set()
        assert await asyncio.gather(*tasks) == list(range(10))
        gate.open.clear()  # the places are as many as before
        again = [asyncio.ensure_future(rpc.call("t.Wait", INT, n, INT)) for n in range(10)]
        await gate.has(1 if ordered else 3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.running == (1 if ordered else 3)
        gate.open.set()
        await asyncio.gather(*again)


async def test_a_peer_that_leaves_all_places_busy_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "BUSY_TIME", 0.01)
    gate = Gate()
    async with raw({"t.Wait": Method(INT, INT, gate)}, max_calls=2) as (ours, _, task):
        await ours.write(calls("t.Wait", "t.Wait"))
        await gate.has(2)
        await asyncio.sleep(0.03)
        assert not task.done()  # no more calls are waiting
        await ours.write(calls("t.Wait", "t.Wait")[-30:])
        await task
        assert gate.cancelled == 2
    assert "calls are unanswered" in caplog.text or "rpc connection broken" in caplog.text


async def test_at_the_end_of_input_running_calls_are_answered() -> None:
    gate = Gate()
    async with raw({"t.Wait": Method(INT, INT, gate)}) as (ours, _, task):
        await ours.write(calls("t.Wait", "t.Wait"))
        await ours.write_eof()
        await gate.has(2)
        gate.open.set()
        data = b""
        while more := await ours.read():
            data += more
        client = ClientSide()
        for _ in range(2):
            client.call("t.Wait", INT, 0, INT)
        assert sorted(reply.value for reply in client.receive_data(data)) == [0, 1]
        await task


async def test_calls_that_go_on_too_long_after_the_end_are_cancelled() -> None:
    gate = Gate()
    async with raw({"t.Wait": Method(INT, INT, gate)}, drain_time=0.01) as (ours, _, task):
        await ours.write(calls("t.Wait"))
        await gate.has(1)
        await ours.write_eof()
        await task
        assert gate.cancelled == 1
        assert await ours.read() == b""


async def test_handlers_that_only_wait_to_tell_the_peer_end_with_its_input() -> None:
    read, write = Gate(), Gate()
    methods = {
        "pty.Read": Method(INT, INT, read, for_peer=True),
        "pty.Write": Method(INT, INT, write),
    }
    async with raw(methods) as (ours, _, task):
        await ours.write(calls("pty.Read", "pty.Write", "pty.Read"))
        await read.has(2)
        await write.has(1)
        await ours.write_eof()
        await read.has(0)
        assert (read.cancelled, write.running) == (2, 1)
        write.open.set()
        await task
        assert write.cancelled == 0


@pytest.mark.parametrize("ordered", [True, False])
async def test_the_handlers_of_a_dead_connection_are_cancelled(ordered: bool) -> None:
    gate = Gate()
    async with raw({"t.Wait": Method(INT, INT, gate, ordered)}) as (ours, theirs, task):
        await ours.write(calls("t.Wait", "t.Wait"))
        await gate.has(1 if ordered else 2)
        ours.abort()
        await task
        assert gate.running == 0
        assert gate.cancelled == (1 if ordered else 2)
        with pytest.raises(StreamError):
            await theirs.read()


async def test_cancelling_the_server_cancels_its_handlers_and_closes() -> None:
    gate = Gate()
    ours, theirs = stream_pair()
    task = asyncio.ensure_future(RpcServer({"t.Wait": Method(INT, INT, gate)}).serve(theirs))
    await ours.write(calls("t.Wait"))
    await gate.has(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.cancelled == 1
    assert await ours.read() == b""


async def test_a_peer_that_reads_nothing_costs_only_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "BUSY_TIME", 0.02)

    async def flood(_: int) -> bytes:
        return bytes(300_000)

    async with raw({"t.Flood": Method(INT, BYTES, flood)}, max_calls=2) as (ours, _, task):
        await ours.write(calls(*["t.Flood"] * 10))
        await task


@pytest.mark.parametrize(
    "garbage",
    [b"\0", b"\xf7" * 9, gob.encode(STRING, "hello"), b"\xff" * 20, gob.encode(EMPTY, None)[:9]],
)
async def test_a_peer_that_breaks_the_protocol_is_dropped(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with raw({"t.Double": Method(INT, INT, double)}, chunk=1) as (ours, _, task):
        await ours.write(calls("t.Double") + garbage)
        await ours.write_eof()
        await task
    assert "Traceback" not in caplog.text


async def test_an_argument_over_the_limit_ends_the_connection() -> None:
    async def size(data: bytes) -> int:
        return len(data)

    async with serving({"t.Size": Method(BYTES, INT, size)}, max_message=1000) as (rpc, _):
        assert await rpc.call("t.Size", BYTES, bytes(990), INT) == 990
        with pytest.raises(StreamReset):
            await rpc.call("t.Size", BYTES, bytes(1000), INT)


async def test_empty_replies_are_values_not_errors() -> None:
    async def nothing(_: Any) -> None:
        return None

    replies: list[tuple[GoType, Any]] = [(INT, 0), (STRING, ""), (Slice(STRING), []), (EMPTY, None)]
    for t, empty in replies:
        result = empty

        async def handler(_: Any, result: Any = result) -> Any:
            return result

        async with serving({"t.Empty": Method(EMPTY, t, handler)}) as (rpc, _):
            assert await rpc.call("t.Empty", EMPTY, None, t) == empty


async def test_one_server_serves_many_connections() -> None:
    server = RpcServer({"t.Double": Method(INT, INT, double)})
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for n in range(20):
            ours, theirs = stream_pair(chunk=7)
            tasks.create_task(server.serve(theirs))
            async with RpcClient(ours) as rpc:
                assert await rpc.call("t.Double", INT, n, INT) == 2 * n
