"""A hypervisor with many visors on memory streams: python -m bench.page_server COUNT

For `bench_page`. Pages, API and events are those that people have; only the visors are objects of
this process. Three of ten of them go away once they have been polled.
"""

import asyncio
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import cast

from bench.bench_fleet import DEAD
from bench.fleet_visors import Node
from bench.net import report
from skywire.config.model import HypervisorConfig
from skywire.config.values import HostPort
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.hypervisor.context import Context
from skywire.hypervisor.server import serving
from skywire.hypervisor.visors import Visors
from skywire.ports import DMSG_HYPERVISOR
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.listener import MemoryListener
from skywire.visor.client import LocalVisor
from skywire.visor.rpc import rpc_server
from skywire.visor.visor import Visor

POLL_LIMIT = 90.0  # seconds until every visor has been asked once


async def no_dial(pk: PubKey, port: int, scheme: str) -> Stream:
    raise DialFailed(f"nobody at {pk}:{port}")


async def run(folder: Path, count: int) -> None:
    own, _ = key_pair()
    visors, tasks = Visors(), Tasks("visors")
    visors.attach_own(own, LocalVisor(cast(Visor, Node(own))))
    config = HypervisorConfig(
        enable_auth=False, db_path=str(folder / "users.db"), http_addr=HostPort("127.0.0.1:0")
    )
    context = Context.from_config(own, config, visors, no_dial)
    nodes = [Node(key_pair()[0]) for _ in range(count)]
    streams = []
    for node in nodes:
        listener = MemoryListener(Address.dmsg(own, DMSG_HYPERVISOR), Address.dmsg(node.pk, 50000))
        tasks.spawn(visors.serve(listener), "hypervisor")
        streams.append(await listener.dial(own, DMSG_HYPERVISOR))
        tasks.spawn(rpc_server(cast(Visor, node)).serve(streams[-1]), str(node.pk))
    async with asyncio.timeout(POLL_LIMIT):
        while any(node.asked == 0 for node in nodes):  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.2)
    for stream in streams[: round(count * DEAD)]:
        stream.abort()
    async with serving(context) as url:
        report(url=url)
        try:
            await asyncio.Event().wait()
        finally:
            await tasks.close()
            await visors.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        suppress(KeyboardInterrupt),
    ):
        asyncio.run(run(Path(folder), int(sys.argv[1])))


if __name__ == "__main__":
    main()
