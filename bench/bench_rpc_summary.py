"""RPC calls of `Summary` per second at a visor with 20 transports, one call after another.

`python -m bench.bench_rpc_summary`. The visor is a process pinned to one core; the client (this
process, on the other cores) counts the answers. ECDH per second is measured between the runs.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import Child, child
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
from skywire.wire.gob_types import ANY, EMPTY
from skywire.wire.gob_wire import read_int, read_uint
from skywire.wire.netrpc import ClientSide
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


class Rates(NamedTuple):
    calls: list[float]  # per second
    cpu: list[float]  # calls per second of the visor's processor time
    ecdh: list[float]  # per second, before each round


class Counting:
    """A client that counts answers and does not decode them, so that it is not what is measured."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._wire = ClientSide()
        self._buffer = b""

    async def call(self) -> None:
        _, request = self._wire.call("app-visor.Summary", EMPTY, None, ANY)
        await self._stream.write(request)
        values = 0
        while values < 2:  # header and body
            while (message := self._take()) is None:
                self._buffer += await self._stream.read()
            values += read_int(message, 0)[0] >= 0  # else it is a definition

    def _take(self) -> bytes | None:
        try:
            size, start = read_uint(self._buffer, 0)
        except IndexError:
            return None
        if len(self._buffer) < start + size:
            return None
        message, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
        return message


async def measure(visor: Child, remote: PubKey) -> Rates:
    rates = Rates([], [], [])
    process, clock = psutil.Process(visor.pid), time.perf_counter
    streams = [await join(visor.facts["stcp"], remote) for _ in range(TRANSPORTS)]
    place = HostPort(visor.facts["rpc"])
    async with RpcClient(await dial_tcp(place.host, place.port)) as rpc:
        summary = await RemoteVisor(rpc).call(ops_info.summary)
    assert summary.overview is not None
    assert len(summary.overview.transports) == TRANSPORTS
    stream = await dial_tcp(place.host, place.port)
    client = Counting(stream)
    for _ in range(ROUNDS):
        rates.ecdh.append(ecdh_rate())
        count, begin, before = 0, clock(), process.cpu_times()
        while clock() - begin < SECONDS:
            await client.call()
            count += 1
        after = process.cpu_times()
        rates.calls.append(count / (clock() - begin))
        rates.cpu.append(count / (after.user + after.system - before.user - before.system))
    for one in [stream, *streams]:
        one.abort()
    return rates


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        public, document = config(folder)
        with child("-m", "skywire", "visor", "-C", document, folder=Path(folder)) as visor:
            os.sched_setaffinity(visor.pid, {cores[-1]})
            os.sched_setaffinity(0, set(cores[:-1] or cores))
            rates = asyncio.run(measure(visor, public))
    figure(
        f"RPC Summary with {TRANSPORTS} transports, one call after another",
        rates.calls,
        "1/s",
        target=f"≥ {TARGET}",
        met=statistics.median(rates.calls) >= TARGET,
        calibration={"ecdh_per_s": statistics.median(rates.ecdh)},
        ratio=ratios(rates.calls, rates.ecdh),
        per_cpu_second=round(statistics.median(rates.cpu)),
    )


if __name__ == "__main__":
    main()
