"""An app in another process: its streams keep the contract of all streams; who is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from skywire.appkit.client import AppClient
from skywire.appkit.network import DMSG, SKYNET
from skywire.appkit.types import PROC_CONFIG, RUNNING, ProcConfig
from skywire.errors import InvalidValue, Refused, StreamClosed, StreamReset
from skywire.streams.stream import Stream
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.wait import eventually
from skywire.wire.app_hello import ProcKey
from tests.appkit.kit import FAR, KEY, OWN, SOON, Bench, bench

TRAITS = Traits(half_close=False, reset_is_seen=False)
PORT = 9


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Bench, AppClient]]:
    async with bench() as made, made.client() as app:
        yield made, app


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Stream, Stream]]:
    """Two apps, each with an end of one stream."""
    async with connected() as (made, a), bench(ProcKey(bytes(16))) as other, other.client() as b:
        here = await a.dial(FAR, PORT)
        listener = await b.listen(PORT)
        accept = other.skynet.ports.listener(PORT)
        assert accept is not None
        accept.offer(made.skynet.far.popleft())
        yield here, await listener.accept()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    async with pair() as (a, b):
        await check(a, b, TRAITS)


async def test_a_dial_has_the_visors_key_and_port() -> None:
    async with connected() as (made, app):
        stream = await app.dial(FAR, PORT)
        assert (stream.local.pk, stream.local.port) == (OWN, 49153)
        assert (stream.remote.pk, stream.remote.port) == (FAR, PORT)
        assert stream.remote.network == SKYNET
        assert (await app.dial(FAR, PORT, DMSG)).remote.network == DMSG
        assert len(made.proc.connections) == 2
        await stream.close()
        assert len(made.proc.connections) == 1


async def test_a_refused_dial_has_the_visors_words_and_leaves_nothing() -> None:
    async with connected() as (made, app):
        made.skynet.error = "no transport found"
        with pytest.raises(Refused) as caught:
            await app.dial(FAR, PORT)
        assert caught.value.reason == "no transport found"
        with pytest.raises(Refused, match="unknown network"):
            await app.dial(FAR, PORT, "carrier pigeon")
        assert len(made.proc.connections) == 0


async def test_a_dial_that_is_given_up_leaves_no_stream_behind() -> None:
    async with connected() as (made, app):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await app.dial(FAR, PORT)
        await eventually(lambda: made.skynet.far or not made.proc.connections)
        await eventually(lambda: not len(made.proc.connections))
        stream = await app.dial(FAR, PORT)  # the connection goes on
        await stream.close()


async def test_a_port_in_use_is_told_in_gos_words() -> None:
    async with connected() as (_, app):
        listener = await app.listen(PORT)
        with pytest.raises(Refused) as caught:
            await app.listen(PORT)
        assert caught.value.reason == "port already bound"
        await listener.close()
        await (await app.listen(PORT)).close()


async def test_a_closed_listener_ends_accept_and_a_given_up_accept_loses_nobody() -> None:
    async with connected() as (made, app):
        listener = await app.listen(PORT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await listener.accept()
        made.skynet.connect(PORT)
        stream = await listener.accept()
        assert stream.remote.pk == FAR
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(outcome(listener.accept()))
            await eventually(lambda: len(made.proc.connections) == 2)
            await listener.close()
        assert isinstance(accepting.result(), StreamClosed)
        await eventually(lambda: len(made.proc.connections) == 1)


async def outcome(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001 - compared by the caller
        return error


async def test_what_the_app_says_is_known() -> None:
    async with connected() as (made, app):
        await app.set_status(RUNNING)
        await app.set_error("e" * 5000)
        await app.set_port(7)
        await app.set_connection_duration(12)
        assert (made.proc.status, made.proc.port) == (RUNNING, 7)
        assert made.proc.connection_seconds == 12
        assert len(made.proc.error) == 1024


async def test_an_unknown_key_and_a_second_connection_are_cut() -> None:
    async with connected() as (made, app):
        for key in (ProcKey(bytes(16)), KEY):
            config = ProcConfig("x", made.config.app_server_addr, key, visor_pk=OWN)
            async with AppClient(config) as other:
                with pytest.raises((StreamReset, StreamClosed)):
                    await other.set_status(RUNNING)
        await app.set_status(RUNNING)


async def test_all_ends_with_the_app() -> None:
    async with bench() as made:
        async with made.client() as app:
            await app.listen(PORT)
            await app.dial(FAR, PORT)
            far = made.skynet.far.popleft()
        await eventually(lambda: made.proc.ended)
        assert made.skynet.ports.listener(PORT) is None
        with suppress(StreamReset):
            assert await far.read() == b""


async def test_a_visor_that_goes_ends_every_stream() -> None:
    async with asyncio.timeout(SOON):
        async with bench() as made:
            app = await made.client().__aenter__()
            stream = await app.dial(FAR, PORT)
        with pytest.raises(StreamReset):
            await stream.read()
        with pytest.raises(StreamReset):
            await stream.write(b"x")
        await app.wait_closed()
        await app.__aexit__()


def test_a_process_that_no_visor_started_says_so() -> None:
    with pytest.raises(InvalidValue, match="PROC_CONFIG is not set"):
        AppClient.from_environment({})
    config = ProcConfig("x", "127.0.0.1:1", KEY, ["-a"], ["K=V"], "/tmp", OWN, 1, "/b", "/l")
    assert AppClient.from_environment({PROC_CONFIG: config.encode()}).config == config


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"app_name":1}', "\udcff"])
def test_a_broken_proc_config_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="PROC_CONFIG"):
        ProcConfig.parse(text)
