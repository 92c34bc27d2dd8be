"""Bulk and round trips over routes of one and two stcp hops; each visor is a process.

Calibration: raw TCP with as many hops. Wanted: bulk at least 0.10 (one hop) and 0.07 (two hops) of
it; a 64-byte round trip over two hops at most 4 of it.
"""

import asyncio
import statistics
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager

from bench.bench_bulk import bulk
from bench.bench_roundtrip import round_trip
from bench.calibration import Raw
from bench.figures import figure, ratios
from bench.net import Child, child, far_process
from bench.peer import ECHO
from bench.route_node import LOOPBACK, RouteNode
from skywire.cli.runtime import loop_factory
from skywire.crypto.keys import PubKey

ROUNDS = 5
BULK = 96_000_000  # bytes of one run
BULK_TARGETS = {1: 0.10, 2: 0.07}
TRIP_TARGET = 4.0


class Direct(Raw):
    """The far process without a relay in between."""

    def __enter__(self) -> "Direct":
        self._sink, self._echo = (self._far.facts[name] for name in ("sink_port", "echo_port"))
        return self

    def __exit__(self, *details: object) -> None:
        return


@contextmanager
def visors(count: int) -> Iterator[Sequence[Child]]:
    """In a line; the one next to us comes first."""
    with ExitStack() as stack:
        line: list[Child] = []
        for number in range(count):
            arguments = ["-m", "bench.route_node", f"visor {number}"]
            if line:
                arguments += [line[0].facts["pk"], str(line[0].facts["stcp"])]
            line.insert(0, stack.enter_context(child(*arguments)))
        yield line


def measure(raw: Raw, line: Sequence[Child]) -> dict[str, list[float]]:
    """Ours on the loop that a visor runs on, the calibration on asyncio's, in turns."""
    keys = [PubKey.parse(visor.facts["pk"]) for visor in line]
    results: dict[str, list[float]] = {name: [] for name in ("raw", "bulk", "raw_trip", "trip")}
    with asyncio.Runner(loop_factory=loop_factory()) as ours, asyncio.Runner() as plain:
        stack = AsyncExitStack()
        node = ours.run(near(stack, keys, line))
        echo = ours.run(node.router.dial(keys[-1], ECHO))
        for number in range(ROUNDS + 1):
            runs = {
                "raw": plain.run(raw.bulk()),
                "bulk": ours.run(bulk(node.router, keys[-1], 1, BULK)),
                "raw_trip": plain.run(raw.round_trip()),
                "trip": ours.run(round_trip(echo)),
            }
            if number:  # the first one warms up
                for name, value in runs.items():
                    results[name].append(value)
        ours.run(echo.close())
        ours.run(stack.aclose())
    return results


async def near(stack: AsyncExitStack, keys: list[PubKey], line: Sequence[Child]) -> RouteNode:
    table = {keys[0]: f"{LOOPBACK}:{line[0].facts['stcp']}"}
    node = await stack.enter_async_context(RouteNode("near", table))
    for key, visor in zip(keys, line, strict=True):
        node.controls[key] = visor.facts["control"]
    node.way = [node.public, *keys]
    await node.join(keys[0])
    return node


def main() -> None:
    for hops, kind in ((1, Direct), (2, Raw)):
        with far_process() as far, kind(far) as raw, visors(hops) as line:
            runs = measure(raw, line)
        ratio = ratios(runs["bulk"], runs["raw"])
        figure(
            f"bulk over a {hops}-hop stcp route",
            runs["bulk"],
            "MB/s",
            target=f"≥ {BULK_TARGETS[hops]} of raw TCP with as many hops",
            met=ratio >= BULK_TARGETS[hops],
            calibration={"raw_mb_per_s": statistics.median(runs["raw"])},
            ratio=ratio,
        )
        trip = ratios(runs["trip"], runs["raw_trip"])
        figure(
            f"64-byte round trip over a {hops}-hop route, p50",
            runs["trip"],
            "µs",
            target=f"≤ {TRIP_TARGET} of raw TCP's" if hops == 2 else "",
            met=hops != 2 or trip <= TRIP_TARGET,
            calibration={"raw_us": statistics.median(runs["raw_trip"])},
            ratio=trip,
        )


if __name__ == "__main__":
    main()
