import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import StreamReset
from skywire.streams import asyncio_adapter
from skywire.streams.asyncio_adapter import StreamTransport
from skywire.streams.stream import Address, Stream
from skywire.testing.streams import HIGH_WATER, MemoryStream, stream_pair


class Recorder(asyncio.Protocol):
    """Remembers what the transport tells it."""

    def __init__(self, keeps_half_open: bool = False) -> None:
        self.transport: asyncio.Transport | None = None
        self.data = bytearray()
        self.calls: list[str] = []
        self.lost: list[Exception | None] = []
        self.changed = asyncio.Event()
        self._keeps_half_open = keeps_half_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self._keeps_half_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")
        self.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)
        self.changed.set()


async def until(protocol: Recorder, true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            protocol.changed.clear()
            await protocol.changed.wait()


@asynccontextmanager
async def connected(
    protocol: Recorder, chunk: int = 65536
) -> AsyncIterator[tuple[StreamTransport, Stream]]:
    """A running transport and the stream at the far end; ends when the transport ends."""
    ours, theirs = stream_pair(chunk=chunk)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        transport = StreamTransport(ours, protocol)
        running = tasks.create_task(transport.run())
        yield transport, theirs
        await running
    assert isinstance(ours, MemoryStream)
    assert ours.closed


async def drain(stream: Stream) -> int:
    total = 0
    while data := await stream.read():
        total += len(data)
    return total


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_bytes_both_ways_and_an_orderly_end() -> None:
    protocol = Recorder()
    async with connected(protocol, chunk=3) as (transport, peer):
        assert protocol.transport is transport
        await peer.write(b"hello protocol")
        await until(protocol, lambda: protocol.data == b"hello protocol")
        transport.write(b"one ")
        transport.writelines([b"two ", bytearray(b"three"), memoryview(b"!")])
        transport.close()
        transport.close()
        transport.write(b"dropped")
        assert transport.is_closing()
        received = b""
        while piece := await peer.read():
            received += piece
        assert received == b"one two three!"
    assert protocol.lost == [None]


async def test_the_peers_end_closes_unless_the_protocol_wants_to_go_on() -> None:
    closing, going_on = Recorder(), Recorder(keeps_half_open=True)
    async with connected(closing) as (_, peer):
        await peer.write_eof()
        assert await peer.read() == b""
    async with connected(going_on) as (transport, peer):
        await peer.write_eof()
        await until(going_on, lambda: True)
        transport.write(b"still here")
        assert await peer.read() == b"still here"
        assert not transport.is_closing()
        transport.close()
    assert closing.calls == going_on.calls == ["eof"]
    assert closing.lost == going_on.lost == [None]


async def test_write_eof_ends_our_direction_only() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        assert transport.can_write_eof()
        transport.write(b"request")
        transport.write_eof()
        assert await peer.read() == b"request"
        assert await peer.read() == b""
        await peer.write(b"answer")
        await until(protocol, lambda: protocol.data == b"answer")
        transport.close()


async def test_no_write_eof_over_dmsg() -> None:
    ours, _ = stream_pair(b=Address("dmsg", "02" * 33, 80))
    assert not StreamTransport(ours, Recorder()).can_write_eof()


async def test_a_paused_protocol_gets_nothing_until_it_resumes() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        transport.pause_reading()
        assert not transport.is_reading()
        await peer.write(b"early")
        await settle()
        assert not protocol.data
        transport.resume_reading()
        await until(protocol, lambda: protocol.data == b"early")
        transport.pause_reading()
        flood = asyncio.ensure_future(peer.write(bytes(2 * HIGH_WATER)))
        await settle()
        assert not flood.done()  # the peer is stopped, too
        flood.cancel()
        transport.close()


async def test_a_peer_that_does_not_read_pauses_the_protocol() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        total = 0
        while "pause" not in protocol.calls:
            transport.write(bytes(10_000))
            total += 10_000
            assert total < 2 * HIGH_WATER + 1_000_000
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() > asyncio_adapter.HIGH_WATER
        received = 0
        while received < total:
            received += len(await peer.read())
        await until(protocol, lambda: "resume" in protocol.calls)
        assert protocol.calls == ["pause", "resume"]
        assert transport.get_write_buffer_size() <= asyncio_adapter.LOW_WATER
        transport.close()


async def test_a_protocol_that_ignores_the_pause_is_cut_off() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, _):
        transport.write(
            bytes(asyncio_adapter.MAX_BUFFERED + 2 * HIGH_WATER)
        )  # one write may be big
        assert not transport.is_closing()
        for _ in range(3):
            transport.write(b"more")
        assert transport.is_closing()
    assert [type(error) for error in protocol.lost] == [ConnectionResetError]


