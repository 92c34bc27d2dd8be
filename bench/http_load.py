"""Asks an HTTP service over kept-alive connections, as fast as it answers."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence

import psutil

WARM_UP = 0.3  # seconds that do not count


def post(port: int, path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Asker(asyncio.Protocol):
    """Asks again as soon as an answer is complete."""

    def __init__(self, requests: Sequence[bytes], latencies: list[float], status: bytes) -> None:
        self._requests = requests
        self._latencies = latencies
        self._status = b"HTTP/1.1 " + status
        self._received = bytearray()
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
    pid: int,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    status: bytes = b"200",
) -> tuple[list[float], float]:
    """Seconds each answer took, and CPU seconds of process `pid`."""
    service = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    made = [
        await loop.create_connection(lambda: Asker(requests, latencies, status), "127.0.0.1", port)
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
