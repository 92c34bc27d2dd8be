"""`yes` for 5 s in a web terminal: memory of every process, and how fast Ctrl-C acts.

The far end of the websocket shows output as fast as xterm.js parses it, then acknowledges it.
Wanted: no process grows without bound, and the prompt is back within 300 ms of Ctrl-C.
"""

import asyncio
import statistics
import time
from typing import Any

import psutil

from bench.browser import Terminal, logged_in, part, terminal
from bench.figures import figure
from bench.net import demo

RUNS = 3
YES_TIME = 5.0  # seconds
SAMPLE = 0.1  # seconds between looks at memory
PARSE_RATE = 15_000_000  # bytes/s that xterm.js shows; it claims 5 to 35 MB/s
REACTION_TARGET = 300.0  # ms
GROWTH_TARGET = 40.0  # MB that a process may grow by in all runs: rings and windows have limits


class Watch:
    """The memory of the demo's processes."""

    def __init__(self, page: dict[str, Any]) -> None:
        self._processes = {p["name"]: psutil.Process(p["pid"]) for p in page["parts"]}
        self._before = self._now()
        self.peak = dict(self._before)

    def _now(self) -> dict[str, float]:
        """MB."""
        return {name: p.memory_info().rss / 1e6 for name, p in self._processes.items()}

    def look(self) -> None:
        for name, size in self._now().items():
            self.peak[name] = max(self.peak[name], size)

    def growth(self) -> dict[str, float]:
        return {name: round(self.peak[name] - size, 1) for name, size in self._before.items()}


async def show(shell: Terminal) -> bytes:
    """The next output, shown as slowly as a browser does."""
    data = await shell.receive()
    await asyncio.sleep(len(data) / PARSE_RATE)
    await shell.acknowledge(len(data))
    return data


async def interrupt(shell: Terminal) -> float:
    """Milliseconds from Ctrl-C to the prompt's answer to a question typed behind it."""
    start = time.perf_counter()
    await shell.type(b"\x03")
    seen = b""
    while b"^C" not in seen:
        seen = seen[-2:] + await show(shell)
    reaction = (time.perf_counter() - start) * 1e3
    await shell.type(b"echo back$((40+2))\r")
    await shell.until(b"back42")
    return reaction


async def run_yes(shell: Terminal, watch: Watch) -> tuple[float, float]:
    """Milliseconds until Ctrl-C acted, and MB shown before."""
    shell.received = 0
    await shell.type(b"yes\r")
    end = time.perf_counter() + YES_TIME
    looked = 0.0
    while (now := time.perf_counter()) < end:
        await show(shell)
        if now - looked > SAMPLE:
            watch.look()
            looked = now
    shown = shell.received / 1e6
    reaction = await interrupt(shell)
    watch.look()
    return reaction, shown


def main() -> None:
    with demo() as page:

        async def measure() -> tuple[list[float], list[float], dict[str, float]]:
            reactions, shown = [], []
            async with (
                logged_in(page) as session,
                terminal(session, part(page, "node-b")["public_key"]) as shell,
            ):
                watch = Watch(page)
                for _ in range(RUNS):
                    reaction, size = await run_yes(shell, watch)
                    reactions.append(reaction)
                    shown.append(size)
            return reactions, shown, watch.growth()

        reactions, shown, growth = asyncio.run(measure())
    figure(
        f"yes for {YES_TIME:.0f} s in a web terminal: Ctrl-C acts after",
        reactions,
        "ms",
        target=f"≤ {REACTION_TARGET:.0f} ms",
        met=max(reactions) <= REACTION_TARGET,
        shown_mb_per_s=round(statistics.median(shown) / YES_TIME, 1),
    )
    most = max(growth.values())
    figure(
        "yes in a web terminal: growth of the process that grows most",
        [most],
        "MB",
        target=f"≤ {GROWTH_TARGET:.0f} MB",
        met=most <= GROWTH_TARGET,
        growth_mb=growth,
    )


if __name__ == "__main__":
    main()
