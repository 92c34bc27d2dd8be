"""RPC calls of `Summary` per second at a visor with 20 transports, one call after another.

`python -m bench.bench_rpc_summary`. The visor is a process pinned to one core; the client (this
process, on the other cores) decodes each answer. ECDH per second is measured between the runs.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import child
from skywire.config.values import HostPort
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.transport.networks import Identity, secure_dial
from skywire.transport.settling import settle_dialled
from skywire.visor import ops_info
from skywire.visor.client import RemoteVisor
from skywire.wire.transport import STCP

TRANSPORTS = 20
ROUNDS = 5
SECONDS = 2.0  # of one round
TARGET = 500


def config(folder: str) -> tuple[PubKey, str]:
    """Of a visor that knows nobody, and its key."""
    public, secret = key_pair()
    document = {
        "sk": secret.hex(),
        "dmsg": {"discovery": "http://127.0.0.1:9"},
        "pty": None,
        "skywire-tcp": {"listening_address": "127.0.0.1:0"},
        "transport": {"log_store": {"type": "memory"}},
        "cli_addr": "127.0.0.1:0",
        "local_path": folder,
        "log_level": "error",
    }
    return public, json.dumps(document)


async def join(address: str, remote: PubKey) -> Stream:
    """The far end of a transport of the visor's."""
    identity, place = Identity.of(*key_pair()), HostPort(address)
    raw = await dial_tcp(place.host, place.port)
    stream = await secure_dial(raw, identity, remote, STCP)
    await settle_dialled(stream, identity, remote, STCP)
    return stream


async def measure(facts: dict[str, Any], remote: PubKey) -> tuple[list[float], list[float]]:
    """Calls per second of each round, and ECDH per second before it."""
    rates, ecdh = [], []
    streams = [await join(facts["stcp"], remote) for _ in range(TRANSPORTS)]
    place = HostPort(facts["rpc"])
    async with RpcClient(await dial_tcp(place.host, place.port)) as rpc:
        visor, clock = RemoteVisor(rpc), time.perf_counter
        summary = await visor.call(ops_info.summary)
        assert summary.overview is not None
        assert len(summary.overview.transports) == TRANSPORTS
        for _ in range(ROUNDS):
            ecdh.append(ecdh_rate())
            count, begin = 0, clock()
            while clock() - begin < SECONDS:
                await visor.call(ops_info.summary)
                count += 1
            rates.append(count / (clock() - begin))
    for stream in streams:
        stream.abort()
    return rates, ecdh


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        public, document = config(folder)
        with child("-m", "skywire", "visor", "-C", document, folder=Path(folder)) as visor:
            os.sched_setaffinity(visor.pid, {cores[-1]})
            os.sched_setaffinity(0, set(cores[:-1] or cores))
            rates, ecdh = asyncio.run(measure(visor.facts, public))
    figure(
        f"RPC Summary with {TRANSPORTS} transports, one call after another",
        rates,
        "1/s",
        target=f"≥ {TARGET}",
        met=statistics.median(rates) >= TARGET,
        calibration={"ecdh_per_s": statistics.median(ecdh)},
        ratio=ratios(rates, ecdh),
    )


if __name__ == "__main__":
    main()
