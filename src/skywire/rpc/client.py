"""Calls the far end of a stream: Go's net/rpc, client side. Source: gob.md §8."""

import asyncio
import logging
from typing import Any, Self

from skywire.errors import (
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
    StreamClosed,
    StreamError,
    StreamReset,
)
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.wire import gob
from skywire.wire.gob_types import GoType, GoTypes
from skywire.wire.netrpc import ClientSide, Reply

log = logging.getLogger(__name__)

SHUT_DOWN = "connection is shut down"  # Go's texts; peers and users know them
ENDED = "unexpected EOF"


class RpcClient:
    """Owns `stream`. Several calls may be in flight.

        async with RpcClient(stream) as rpc:
            await rpc.call("pty.SetPtySize", WinSize, WinSize(rows=30, cols=100), EMPTY)

    A call has no deadline of its own: `async with asyncio.timeout(…)` around it.
    """

    def __init__(self, stream: Stream, max_message: int = gob.MAX_MESSAGE) -> None:
        self._stream = stream
        self._wire = ClientSide(max_message)
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._writing = asyncio.Lock()
        self._tasks = Tasks("rpc client")
        self._started = False
        self._end: StreamError | None = None
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._started = True
        self._tasks.spawn(self._read(), name="read")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(
        self, method: str, argument_type: GoType, argument: Any, reply_type: GoTypes
    ) -> Any:
        """The reply, as `reply_type`.

        Raises Refused with the peer's text in `reason`; RemoteProtocolError when this reply does
        not fit `reply_type` (the connection goes on); StreamReset or StreamClosed when the
        connection has ended. A call cancelled while it writes ends the connection.
        """
        if not self._started:
            raise LocalProtocolError("an RpcClient reads answers only within `async with`")
        async with self._writing:
            if self._end is not None:
                raise type(self._end)(SHUT_DOWN)
            seq, data = self._wire.call(method, argument_type, argument, reply_type)
            answer = self._pending[seq] = asyncio.get_running_loop().create_future()
            try:
                await self._write(data)
            except BaseException:
                del self._pending[seq]
                raise
        try:
            reply = await answer
        finally:
            del self._pending[seq]
            self._wire.forget(seq)
        if reply.error:
            raise Refused(reply.error, reason=reply.error)
        if reply.broken:
            raise RemoteProtocolError(reply.broken)
        return reply.value

    async def _write(self, data: bytes) -> None:
        """A stream that failed to take all of `data` is of no more use."""
        try:
            await self._stream.write(data)
        except StreamError:
            self._stream.abort()
            self._finish(StreamReset(ENDED))  # the call learns it from its answer
        except BaseException:
            self._stream.abort()
            raise

    async def _read(self) -> None:
        end: StreamError = StreamReset(ENDED)
        try:
            while data := await self._stream.read():
                for reply in self._wire.receive_data(data):
                    answer = self._pending.get(reply.seq)
                    if answer is not None and not answer.done():
                        answer.set_result(reply)
        except RemoteProtocolError as error:
            log.warning("rpc connection broken by peer=%s error=%s", self._stream.remote, error)
        except StreamError as error:
            log.debug("rpc connection ended peer=%s error=%s", self._stream.remote, error)
        finally:
            self._finish(end)
            await self._stream.close()

    def _finish(self, end: StreamError) -> None:
        if self._end is None:
            self._end = end
        self._closed.set()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(type(self._end)(str(self._end)))

    async def wait_closed(self) -> None:
        """Until the connection has ended, by either side."""
        await self._closed.wait()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    async def close(self) -> None:
        """Pending calls fail with StreamClosed. Idempotent."""
        self._finish(StreamClosed(SHUT_DOWN))
        await self._tasks.close()
        await self._stream.close()
