"""An app inside the visor: the same contract, and it counts as one in a process does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.appkit import proc as limits
from skywire.appkit.in_process import LocalHost
from skywire.appkit.types import RUNNING
from skywire.errors import Conflict, DialFailed, InvalidValue, StreamClosed, Unavailable
from skywire.streams.stream import Address, Stream
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.wait import eventually
from tests.appkit.kit import FAR, OWN, SOON, proc_of

TRAITS = Traits()
PORT = 9


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Stream, Stream]]:
    """Two apps in this process, each with an end of one TCP connection."""
    (one, skynet, _), (two, other, _) = proc_of("one"), proc_of("two")
    a, b = LocalHost(one), LocalHost(two)
    tcp = await listen_tcp("127.0.0.1", 0)
    async with asyncio.timeout(SOON):
        here = await dial_tcp(tcp.address.host, tcp.address.port)
        there = await tcp.accept()
    await tcp.close()
    listeners = await a.listen(PORT), await b.listen(PORT)
    for carrier, stream in ((skynet, here), (other, there)):
        listener = carrier.ports.listener(PORT)
        assert listener is not None
        listener.offer(stream)
    yield await listeners[0].accept(), await listeners[1].accept()
    await one.close()
    await two.close()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    async with pair() as (a, b):
        await check(a, b, TRAITS)


async def test_what_it_holds_is_counted_and_freed() -> None:
    proc, skynet, _ = proc_of()
    host = LocalHost(proc)
    assert (host.pk, host.port) == (OWN, 45)
    stream = await host.dial(FAR, PORT)
    await stream.write(b"four")
    (held,) = proc.connections.values()
    assert held.sent == 4
    stream.abort()
    assert len(proc.connections) == 0
    listener = await host.listen(PORT)
    with pytest.raises(Conflict, match=r"^port already bound$"):
        await host.listen(PORT)
    await listener.close()
    assert skynet.ports.listener(PORT) is None
    assert len(proc.listeners) == 0
    await host.set_status(RUNNING)
    await host.set_error("e")
    await host.set_port(3)
    await host.set_connection_duration(5)
    assert (proc.status, proc.error, proc.port, proc.connection_seconds) == (RUNNING, "e", 3, 5)


async def test_limits_are_kept_and_a_dial_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIAL_LIMIT", 0.01)
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(limits, "MAX_LISTENERS", 1)
    proc, skynet, _ = proc_of()
    host = LocalHost(proc)
    skynet.never = True
    with pytest.raises(DialFailed, match="no answer within"):
        await host.dial(FAR, PORT)
    skynet.never = False
    for _ in range(2):
        await host.dial(FAR, PORT)
    with pytest.raises(Unavailable):
        await host.dial(FAR, PORT)
    await host.listen(PORT)
    with pytest.raises(Unavailable):
        await host.listen(PORT + 1)
    with pytest.raises(InvalidValue):
        await proc.dial(Address("skynet", "", 1))


async def test_an_app_that_has_ended_gets_no_more_streams() -> None:
    proc, skynet, _ = proc_of()
    host = LocalHost(proc)
    listener = await host.listen(PORT)
    async with asyncio.TaskGroup() as tasks:
        accepting = tasks.create_task(outcome(listener.accept()))
        await eventually(lambda: len(proc.connections))
        skynet.connect(PORT)
        proc.ended = True
        await asyncio.wait([accepting])
    assert isinstance(accepting.result(), StreamClosed)
    await proc.close()
    await proc.close()


async def outcome(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001 - compared by the caller
        return error
