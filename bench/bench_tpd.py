"""Requests per second of the list of 1,000 transports at a discovery on SQLite, 16 connections.

`python -m bench.bench_tpd`. The service is a process pinned to one core; the client (this process,
on the other cores) asks for the whole list, some 240 KB, over kept-alive connections. The first
answer of each connection must list every transport, of the others head and size are compared. ECDH
per second is measured between the runs.
"""

import asyncio
import sys
import time

from bench.http_load import CONNECTIONS, Asking, Asks, requests_per_second
from skywire.crypto.generate import key_pair
from skywire.http.auth import SignedSession
from skywire.wire import transport
from skywire.wire.transport import Entry

TRANSPORTS = 1000
VISORS = 250
TARGET = 2500
BUFFER = 1 << 20  # bytes
COMMAND = "-m skywire svc tpd -a 127.0.0.1:0 --store sqlite:///transports.db --loglvl error"


async def fill(port: int) -> Asking:
    """Register the transports, each visor has one to each of the next four; ask for the list."""
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
    request = f"GET /all-transports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    return lambda latencies: Asker(request, latencies)


class Asker(Asks, asyncio.BufferedProtocol):
    """Asks again as soon as an answer is complete; all answers are equally long."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request = request
        self._latencies = latencies
        self._buffer = memoryview(bytearray(BUFFER))
        self._first = bytearray()  # the first answer, until its size is known
        self._size = 0
        self._received = 0
        self._sent_at = 0.0

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


def main() -> None:
    title = f"transport discovery, list of {TRANSPORTS}, {CONNECTIONS} connections, SQLite"
    requests_per_second(title, COMMAND, fill, TARGET)


if __name__ == "__main__":
    main()
