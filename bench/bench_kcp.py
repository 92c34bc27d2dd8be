"""KCP: bytes per second on loopback between two processes, and over a simulated link with loss.

Wanted: 20 MB/s without loss with the reference's window and segment size (a pair of the reference
reaches 0.4), and half of window / round trip with 2 % loss and 40 ms delay.
"""

import asyncio
import sys
import time

from bench.figures import figure
from bench.net import child, report
from skywire.errors import StreamError
from skywire.streams.udp import open_udp
from skywire.testing.pair import Link, Pair
from skywire.wire.kcp import MSS, WINDOW, Kcp

ROUNDS = 5
BULK = 64_000_000  # bytes of one run
CHUNK = 64 * 1024
TIME_LIMIT = 30.0  # seconds for one run
TARGET = 20.0  # MB/s
LOSSY = Link(delay=40, loss=0.02)
LOSSY_BULK = 4_000_000
LOSSY_TARGET = 0.5  # of window / round trip


async def far() -> None:
    """Count what each session says it will send, then answer."""
    socket = await open_udp("127.0.0.1")
    listener = socket.listen()
    report(port=socket.address.port)
    while True:
        stream = await listener.accept()
        try:
            left = int.from_bytes((await stream.read(8)), "big")
            while left:
                left -= len(await stream.read())
            await stream.write(b"counted")
            await stream.close()
        except StreamError as error:
            print(error, file=sys.stderr)


async def bulk(port: int, size: int) -> float:
    """MB/s, MB = 10^6 bytes."""
    size -= size % CHUNK
    socket = await open_udp("127.0.0.1")
    try:
        async with asyncio.timeout(TIME_LIMIT):
            stream = socket.dial(("127.0.0.1", port))
            chunk = bytes(CHUNK)
            start = time.perf_counter()
            await stream.write(size.to_bytes(8, "big"))
            for _ in range(size // CHUNK):
                await stream.write(chunk)
            await stream.read()
            seconds = time.perf_counter() - start
            await stream.close()
    finally:
        await socket.close()
    return size / seconds / 1e6


def simulated(link: Link) -> float:
    """The share of window / round trip that is reached."""
    a, b = Kcp(1), Kcp(1)
    pair = Pair(a, b, link)
    left = LOSSY_BULK
    a.send(bytes(left))

    def done() -> bool:
        nonlocal left
        while (message := b.read_message()) is not None:
            left -= len(message)
        return left == 0

    return LOSSY_BULK / pair.run(done) / (WINDOW * MSS / (2 * link.delay))


async def measure(port: int) -> list[float]:
    await bulk(port, BULK // 4)
    return [await bulk(port, BULK) for _ in range(ROUNDS)]


def main() -> None:
    with child("-m", "bench.bench_kcp", "far") as peer:
        runs = asyncio.run(measure(peer.facts["port"]))
    figure(
        "KCP, bulk on loopback",
        runs,
        "MB/s",
        target=f"≥ {TARGET:g} MB/s",
        met=sorted(runs)[ROUNDS // 2] >= TARGET,
    )
    shares = [
        simulated(Link(delay=LOSSY.delay, loss=LOSSY.loss, seed=seed)) for seed in range(ROUNDS)
    ]
    figure(
        "KCP, 2 % loss and 40 ms delay, simulated",
        shares,
        "of window/RTT",
        target=f"≥ {LOSSY_TARGET}",
        met=sorted(shares)[ROUNDS // 2] >= LOSSY_TARGET,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["far"]:
        asyncio.run(far())
    else:
        main()
