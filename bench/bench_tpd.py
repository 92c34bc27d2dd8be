"""Requests per second of the list of 1,000 transports at a discovery on SQLite, 16 connections.

`python -m bench.bench_tpd`. The service is a process pinned to one core; the client (this process,
on the other cores) asks for the whole list, some 240 KB, over kept-alive connections. The first
answer of each connection must list every transport, of the others head and size are compared. ECDH
per second is measured between the runs.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import child
from skywire.crypto.generate import key_pair
from skywire.http.auth import SignedSession
from skywire.wire import transport
from skywire.wire.transport import Entry

CONNECTIONS = 16
ROUNDS = 5
SECONDS = 2.0  # of one round
WARM_UP = 0.3  # seconds that do not count
TRANSPORTS = 1000
VISORS = 250
TARGET = 2500
BUFFER = 1 << 20  # bytes
COMMAND = "-m skywire svc tpd -a 127.0.0.1:0 --store sqlite:///transports.db --loglvl error"


async def fill(port: int) -> None:
    """Register the transports: each visor has one to each of the next four."""
    keys = [key_pair() for _ in range(VISORS)]
    for n, (visor, secret) in enumerate(keys):
        own = []
        for step in range(1, TRANSPORTS // VISORS + 1):
            other, other_secret = keys[(n + step) % VISORS]
            signed = transport.sign(Entry.of(visor, other, "stcpr"), secret)
            own.append(transport.sign(signed, other_secret))
        async with SignedSession(f"http://127.0.0.1:{port}", visor, secret) as session:
            body = transport.encode_list(own)
            status, answer = await session.request("POST", "/transports/", body)
            if status != 201:
                sys.exit(f"not registered: {answer!r}")


class Asker(asyncio.BufferedProtocol):
    """Asks again as soon as an answer is complete; all answers are equally long."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request = request
        self._latencies = latencies
        self._buffer = memoryview(bytearray(BUFFER))
        self._first = bytearray()  # the first answer, until its size is known
        self._size = 0
        self._received = 0
        self._sent_at = 0.0
        self.failure = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._received = 0
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        if not self._received and bytes(self._buffer[:12]) != b"HTTP/1.1 200":
            self._fail(bytes(self._buffer[:80]).decode(errors="replace"))
            return
        self._received += count
        if not self._size:
            self._first += self._buffer[:count]
            self._learn()
        if not self._size or self._received < self._size:
            return
        if self._received > self._size:
            self._fail(f"{self._received} bytes, expected {self._size}")
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._ask()

    def _learn(self) -> None:
        head, end, body = bytes(self._first).partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        listed = len(transport.parse_entries(body))
        if listed != TRANSPORTS:
            self._fail(f"{listed} transports are listed, expected {TRANSPORTS}")
        self._size = len(self._first)

    def _fail(self, why: str) -> None:
        self.failure = why
        self._transport.abort()


async def load(pid: int, port: int) -> tuple[list[float], float]:
    """Seconds each answer took, and CPU seconds of the service."""
    request = f"GET /all-transports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    service = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    made = [
        await loop.create_connection(lambda: Asker(request, latencies), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(WARM_UP)
    latencies.clear()
    before = service.cpu_times()
    await asyncio.sleep(SECONDS)
    after = service.cpu_times()
    counted = latencies.copy()
    for made_transport, asker in made:
        made_transport.abort()
        if asker.failure:
            sys.exit(f"a request failed: {asker.failure}")
    return counted, after.user + after.system - before.user - before.system


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    rates, cpu_rates, medians, ecdh = [], [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        child(*COMMAND.split(), folder=Path(folder)) as service,
    ):
        port = service.facts["port"]
        asyncio.run(fill(port))
        os.sched_setaffinity(service.pid, {cores[-1]})
        os.sched_setaffinity(0, set(cores[:-1] or cores))
        for _ in range(ROUNDS):
            ecdh.append(ecdh_rate())
            latencies, cpu = asyncio.run(load(service.pid, port))
            rates.append(len(latencies) / SECONDS)
            cpu_rates.append(len(latencies) / cpu)
            medians.append(statistics.median(latencies) * 1000)
    figure(
        f"transport discovery, list of {TRANSPORTS}, {CONNECTIONS} connections, SQLite",
        rates,
        "1/s",
        target=f"≥ {TARGET}",
        met=statistics.median(rates) >= TARGET,
        calibration={"ecdh_per_s": statistics.median(ecdh)},
        ratio=ratios(rates, ecdh),
        per_cpu_second=round(statistics.median(cpu_rates)),
        p50_ms=round(statistics.median(medians), 3),
    )


if __name__ == "__main__":
    main()
