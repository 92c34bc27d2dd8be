"""Many visors in one process, for `bench_fleet`: python -m bench.fleet_visors URL HYPERVISOR COUNT

Each has a key, a dmsg session and a stream to the hypervisor of its own, all real. Of ten visors
seven live, two go away once they have been polled, one never answers: it dials again whenever it
is cut off.
"""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from typing import cast
from uuid import UUID

from bench.net import report
from skywire.crypto.generate import key_pair, random_bytes
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.control import answer_pings
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import SkywireError
from skywire.ports import DMSG_CONTROL, DMSG_HYPERVISOR
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.visor.rpc import rpc_server
from skywire.visor.types import (
    AppConfig,
    AppState,
    BuildInfo,
    DmsgServer,
    HealthInfo,
    LoadStats,
    LogEntry,
    Overview,
    Summary,
    TransportSummary,
)
from skywire.visor.visor import Visor

AT_ONCE = 16  # visors that connect
TRANSPORTS = 8
APPS = ("vpn-client", "vpn-server", "skychat", "skysocks", "skysocks-client")
LIVING, LEAVING, SILENT = "living", "leaving", "silent"
KINDS = [LIVING] * 7 + [LEAVING] * 2 + [SILENT]
START_LIMIT = 90.0  # seconds for all
POLLED_BY = 3.0  # seconds after which a leaving one leaves


class Node:
    """What the operations ask of a visor."""

    managed = None

    def __init__(self, pk: PubKey) -> None:
        self.pk = pk
        self.asked = 0
        self._overview = Overview(
            local_pk=pk,
            build_info=BuildInfo("v1.3.29", "0123456", "2026-11-24"),
            app_protocol_version="1.0",
            apps=[AppState(AppConfig(name, name, ["-x"], port=3), 1) for name in APPS],
            transports=[
                TransportSummary(
                    UUID(bytes=random_bytes(16)), pk, pk, "stcpr", LogEntry(7, 9), label="user"
                )
                for _ in range(TRANSPORTS)
            ],
            local_ip="192.168.1.7",
            public_ip="198.51.100.7",
            country_code="DE",
            hostname=f"node-{pk.hex()[:6]}",
        )

    def summary(self, load: LoadStats) -> Summary:
        self.asked += 1
        return Summary(
            overview=self._overview,
            health=self.health(),
            uptime=float(self.asked),
            dmsg_servers=[DmsgServer(self.pk, 20_000_000)],
            online=True,
            build_tag="linux",
            load=load,
        )

    def health(self) -> HealthInfo:
        return HealthInfo("healthy", "healthy", "healthy", "healthy")

    def allow_terminals(self, keys: Iterable[PubKey]) -> None: ...


async def serve(node: Node, kind: str, stream: Stream) -> None:
    if kind == SILENT:
        with suppress(SkywireError):
            while await stream.read():
                pass
    elif kind == LEAVING:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLLED_BY):
                await rpc_server(cast(Visor, node)).serve(stream)
    else:
        await rpc_server(cast(Visor, node)).serve(stream)


async def run(url: str, hypervisor: PubKey, count: int) -> None:
    tasks, turn, done = Tasks("visors"), asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(0)
    async with DiscoveryClient(url) as directory, AsyncExitStack() as stack:

        async def live(number: int) -> None:
            public, secret = key_pair()
            kind = KINDS[number % len(KINDS)]
            client = DmsgClient(public, secret, directory, update_interval=600.0)
            node = Node(public)
            async with turn:
                await stack.enter_async_context(client)
                async with asyncio.timeout(60):
                    await client.ready()
                tasks.spawn(serve_each(client.listen(DMSG_CONTROL), answer_pings, name="control"))
                async with asyncio.timeout(60):
                    stream = await client.dial(hypervisor, DMSG_HYPERVISOR)
            done.release()
            while True:
                await serve(node, kind, stream)
                stream.abort()
                if kind == LEAVING:
                    await client.close()
                    return
                with suppress(SkywireError):
                    async with asyncio.timeout(60):
                        stream = await client.dial(hypervisor, DMSG_HYPERVISOR)

        for number in range(count):
            tasks.spawn(live(number), str(number))
        async with asyncio.timeout(START_LIMIT):
            for _ in range(count):
                await done.acquire()
        report(up=count)
        try:
            await asyncio.Event().wait()
        finally:
            await tasks.close()


def main() -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(run(sys.argv[1], PubKey.parse(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
