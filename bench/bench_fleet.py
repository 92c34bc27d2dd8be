"""A hypervisor with 1,000 visors of which 30 % are dead: its list, its polls, its memory.

`python -m bench.bench_fleet [COUNT]`. The visors are one helper process (`fleet_visors`), on real
dmsg: each has a session to the dmsg server and a stream through it to the hypervisor, which is a
`skywire visor` as people run it. Its CPU time is all that it does in steady state: polls, pings,
dmsg, and the list events of one page that follows.
"""

import asyncio
import json
import socket
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.bench_visor_idle import on_core
from bench.calibration import ecdh_rate
from bench.figures import figure
from bench.net import Network, child, network
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey

COUNT = 1000
LISTS = 20
SECONDS = 30.0  # of steady state
DEAD = 0.3
START_LIMIT = 90.0
LIST_TARGET = 100.0  # ms
CPU_TARGET = 5.0  # s per minute


def configured(net: Network) -> tuple[Path, PubKey, str]:
    """A hypervisor's folder, its key and where its pages are."""
    public, secret = key_pair()
    folder = net.folder / "hypervisor"
    folder.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    document = {
        "sk": secret.hex(),
        "pk": str(public),
        "dmsg": {"discovery": net.discovery_url, "sessions_count": 1},
        "pty": None,
        "skywire-tcp": {"listening_address": "127.0.0.1:0"},
        "launcher": {"server_addr": "127.0.0.1:0"},
        "hypervisor": {"http_addr": place, "enable_auth": False, "db_path": "users.db"},
        "cli_addr": "127.0.0.1:0",
        "local_path": "local",
        "log_level": "error",
    }
    (folder / "config.json").write_text(json.dumps(document))
    return folder, public, f"http://{place}"


async def rows(session: aiohttp.ClientSession, url: str) -> tuple[list[dict[str, Any]], float, int]:
    """The list, milliseconds until its last byte, and its bytes."""
    begin = time.perf_counter()
    async with session.get(f"{url}/api/visors-summary") as response:
        raw = await response.read()
    took = (time.perf_counter() - begin) * 1e3
    return json.loads(raw), took, len(raw)


def alive(found: list[dict[str, Any]]) -> int:
    return sum(row["online"] and not row["stale"] for row in found)


async def follow(session: aiohttp.ClientSession, url: str, seen: list[int]) -> None:
    async with session.get(f"{url}/api/events", timeout=aiohttp.ClientTimeout(None)) as response:
        async for data in response.content.iter_any():
            seen[0] += len(data)
            seen[1] += data.count(b"event: visor")


async def measure(url: str, pid: int, count: int) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        living = round(count * (1 - DEAD))
        async with asyncio.timeout(START_LIMIT):
            found: list[dict[str, Any]] = []
            while len(found) <= count or not living <= alive(found) <= living + 1:
                await asyncio.sleep(1)
                found, _, _ = await rows(session, url)
        figures: dict[str, Any] = {}
        seen = [0, 0]
        follower = tasks.create_task(follow(session, url, seen))
        await asyncio.sleep(2)
        start = list(seen)
        before, lists = on_core(pid), []
        begin = time.perf_counter()
        await asyncio.sleep(SECONDS)
        took = time.perf_counter() - begin
        figures["cpu"] = (on_core(pid) - before) / took * 60
        figures["rows_per_s"] = (seen[1] - start[1]) / took
        figures["bytes_per_s"] = (seen[0] - start[0]) / took
        for _ in range(LISTS):
            found, took, size = await rows(session, url)
            lists.append(took)
            await asyncio.sleep(0.1)
        figures["lists"], figures["bytes"] = lists, size
        figures["alive"], figures["rows"] = alive(found), len(found)
        figures["memory"] = psutil.Process(pid).memory_info().rss / 1e6
        follower.cancel()
    return figures


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with network() as net:
        folder, public, url = configured(net)
        with child("-m", "skywire", "visor", "-c", "config.json", folder=folder) as visor:
            if "hypervisor" in visor.facts["failed"]:
                raise RuntimeError(visor.facts["failed"]["hypervisor"])
            empty = psutil.Process(visor.pid).memory_info().rss / 1e6
            with child("-m", "bench.fleet_visors", net.discovery_url, str(public), str(count)):
                found = asyncio.run(measure(url, visor.pid, count))
    name = f"hypervisor, {count} visors, {DEAD:.0%} dead"
    calibration = {"ecdh_per_s": ecdh_rate()}
    worst = sorted(found["lists"])[-2]
    figure(
        f"{name}: the list",
        found["lists"],
        "ms",
        target=f"≤ {LIST_TARGET:g}",
        met=statistics.median(found["lists"]) <= LIST_TARGET,
        calibration=calibration,
        second_worst_ms=round(worst, 1),
        bytes=found["bytes"],
        rows=found["rows"],
        alive=found["alive"],
    )
    figure(
        f"{name}: CPU time of a minute",
        [found["cpu"]],
        "s",
        target=f"≤ {CPU_TARGET:g}",
        met=found["cpu"] <= CPU_TARGET,
        calibration=calibration,
        events_per_s=round(found["rows_per_s"], 1),
        event_bytes_per_s=round(found["bytes_per_s"]),
    )
    figure(
        f"{name}: memory",
        [found["memory"]],
        "MB",
        target="",
        met=True,
        calibration=calibration,
        without_visors_mb=round(empty, 1),
    )


if __name__ == "__main__":
    main()
