"""Keystroke → echo through websocket, hypervisor, dmsg and pty, p50, against terminado's.

Wanted: at most 1.8 of terminado's local, unencrypted terminal in the same round; a Go hypervisor
has 2.0. Both run `cat`, and one and the same websocket client types.
"""

import asyncio
import json
import statistics
import time

import aiohttp

from bench.browser import Terminal, logged_in, part, terminal
from bench.figures import figure, ratios
from bench.net import child, demo

ROUNDS = 15
KEYS = 150  # in one run
TIME_LIMIT = 20.0  # seconds for one run
TARGET = 1.8


class Ours:
    """A terminal of our page."""

    def __init__(self, shell: Terminal) -> None:
        self._shell = shell

    async def press(self) -> bytes:
        """Types an x; what is shown then."""
        await self._shell.type(b"x")
        return await self._shell.receive()

    async def shown(self) -> None:
        """As our page does: it acknowledges once it has parsed."""
        await self._shell.acknowledge(1)


class Terminados:
    """A terminal of terminado."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws

    async def press(self) -> bytes:
        await self._ws.send_str('["stdin", "x"]')
        kind, text = json.loads(await self._ws.receive_str())
        if kind != "stdout":
            raise RuntimeError(f"terminado sent {kind}")
        return str(text).encode()

    async def shown(self) -> None:
        """It has no acknowledgement."""


async def echo(terminal: Ours | Terminados, count: int = KEYS) -> float:
    """Median time of a key, milliseconds."""
    times = []
    async with asyncio.timeout(TIME_LIMIT):
        for _ in range(count):
            start = time.perf_counter()
            seen = await terminal.press()
            times.append(time.perf_counter() - start)
            if seen != b"x":
                raise RuntimeError(f"typed x, saw {seen!r}")
            await terminal.shown()
    return statistics.median(times) * 1e3


async def measure(page: dict[str, object], port: int) -> tuple[list[float], list[float]]:
    references, runs = [], []
    async with (
        logged_in(page) as session,
        terminal(session, part(page, "node-b")["public_key"]) as shell,
        aiohttp.ClientSession() as plain,
        plain.ws_connect(f"http://127.0.0.1:{port}/terminal") as yardstick,
    ):
        await shell.type(b"echo now$((1+1)); exec cat\r")
        await shell.until(b"now2\r\n")
        await asyncio.sleep(0.5)  # for cat to be there
        while (await yardstick.receive_str()) != '["setup", {}]':
            pass
        ours, terminados = Ours(shell), Terminados(yardstick)
        await echo(ours, KEYS // 3)
        await echo(terminados, KEYS // 3)
        for _ in range(ROUNDS):
            references.append(await echo(terminados))
            runs.append(await echo(ours))
    return references, runs


def main() -> None:
    with demo() as page, child("-m", "bench.terminado_server") as yardstick:
        references, runs = asyncio.run(measure(page, yardstick.facts["port"]))
    ratio = ratios(runs, references)
    figure(
        "keystroke → echo, web terminal, p50",
        runs,
        "ms",
        target=f"≤ {TARGET} of terminado's",
        met=ratio <= TARGET,
        calibration={"terminado_ms": statistics.median(references)},
        ratio=ratio,
    )


if __name__ == "__main__":
    main()
