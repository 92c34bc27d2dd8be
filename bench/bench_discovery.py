"""Requests per second of `GET entry` at a discovery on SQLite, 16 connections.

`python -m bench.bench_discovery`. The service is a process pinned to one core; the client (this
process, on the other cores) asks for random entries over kept-alive connections and checks each
answer. ECDH per second is measured between the runs.
"""

import time

from bench.http_load import CONNECTIONS, Asker, Asking, requests_per_second
from skywire.crypto.generate import key_pair
from skywire.dmsg.discovery import BASE_PATH, DiscoveryClient
from skywire.wire.entry import Entry, sign

ENTRIES = 1000
TARGET = 5000
COMMAND = "-m skywire dmsg disc -a 127.0.0.1:0 --store sqlite:///discovery.db --loglvl error"


async def fill(port: int) -> Asking:
    """Post client entries; ask for any of them."""
    requests = []
    server, _ = key_pair()
    async with DiscoveryClient(f"http://127.0.0.1:{port}") as client:
        for _ in range(ENTRIES):
            pk, sk = key_pair()
            await client.post(sign(Entry.of_client(pk, [server], "visor", now=time.time_ns()), sk))
            path = f"{BASE_PATH}/entry/{pk}"
            requests.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return lambda latencies: Asker(requests, latencies, b"200")


def main() -> None:
    title = f"discovery GET entry, {CONNECTIONS} connections, SQLite"
    requests_per_second(title, COMMAND, fill, TARGET)


if __name__ == "__main__":
    main()
