"""What this machine does without Skywire, measured in the same run as a figure.

    this process ══TCP══ relay process ══TCP══ far process

asyncio protocols at all three places, 64 KiB writes; and secp256k1 ECDH per second.
`python -m bench.calibration` prints the three.
"""

import asyncio
import statistics
import time

from bench.figures import figure
from bench.net import Child, child, far_process
from skywire.crypto import curve
from skywire.crypto.generate import key_pair

CHUNK = 64 * 1024
BULK = 192_000_000  # bytes of one raw run
PINGS = 1500
PING = bytes(64)
ECDH_TIME = 0.2  # seconds
TIME_LIMIT = 20.0  # seconds for one run


class _Sender(asyncio.Protocol):
    """Writes as fast as it may; done when the far process has counted everything."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._counted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        self._counted.set_result(None)

    async def run(self) -> float:
        """Seconds."""
        chunk = bytes(CHUNK)
        start = time.perf_counter()
        self.transport.write(self._total.to_bytes(8, "big"))
        for _ in range(self._total // CHUNK):
            self.transport.write(chunk)
            if not self._may_write.is_set():
                await self._may_write.wait()
        await self._counted
        return time.perf_counter() - start


class _Pinger(asyncio.Protocol):
    def __init__(self, count: int) -> None:
        self._left = count
        self._received = 0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ping()

    def _ping(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(PING)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received < len(PING):
            return
        self._received = 0
        self.times.append(time.perf_counter() - self._start)
        self._left -= 1
        if self._left:
            self._ping()
        else:
            self.done.set_result(None)


class Raw:
    """The raw relay between here and a far process; a context manager of its processes."""

    def __init__(self, far: Child) -> None:
        self._far = far

    def __enter__(self) -> "Raw":
        ports = [str(self._far.facts[name]) for name in ("sink_port", "echo_port")]
        self._context = child("-m", "bench.relay", *ports)
        relay = self._context.__enter__()
        self._sink, self._echo = relay.facts["ports"]
        return self

    def __exit__(self, *details: object) -> None:
        self._context.__exit__(None, None, None)

    async def bulk(self, size: int = BULK) -> float:
        """MB/s, MB = 10^6 bytes."""
        size -= size % CHUNK
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TIME_LIMIT):
            transport, sender = await loop.create_connection(
                lambda: _Sender(size), "127.0.0.1", self._sink
            )
            seconds = await sender.run()
        transport.close()
        return size / seconds / 1e6

    async def round_trip(self, count: int = PINGS) -> float:
        """Median of 64-byte round trips, microseconds."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TIME_LIMIT):
            transport, pinger = await loop.create_connection(
                lambda: _Pinger(count), "127.0.0.1", self._echo
            )
            await pinger.done
        transport.close()
        return statistics.median(pinger.times) * 1e6


def ecdh_rate() -> float:
    """secp256k1 ECDH per second on one core."""
    public, _ = key_pair()
    _, secret = key_pair()
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + ECDH_TIME:
        for _ in range(50):
            curve.ecdh(public, secret)
        count += 50
    return count / (time.perf_counter() - start)


def main() -> None:
    async def measure(raw: Raw) -> tuple[list[float], list[float]]:
        await raw.bulk(BULK // 4)
        return (
            [await raw.bulk() for _ in range(5)],
            [await raw.round_trip() for _ in range(5)],
        )

    with far_process() as far, Raw(far) as raw:
        bulk, trips = asyncio.run(measure(raw))
    figure("raw relay, bulk", bulk, "MB/s", target="", met=True)
    figure("raw relay, 64 B round trip", trips, "µs", target="", met=True)
    figure("secp256k1 ECDH", [ecdh_rate() for _ in range(5)], "1/s", target="", met=True)


if __name__ == "__main__":
    main()
