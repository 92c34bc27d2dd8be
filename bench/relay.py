"""The relay of the calibration, a process: python -m bench.relay PORT…

Listens on a free port for each PORT and hands every connection on, in the read callback.
"""

import asyncio
import sys
from functools import partial

from bench.net import report


class _Side(asyncio.Protocol):
    """One connection; `other` is its twin."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def join(self, other: "_Side") -> None:
        self.other, other.other = other, self
        assert other.transport is not None
        other.transport.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Accepted(_Side):
    def __init__(self, port: int, dials: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._port = port
        self._dials = dials

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = asyncio.get_running_loop().create_task(self._dial())
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        _, far = await loop.create_connection(_Side, "127.0.0.1", self._port)
        self.join(far)


async def main(targets: list[int]) -> None:
    loop = asyncio.get_running_loop()
    dials: set[asyncio.Task[None]] = set()
    ports = []
    for target in targets:
        server = await loop.create_server(partial(_Accepted, target, dials), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    report(ports=ports)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:]]))
