"""A visor with 20 idle transports: its memory, and how much of a core it takes.

`python -m bench.bench_visor_idle`. The visor is a process of its own, connected to a dmsg server;
the far ends of its transports are in this one and answer its pings.
"""

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

import psutil

from bench.bench_rpc_summary import config, join
from bench.calibration import ecdh_rate
from bench.figures import figure
from bench.net import Child, child, network
from skywire.crypto.keys import PubKey
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.wire.packet import Packet, PacketReader, PacketType

TRANSPORTS = 20
SETTLE = 5.0  # seconds until what is done once is done
ROUNDS = 3
SECONDS = 10.0  # of one round
MEMORY_TARGET = 70.0  # MB
CPU_TARGET = 0.5  # % of a core


async def answer_pings(stream: Stream) -> None:
    reader = PacketReader()
    while data := await stream.read():
        for packet in reader.receive_data(data):
            if packet.type is PacketType.PING:
                await stream.write(Packet(PacketType.PONG, 0, packet.payload).encode())


def on_core(pid: int) -> float:
    """Seconds that all threads of a process have run; exact, unlike its CPU times."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


async def measure(visor: Child, remote: PubKey) -> tuple[list[float], list[float]]:
    """MB, and per cent of a core, of each round."""
    process = psutil.Process(visor.pid)
    tasks = Tasks("far ends")
    for _ in range(TRANSPORTS):
        stream = await join(visor.facts["stcp"], remote)
        tasks.spawn(answer_pings(stream))
    await asyncio.sleep(SETTLE)
    memory, load = [], []
    for _ in range(ROUNDS):
        before = on_core(visor.pid)
        await asyncio.sleep(SECONDS)
        load.append(100 * (on_core(visor.pid) - before) / SECONDS)
        memory.append(process.memory_info().rss / 1e6)
    assert len(tasks) == TRANSPORTS, "a transport was closed"
    await tasks.close()
    return memory, load


def main() -> None:
    ecdh = ecdh_rate()
    with network() as net, tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        public, text = config(folder)
        document = json.loads(text)
        document["dmsg"]["discovery"] = net.discovery_url
        document["pty"] = {"cli_address": f"{folder}/pty.sock"}
        document["launcher"] = {"server_addr": "127.0.0.1:0"}
        arguments = ("-m", "skywire", "visor", "-C", json.dumps(document))
        with child(*arguments, folder=Path(folder)) as visor:
            memory, load = asyncio.run(measure(visor, public))
    name = f"visor with {TRANSPORTS} idle transports"
    for what, runs, unit, target in (
        ("memory", memory, "MB", MEMORY_TARGET),
        ("share of a core", load, "%", CPU_TARGET),
    ):
        figure(
            f"{name}, {what}",
            runs,
            unit,
            target=f"≤ {target:g}",
            met=statistics.median(runs) <= target,
            calibration={"ecdh_per_s": ecdh},
        )


if __name__ == "__main__":
    main()
