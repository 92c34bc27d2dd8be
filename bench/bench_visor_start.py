"""Cold start of `skywire visor`: until it answers on its RPC, and until its dmsg entry is listed.

`python -m bench.bench_visor_start`. Each run is a new process and a new key; the clock starts
before the process does. An empty Python program of the same interpreter is timed between them.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import figure, ratios
from bench.net import STOP_LIMIT, Network, network
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import NotFound, SkywireError
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.visor import ops_info
from skywire.visor.client import RemoteVisor

ROUNDS = 10
LIMIT = 20.0  # seconds for one start
LOOK = 0.003  # seconds between looks
RPC_TARGET = 0.7  # s
ENTRY_TARGET = 1.0  # s


def configured(net: Network) -> tuple[Path, PubKey, int]:
    """A config as `cli config gen` makes it, for this network."""
    public, secret = key_pair()
    folder = net.folder / f"visor-{public.hex()[:8]}"
    folder.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    document = {
        "sk": secret.hex(),
        "pk": str(public),
        "dmsg": {"discovery": net.discovery_url, "sessions_count": 1},
        "pty": {"cli_address": str(folder / "pty.sock")},
        "skywire-tcp": {"listening_address": "127.0.0.1:0"},
        "launcher": {"server_addr": "127.0.0.1:0"},
        "cli_addr": f"127.0.0.1:{port}",
        "log_level": "error",
    }
    (folder / "config.json").write_text(json.dumps(document))
    return folder, public, port


async def until_answer(port: int) -> None:
    while True:
        try:
            stream = await dial_tcp("127.0.0.1", port)
        except SkywireError:
            await asyncio.sleep(LOOK)
            continue
        async with RpcClient(stream) as rpc:
            await RemoteVisor(rpc).call(ops_info.summary)
        return


async def until_listed(url: str, public: PubKey) -> None:
    async with DiscoveryClient(url) as directory:
        while True:
            try:
                await directory.entry(public)
            except NotFound:
                await asyncio.sleep(LOOK)
            else:
                return


def start(net: Network) -> tuple[float, float]:
    """Seconds to the RPC's answer, and to the entry."""
    folder, public, port = configured(net)
    clock = time.perf_counter
    begin = clock()
    process = subprocess.Popen(
        [sys.executable, "-m", "skywire", "visor", "-c", "config.json"], cwd=folder
    )

    async def watch() -> tuple[float, float]:
        async with asyncio.timeout(LIMIT):
            await until_answer(port)
            answered = clock() - begin
            await until_listed(net.discovery_url, public)
            return answered, clock() - begin

    try:
        return asyncio.run(watch())
    finally:
        process.terminate()
        process.wait(STOP_LIMIT)


def nothing() -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begin


def main() -> None:
    answered, listed, bare = [], [], []
    with network() as net:
        start(net)  # byte code is written once
        for _ in range(ROUNDS):
            bare.append(nothing())
            to_answer, to_entry = start(net)
            answered.append(to_answer)
            listed.append(to_entry)
    for name, runs, target in (
        ("visor's start to its RPC's answer", answered, RPC_TARGET),
        ("visor's start to its dmsg entry", listed, ENTRY_TARGET),
    ):
        figure(
            name,
            runs,
            "s",
            target=f"≤ {target:g}",
            met=statistics.median(runs) <= target,
            calibration={"python_s": statistics.median(bare)},
            ratio=ratios(runs, bare),
        )


if __name__ == "__main__":
    main()
