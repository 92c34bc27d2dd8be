"""A pty host as of 2024, for tests of what must work with one. Source: pty.md §3.2.

No Ping, Exec, StartSession or Attach. While a Read waits, Stop waits for it, and from then on all
other calls wait for Stop. A lost stream does not end a silent shell whose Read waits.
"""

import asyncio

from skywire.crypto.keys import NULL_KEY
from skywire.pty.gateway import methods_of
from skywire.pty.mux import receive_request
from skywire.pty.session import Follower, Session, StartShell
from skywire.pty.types import ALREADY_RUNNING, NOT_RUNNING, CommandReq, WinSize
from skywire.rpc.server import GoError, RpcServer
from skywire.streams.stream import Stream
from skywire.wire.pty_mux import ACCEPTED


class OldHost:
    """Serves one connection; `start_shell` makes its shells."""

    def __init__(self, start_shell: StartShell) -> None:
        self._start_shell = start_shell
        self._changed = asyncio.Condition()
        self._reading = 0
        self._stop_waits = False
        self.follower: Follower | None = None
        self.started: list[CommandReq] = []
        self.stopped = 0

    async def serve(self, stream: Stream) -> None:
        await receive_request(stream)
        await stream.write(ACCEPTED)
        methods = methods_of(
            {
                "pty.Start": self._start,
                "pty.Stop": self._stop,
                "pty.Read": self._read,
                "pty.Write": self._write,
                "pty.SetPtySize": self._set_size,
            }
        )
        await RpcServer(methods).serve(stream)

    async def _running(self) -> Follower:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._stop_waits)
        if self.follower is None:
            raise GoError(NOT_RUNNING)
        return self.follower

    async def _start(self, request: CommandReq) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._stop_waits)
        if self.follower is not None:
            raise GoError(ALREADY_RUNNING)
        self.started.append(request)
        self.follower = Session(NULL_KEY, self._start_shell).follow()

    async def _stop(self, _: None) -> None:
        follower = await self._running()
        async with self._changed:
            self._stop_waits = True
            await self._changed.wait_for(lambda: self._reading == 0)
            self._stop_waits = False
            self.follower = None
            self.stopped += 1
            self._changed.notify_all()
        await follower.session.stop()

    async def _read(self, size: int) -> bytes:
        follower = await self._running()
        assert size > 0, "a negative size ends the whole process, 0 answers nothing"
        self._reading += 1
        try:
            return await follower.read(size)
        finally:
            async with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    async def _write(self, data: bytes) -> int:
        follower = await self._running()
        await follower.session.write(follower, data)
        return len(data)

    async def _set_size(self, size: WinSize) -> None:
        follower = await self._running()
        follower.session.resize(follower, size)
