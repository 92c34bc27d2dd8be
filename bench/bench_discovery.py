"""Requests per second of `GET entry` at a discovery on SQLite, 16 connections, one core each.

    python bench/bench_discovery.py [--seconds 3] [--connections 16] [--entries 1000] [--store URL]

Prints one JSON object. The service is a process of its own, pinned to one core like the client
(this process), which asks for random entries over kept-alive connections and checks each answer's
length. At least 5,000 requests/s are wanted.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import psutil

from skywire.crypto.generate import key_pair
from skywire.dmsg.discovery import BASE_PATH, DiscoveryClient
from skywire.wire.entry import Entry, sign

WARM_UP = 0.5  # seconds that do not count


@contextmanager
def service(store: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of a running `skywire dmsg disc`."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "skywire", "dmsg", "disc", "--loglvl", "warn"]
    with subprocess.Popen(
        [*command, "-a", "127.0.0.1:0", "--store", store],
        cwd=folder,
        env=os.environ | {"SKYWIRE_READY_FD": str(writing)},
        pass_fds=[writing],
    ) as process:
        os.close(writing)
        try:
            with open(reading) as pipe:
                yield process.pid, int(json.loads(pipe.readline())["port"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


async def fill(port: int, count: int) -> list[bytes]:
    """Post `count` client entries; the requests that ask for them."""
    requests = []
    server, _ = key_pair()
    async with DiscoveryClient(f"http://127.0.0.1:{port}") as client:
        for _ in range(count):
            pk, sk = key_pair()
            await client.post(sign(Entry.of_client(pk, [server], "visor", now=time.time_ns()), sk))
            path = f"{BASE_PATH}/entry/{pk}"
            requests.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return requests


class Asker(asyncio.Protocol):
    """Asks again as soon as an answer is complete; answers of one store are equally long."""

    def __init__(self, requests: list[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._received = bytearray()
        self._size = 0  # of an answer, once known
        self._sent_at = 0.0
        self.failure = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(random.choice(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size:
            head, end, _ = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._size = len(head) + len(end) + int(length)
        if len(self._received) >= self._size:
            if len(self._received) > self._size or not self._received.startswith(b"HTTP/1.1 200"):
                self.failure = bytes(self._received[:80]).decode(errors="replace")
                self._transport.abort()
                return
            self._latencies.append(time.perf_counter() - self._sent_at)
            self._received.clear()
            self._ask()


async def load(
    pid: int, port: int, requests: list[bytes], connections: int, seconds: float
) -> tuple[list[float], float]:
    """Seconds each answer took, and CPU seconds of the service."""
    service = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    made = [
        await loop.create_connection(lambda: Asker(requests, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP)
    latencies.clear()
    before = service.cpu_times()
    await asyncio.sleep(seconds)
    after = service.cpu_times()
    counted = latencies.copy()
    for transport, asker in made:
        transport.abort()
        if asker.failure:
            sys.exit(f"a request failed: {asker.failure}")
    return counted, after.user + after.system - before.user - before.system


def measure(
    seconds: float = 3.0, connections: int = 16, entries: int = 1000, store: str = ""
) -> dict[str, object]:
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="bench-discovery-") as folder,
        service(store or "sqlite:///discovery.db", Path(folder)) as (pid, port),
    ):
        requests = asyncio.run(fill(port, entries))
        os.sched_setaffinity(pid, {cores[-1]})
        os.sched_setaffinity(0, set(cores[:-1]) or {cores[0]})
        try:
            latencies, cpu = asyncio.run(load(pid, port, requests, connections, seconds))
        finally:
            os.sched_setaffinity(0, set(cores))
    return {
        "figure": "discovery_get_entry",
        "requests_per_second": round(len(latencies) / seconds),
        "requests_per_cpu_second": round(len(latencies) / cpu),
        "p50_ms": round(median(latencies) * 1000, 3),
        "p99_ms": round(quantiles(latencies, n=100)[-1] * 1000, 3),
        "connections": connections,
        "entries": entries,
        "store": store.partition(":")[0] or "sqlite",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--store", default="", help="default: a new SQLite file")
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
