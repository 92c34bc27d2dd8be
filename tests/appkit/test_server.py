"""The app server: garbage, silence, deadlines, events to apps."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from skywire.appkit import events as event_limits
from skywire.appkit import server as limits
from skywire.appkit.client import AppClient
from skywire.appkit.events import TCP_DIAL, Subscriber
from skywire.appkit.ingress import CLOSED_PIPE
from skywire.appkit.types import (
    Addr,
    DeadlineReq,
    DialResp,
    ReadReq,
    ReadResp,
    WriteReq,
    WriteResp,
)
from skywire.config.values import HostPort
from skywire.errors import InvalidValue, Refused, StreamError
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.wire.app_hello import Hello, ProcKey
from skywire.wire.gob_types import EMPTY, UINT16, ZERO_TIME, GoTime
from tests.appkit.kit import FAR, KEY, SOON, Bench, bench


async def raw(made: Bench) -> Stream:
    address = HostPort(made.config.app_server_addr)
    async with asyncio.timeout(SOON):
        return await dial_tcp(address.host, address.port)


async def ends(stream: Stream) -> bool:
    try:
        return await stream.read() == b""
    except StreamError:
        return True


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0",
        b"\xff\xff",
        b"\0\x02{}",
        Hello(ProcKey(bytes(16))).encode(),
        Hello(KEY).encode() + b"\xff" * 1000,
        Hello(KEY).encode() + b"GET / HTTP/1.1\r\n\r\n" * 10,
    ],
    ids=["empty", "long", "no key", "unknown key", "no gob", "http"],
)
async def test_garbage_ends_its_connection_and_nothing_else(data: bytes) -> None:
    async with bench() as made:
        stream = await raw(made)
        await stream.write(data)
        assert await ends(stream)
        await stream.close()
        if not made.proc.attached:  # the app itself is let in all the same
            async with made.client() as app:
                await app.set_status("here")


async def test_silence_is_cut_and_the_next_one_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELLO_LIMIT", 0.05)
    async with bench() as made:
        silent = await raw(made)
        await silent.write(Hello(KEY).encode()[:5])
        assert await ends(silent)
        async with made.client() as app:
            await app.set_status("here")


def after(seconds: float) -> GoTime:
    return GoTime.from_unix_ns(time.time_ns() + round(seconds * 1e9))


async def test_deadlines_can_be_moved_while_a_read_waits() -> None:
    async with bench() as made, made.client() as app:
        dialled: DialResp = await app.call("Dial", Addr, Addr("skynet", FAR, 9), DialResp)
        number = dialled.conn_id
        read = ReadReq(number, 100)

        async def limit(method: str, moment: GoTime) -> None:
            await app.call(method, DeadlineReq, DeadlineReq(number, moment), EMPTY)

        await limit("SetReadDeadline", after(-1))
        got: ReadResp = await app.call("Read", ReadReq, read, ReadResp)
        assert got.error is not None
        assert (got.error.text, got.error.is_timeout) == ("timeout", True)
        await limit("SetReadDeadline", after(60))
        waiting = app.ask("Read", ReadReq, read, ReadResp)
        await limit("SetDeadline", after(0.02))
        late: ReadResp = await waiting
        assert late.error is not None
        assert late.error.is_timeout
        await limit("SetDeadline", ZERO_TIME)
        again = app.ask("Read", ReadReq, read, ReadResp)
        await made.skynet.far[0].write(b"it was worth waiting")
        assert (await again).data == b"it was worth waiting"
        await limit("SetWriteDeadline", after(-1))
        written: WriteResp = await app.call("Write", WriteReq, WriteReq(number, b"x"), WriteResp)
        assert written.error is not None
        assert written.error.is_timeout
        with pytest.raises(Refused, match="no conn with key 77"):
            await app.call("SetDeadline", DeadlineReq, DeadlineReq(77, ZERO_TIME), EMPTY)


async def test_odd_sizes_and_a_close_while_a_read_waits() -> None:
    async with bench() as made, made.client() as app:
        dialled: DialResp = await app.call("Dial", Addr, Addr("skynet", FAR, 9), DialResp)
        number = dialled.conn_id
        for size in (0, -1, -(1 << 60)):
            with pytest.raises(Refused, match="expected 1 or more"):
                await app.call("Read", ReadReq, ReadReq(number, size), ReadResp)
        waiting = app.ask("Read", ReadReq, ReadReq(number, 1 << 60), ReadResp)
        await app.call("CloseConn", UINT16, number, EMPTY)
        got: ReadResp = await waiting
        assert got.error is not None
        assert got.error.text == CLOSED_PIPE


async def test_a_waiting_accept_holds_up_no_other_call() -> None:
    async with bench() as made, made.client() as app:
        listeners = [await app.listen(port) for port in range(1, 4)]
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(listener.accept()) for listener in listeners]
            await eventually(lambda: len(made.proc.connections) == 3)
            await app.set_status("not held up")
            for port in (3, 1, 2):
                made.skynet.connect(port)
            await asyncio.wait(waiting)
        assert [task.result().local.port for task in waiting] == [1, 2, 3]


# Events


async def test_events_arrive_before_the_teller_goes_on() -> None:
    seen: list[tuple[str, str, str]] = []
    async with (
        bench() as made,
        AppClient(made.config, lambda *event: seen.append(event)) as app,
    ):
        await app.set_status("here")
        await eventually(lambda: made.events._subscribers)
        await made.events.tell(TCP_DIAL, "tcp", "192.0.2.1:8080")
        assert seen == [(TCP_DIAL, "tcp", "192.0.2.1:8080")]
        await made.events.tell("other", "tcp", "192.0.2.1:8080")
        assert len(seen) == 1


async def test_an_app_that_takes_no_events_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_limits, "TELL_LIMIT", 0.05)

    def fail(*_: str) -> None:
        raise InvalidValue("not now")

    async with bench() as made, AppClient(made.config, fail) as app:
        await eventually(lambda: made.events._subscribers)
        await made.events.tell(TCP_DIAL, "tcp", "192.0.2.1:8080")
        assert made.events._subscribers == []
        await made.events.tell(TCP_DIAL, "tcp", "192.0.2.1:8080")
        await app.set_status("it runs on")


@pytest.mark.parametrize("address", ["192.0.2.1:5", "127.0.0.1:0", "nowhere", "127.0.0.1:x"])
async def test_the_visor_dials_no_other_machine_for_an_app(address: str) -> None:
    hello = Hello(KEY, "tcp", address, frozenset({TCP_DIAL}))
    with pytest.raises(InvalidValue):
        await raises(Subscriber("x", hello).connect())
    async with bench() as made:
        stream = await raw(made)
        await stream.write(hello.encode())
        await eventually(lambda: made.proc.attached)  # the app runs on without
        await stream.close()


async def raises(work: Awaitable[object]) -> None:
    await work
