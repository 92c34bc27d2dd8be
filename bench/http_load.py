"""Asks an HTTP service over kept-alive connections, as fast as it answers."""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import Child, child

CONNECTIONS = 16
ROUNDS = 5
SECONDS = 2.0  # of one round
WARM_UP = 0.3  # seconds that do not count


class Asks(asyncio.BaseProtocol):
    """Asks again and again; `failure` is why it gave up, if it did."""

    failure = ""


Asking = Callable[[list[float]], Asks]  # makes one connection's; the list gets its latencies


def post(port: int, path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Asker(Asks, asyncio.Protocol):
    """Asks again as soon as an answer is complete."""

    def __init__(self, requests: Sequence[bytes], latencies: list[float], status: bytes) -> None:
        self._requests = requests
        self._latencies = latencies
        self._status = b"HTTP/1.1 " + status
        self._received = bytearray()
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(random.choice(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        if not head.startswith(self._status) or len(body) > int(length):
            self.failure = bytes(self._received[:200]).decode(errors="replace")
            self._transport.abort()
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._received.clear()
        self._ask()


async def load(
    pid: int, port: int, asking: Asking, connections: int, seconds: float
) -> tuple[list[float], float]:
    """Seconds each answer took, and CPU seconds of process `pid`."""
    service = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    made = [
        await loop.create_connection(lambda: asking(latencies), "127.0.0.1", port)
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


class Taken(NamedTuple):
    """Of each round: requests per second of time and of the service's CPU, median and 99th
    percentile in ms, ECDH per second before it."""

    rates: list[float]
    cpu_rates: list[float]
    medians: list[float]
    tails: list[float]
    ecdh: list[float]


def rounds(service: Child, asking: Asking, connections: int = CONNECTIONS) -> Taken:
    """The service gets one core for itself, the others are ours."""
    taken = Taken([], [], [], [], [])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(service.pid, {cores[-1]})
    os.sched_setaffinity(0, set(cores[:-1] or cores))
    for _ in range(ROUNDS):
        taken.ecdh.append(ecdh_rate())
        latencies, cpu = asyncio.run(
            load(service.pid, service.facts["port"], asking, connections, SECONDS)
        )
        taken.rates.append(len(latencies) / SECONDS)
        taken.cpu_rates.append(len(latencies) / cpu)
        taken.medians.append(statistics.median(latencies) * 1000)
        taken.tails.append(statistics.quantiles(latencies, n=100)[98] * 1000)
    os.sched_setaffinity(0, set(cores))
    return taken


def requests_per_second(
    title: str, command: str, fill: Callable[[int], Awaitable[Asking]], target: float
) -> None:
    """Print this figure of the service that `command` starts. `fill(port)` gives it something to
    answer from, and says what is asked.
    """

    async def filled(port: int) -> Asking:
        return await fill(port)

    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        child(*command.split(), folder=Path(folder)) as service,
    ):
        taken = rounds(service, asyncio.run(filled(service.facts["port"])))
    figure(
        title,
        taken.rates,
        "1/s",
        target=f"≥ {target:g}",
        met=statistics.median(taken.rates) >= target,
        calibration={"ecdh_per_s": statistics.median(taken.ecdh)},
        ratio=ratios(taken.rates, taken.ecdh),
        per_cpu_second=round(statistics.median(taken.cpu_rates)),
        p50_ms=round(statistics.median(taken.medians), 3),
    )
