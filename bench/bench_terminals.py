"""Fifty open terminals on one hypervisor: its memory, and keystroke → echo while all are typed in.

Wanted: at most 150 MB more than before, and an echo within 20 ms (p50). The terminals are on one
node; each has printed more than its ring holds, and runs `cat`. Every terminal is typed in as a
person types, four keys a second, so that 200 keys a second go through the hypervisor.
"""

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from typing import Any

import psutil

from bench.browser import Terminal, logged_in, part, terminal
from bench.figures import figure
from bench.net import demo

TERMINALS = 50
AT_ONCE = 5  # that are opened at the same time
LINES = 20_000  # of output in each, 11 bytes at least: little less than a ring of 256 KiB
SETTLE = 2.0  # seconds until memory is read
ROUNDS = 5
KEYS = 8  # in one round, in each terminal
PAUSE = 0.25  # seconds between two keys of one terminal
TIME_LIMIT = 20.0  # seconds for one round
MEMORY_TARGET = 150.0  # MB
ECHO_TARGET = 20.0  # ms


async def fill(shell: Terminal) -> None:
    await shell.type(f"seq -f output%g {LINES}; echo all$((1+1)); exec cat\r".encode())
    await shell.until(b"all2\r\n")


async def type_keys(shell: Terminal, start: float) -> list[float]:
    """Milliseconds until each key was shown; the first is typed `start` seconds from now."""
    await asyncio.sleep(start)
    times = []
    for _ in range(KEYS):
        begin = time.perf_counter()
        await shell.type(b"x")
        seen = await shell.receive()
        times.append((time.perf_counter() - begin) * 1e3)
        if seen != b"x":
            raise RuntimeError(f"typed x, saw {seen[:40]!r}")
        await shell.acknowledge(1)
        await asyncio.sleep(PAUSE)
    return times


async def one_round(shells: list[Terminal]) -> list[float]:
    async with asyncio.timeout(TIME_LIMIT), asyncio.TaskGroup() as tasks:
        typing = [
            tasks.create_task(type_keys(shell, PAUSE * number / len(shells)))
            for number, shell in enumerate(shells)
        ]
    return [milliseconds for task in typing for milliseconds in task.result()]


async def measure(page: dict[str, Any]) -> tuple[float, list[list[float]], float]:
    hypervisor = psutil.Process(part(page, "node-a")["pid"])
    node = str(part(page, "node-b")["public_key"])
    async with logged_in(page) as session, AsyncExitStack() as stack:

        async def another() -> Terminal:
            shell = await stack.enter_async_context(terminal(session, node))
            await fill(shell)
            return shell

        async with terminal(session, node) as warm:  # what is loaded and allocated once
            await fill(warm)
        before = hypervisor.memory_info().rss
        shells: list[Terminal] = []
        for _ in range(TERMINALS // AT_ONCE):
            shells += await asyncio.gather(*(another() for _ in range(AT_ONCE)))
        await asyncio.sleep(SETTLE)
        grown = (hypervisor.memory_info().rss - before) / 1e6
        await one_round(shells)
        begin, used = time.perf_counter(), sum(hypervisor.cpu_times()[:2])
        rounds = [await one_round(shells) for _ in range(ROUNDS)]
        cpu = sum(hypervisor.cpu_times()[:2]) - used
        return grown, rounds, 100 * cpu / (time.perf_counter() - begin)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home  # what else a shell reads there takes time of its own
        with demo() as page:
            grown, rounds, cpu = asyncio.run(measure(page))
    figure(
        f"hypervisor, {TERMINALS} open terminals, more memory",
        [grown],
        "MB",
        target=f"≤ {MEMORY_TARGET:g} MB",
        met=grown <= MEMORY_TARGET,
    )
    medians = [statistics.median(times) for times in rounds]
    everything = sorted(time for times in rounds for time in times)
    figure(
        f"keystroke → echo, {TERMINALS} terminals typed in at once, p50",
        medians,
        "ms",
        target=f"≤ {ECHO_TARGET:g} ms",
        met=statistics.median(medians) <= ECHO_TARGET,
        p95=round(everything[len(everything) * 95 // 100], 2),
        cpu_percent=round(cpu, 1),
    )


if __name__ == "__main__":
    main()
