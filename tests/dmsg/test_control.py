"""dmsgctrl: ping and pong on one byte each. Source: dmsg.md §14."""

import asyncio

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.dmsg import control
from skywire.dmsg.control import answer_pings, ping, serve_control
from skywire.errors import RemoteProtocolError, StreamReset
from skywire.streams.stream import Address
from skywire.testing.listener import MemoryListener
from skywire.testing.streams import stream_pair

PK = deterministic_key_pair(b"control")[0]


async def test_a_ping_is_answered_by_a_pong() -> None:
    ours, theirs = stream_pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(answer_pings(theirs))
        assert 0 <= await ping(ours) < 5
        assert 0 <= await ping(ours) < 5
        await ours.close()


async def test_pings_sent_together_are_all_answered() -> None:
    ours, theirs = stream_pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(answer_pings(theirs))
        await ours.write(b"\x09\x09\x09")
        answer = b""
        while len(answer) < 3:
            answer += await ours.read()
        assert answer == b"\x0a\x0a\x0a"
        await ours.close()


async def test_a_ping_of_the_peer_is_answered_while_we_wait() -> None:
    ours, theirs = stream_pair(chunk=1)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ping(ours))
        assert await theirs.read() == b"\x09"
        await theirs.write(b"\x09\x0a")
        assert await theirs.read() == b"\x0a"
        assert await waiting >= 0


@pytest.mark.parametrize("data", [b"\x00", b"\x09\x08", b"\x0a"])
async def test_another_byte_ends_the_control(data: bytes) -> None:
    ours, theirs = stream_pair()
    await ours.write(data)
    with pytest.raises(RemoteProtocolError, match="dmsgctrl"):
        await answer_pings(theirs)


async def test_a_wrong_answer_is_no_pong() -> None:
    ours, theirs = stream_pair()
    await theirs.write(b"\x00")
    with pytest.raises(RemoteProtocolError, match="expected a pong"):
        await ping(ours)
    ours, theirs = stream_pair()
    await theirs.close()
    with pytest.raises(StreamReset):
        await ping(ours)


async def test_a_listener_serves_many_peers_and_survives_bad_ones() -> None:
    listener = MemoryListener(Address.dmsg(PK, 7), Address("memory", "peer", 1))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_control(listener))
        bad = await listener.dial(PK, 7)
        await bad.write(b"garbage")
        first, second = await listener.dial(PK, 7), await listener.dial(PK, 7)
        assert await ping(first) >= 0
        assert await ping(second) >= 0
        with pytest.raises(StreamReset):
            await bad.read()
        await listener.close()


async def test_peers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_PEERS", 1)
    listener = MemoryListener(Address.dmsg(PK, 7), Address("memory", "peer", 1))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_control(listener))
        first = await listener.dial(PK, 7)
        assert await ping(first) >= 0
        with pytest.raises(StreamReset):
            await ping(await listener.dial(PK, 7))
        await first.close()
        await listener.close()


async def test_a_silent_peer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_LIMIT", 0.01)
    _, theirs = stream_pair()
    with pytest.raises(TimeoutError):
        await answer_pings(theirs)