async def test_a_big_write_arrives_whole() -> None:
    protocol = Recorder()
    blob = bytes(range(256)) * 8192
    async with connected(protocol) as (transport, peer):
        transport.write(blob)
        transport.close()
        received = bytearray()
        while piece := await peer.read():
            received += piece
        assert received == blob


async def test_a_peer_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio_adapter, "WRITE_TIMEOUT", 0.02)
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        transport.write(bytes(4 * HIGH_WATER))
        await until(protocol, lambda: protocol.lost)
        with pytest.raises(StreamReset):
            await drain(peer)
    assert isinstance(protocol.lost[0], ConnectionResetError)


async def test_a_close_is_not_held_up_by_a_peer_that_never_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio_adapter, "FLUSH_TIMEOUT", 0.02)
    protocol = Recorder()
    async with connected(protocol) as (transport, _):
        transport.write(bytes(4 * HIGH_WATER))
        await asyncio.sleep(0)
        transport.close()
    assert isinstance(protocol.lost[0], ConnectionResetError)


async def test_a_reset_by_the_peer_is_an_oserror_for_the_protocol() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        peer.abort()
        await until(protocol, lambda: protocol.lost)
        assert transport.is_closing()
    assert isinstance(protocol.lost[0], ConnectionResetError)


async def test_abort_drops_what_is_buffered() -> None:
    protocol = Recorder()
    async with connected(protocol) as (transport, peer):
        transport.write(b"never")
        transport.abort()
        with pytest.raises(StreamReset):
            await peer.read()
    assert protocol.lost == [None]


async def test_abort_and_close_before_it_runs() -> None:
    for end in ("abort", "close"):
        protocol = Recorder()
        ours, _ = stream_pair()
        transport = StreamTransport(ours, protocol)
        getattr(transport, end)()
        async with asyncio.timeout(5):
            await transport.run()
        assert protocol.lost == [None]


async def test_cancel_aborts_the_stream_and_tells_the_protocol() -> None:
    protocol = Recorder()
    ours, theirs = stream_pair()
    task = asyncio.ensure_future(StreamTransport(ours, protocol).run())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert protocol.lost == [None]
    with pytest.raises(StreamReset):
        await theirs.read()


async def test_a_protocol_that_fails_costs_its_connection() -> None:
    class Broken(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    protocol = Broken()
    ours, theirs = stream_pair()
    await theirs.write(b"x")
    with pytest.raises(ExceptionGroup) as caught:
        await StreamTransport(ours, protocol).run()
    assert len(protocol.lost) == 1
    with pytest.raises(StreamReset):
        await theirs.read()
    assert caught.group_contains(ZeroDivisionError)


async def test_the_protocol_can_change_on_the_way() -> None:
    first, second = Recorder(), Recorder()
    async with connected(first) as (transport, peer):
        await peer.write(b"1")
        await until(first, lambda: first.data)
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        await peer.write(b"2")
        await until(second, lambda: second.data)
        transport.close()
    assert (bytes(first.data), bytes(second.data)) == (b"1", b"2")
    assert (first.lost, second.lost) == ([], [None])


async def test_extra_info_names_the_authenticated_peer() -> None:
    ours_pk, _ = key_pair()
    peer_pk, _ = key_pair()
    here, there = Address.dmsg(ours_pk, 80), Address.dmsg(peer_pk, 49153)
    ours, _ = stream_pair(a=here, b=there)
    transport = StreamTransport(ours, Recorder())
    assert transport.get_extra_info("peername") == (peer_pk.hex(), 49153)
    assert transport.get_extra_info("sockname") == (ours_pk.hex(), 80)
    assert transport.get_extra_info("remote").pk == peer_pk
    assert transport.get_extra_info("local") == here
    assert transport.get_extra_info("stream") is ours
    assert transport.get_extra_info("socket") is None


async def test_write_buffer_limits() -> None:
    ours, _ = stream_pair()
    transport = StreamTransport(ours, Recorder())
    assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    transport.set_write_buffer_limits(high=1000)
    assert transport.get_write_buffer_limits() == (250, 1000)
    transport.set_write_buffer_limits(low=10)
    assert transport.get_write_buffer_limits() == (10, 40)
    with pytest.raises(ValueError, match="must be >= low"):
        transport.set_write_buffer_limits(high=1, low=2)
