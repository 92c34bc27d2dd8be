"""The route finder: a large network one request at a time, a small one with 16 connections.

`python -m bench.bench_finder`. The service is `skywire svc rf` on SQLite, a process pinned to one
core. Pairs of visors that a path within the bound joins are asked for in random order, both ways
at once, as visors do. ECDH per second is measured between the runs.
"""

import asyncio
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.figures import figure, ratios
from bench.http_load import Asker, Taken, post, rounds
from bench.net import child
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound
from skywire.stores.open import open_stores
from skywire.wire.route_graph import Edge, RouteGraph
from skywire.wire.routes import Bounds, encode_request
from skywire.wire.transport import Entry

PAIRS = 500  # that are asked for
STORE = "sqlite:///transports.db"
COMMAND = f"-m skywire svc rf -a 127.0.0.1:0 --store {STORE} --loglvl error"
TYPES = ("stcpr", "sudph", "dmsg")


class Network(NamedTuple):
    name: str
    visors: int
    transports: int
    hops: int
    connections: int


LARGE = Network("5,000 visors, 20,000 transports, ≤ 4 hops", 5000, 20_000, 4, 1)
SMALL = Network("50 visors, 150 transports, 16 connections", 50, 150, 50, 16)


async def fill(network: Network, chance: random.Random) -> list[tuple[PubKey, PubKey]]:
    """Write the store in the working directory; pairs with a path."""
    keys = [
        deterministic_key_pair(number.to_bytes(4, "big"))[0] for number in range(network.visors)
    ]
    entries: dict[object, Entry] = {}
    graph = RouteGraph()
    while len(entries) < network.transports:
        one, other = chance.sample(keys, 2)
        entry = Entry.of(one, other, chance.choice(TYPES))
        entries[entry.id] = entry
        graph.add(Edge(entry.id, *entry.edges, entry.type))
    stores = await open_stores(STORE)
    store = stores.transports()
    for entry in entries.values():
        await store.add(entry, None)
    await stores.close()
    return list(islice(_joined(graph, keys, network.hops, chance), PAIRS))


def _joined(
    graph: RouteGraph, keys: Sequence[PubKey], hops: int, chance: random.Random
) -> Iterator[tuple[PubKey, PubKey]]:
    while True:
        one, other = chance.sample(keys, 2)
        try:
            graph.paths(one, other, Bounds(0, hops))
        except NotFound:
            continue
        yield one, other


def measure(network: Network) -> tuple[Taken, float]:
    """And the memory of the service, MB."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        os.chdir(folder)
        try:
            pairs = asyncio.run(fill(network, random.Random(1)))
        finally:
            os.chdir(before)
        with child(*COMMAND.split(), folder=Path(folder)) as service:
            bounds = Bounds(0, network.hops)
            requests = [
                post(
                    service.facts["port"],
                    "/routes",
                    encode_request([(one, other), (other, one)], bounds),
                )
                for one, other in pairs
            ]
            taken = rounds(
                service,
                lambda latencies: Asker(requests, latencies, b"200"),
                network.connections,
            )
            return taken, psutil.Process(service.pid).memory_info().rss / 1e6


def main() -> None:
    taken, memory = measure(LARGE)
    figure(
        f"route finder, {LARGE.name}, p50",
        taken.medians,
        "ms",
        target="≤ 20",
        met=statistics.median(taken.medians) <= 20,
        calibration={"ecdh_per_s": statistics.median(taken.ecdh)},
        p99_ms=round(statistics.median(taken.tails), 2),
    )
    figure(
        f"route finder, {LARGE.name}, memory",
        [memory],
        "MB",
        target="≤ 200",
        met=memory <= 200,
    )
    taken, _ = measure(SMALL)
    figure(
        f"route finder, {SMALL.name}",
        taken.rates,
        "1/s",
        target="≥ 1000",
        met=statistics.median(taken.rates) >= 1000,
        calibration={"ecdh_per_s": statistics.median(taken.ecdh)},
        ratio=ratios(taken.rates, taken.ecdh),
        p50_ms=round(statistics.median(taken.medians), 2),
    )


if __name__ == "__main__":
    main()
