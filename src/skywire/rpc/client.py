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
from skywire.rpc.writer import Writer
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.wire import gob
from skywire.wire.gob_types import GoType, GoTypes
from skywire.wire.netrpc import ClientSide, Reply

log = logging.getLogger(__name__)

SHUT_DOWN = "connection is shut down"  # Go's texts; peers and users know them
ENDED = "unexpected EOF"


class Answer:
    """The answer to one call. Waiting for it may be given up and taken up again."""

    __slots__ = ("_error", "_reply", "_waiters")

    def __init__(self) -> None:
        self._reply: Reply | None = None
        self._error: StreamError | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def result(self) -> Any:
        """Raises as `RpcClient.call`."""
        if self._reply is None and self._error is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
        if self._reply is None:
            assert self._error is not None  # noqa: S101 - one of the two is set
            raise type(self._error)(str(self._error))
        if self._reply.error:
            raise Refused(self._reply.error, reason=self._reply.error)
        if self._reply.broken:
            raise RemoteProtocolError(self._reply.broken)
        return self._reply.value

    def settle(self, outcome: Reply | StreamError) -> None:
        if isinstance(outcome, Reply):
            self._reply = outcome
        else:
            self._error = outcome
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class RpcClient:
    """Owns `stream`. Several calls may be in flight.

        async with RpcClient(stream) as rpc:
            await rpc.call("pty.SetPtySize", WinSize, WinSize(rows=30, cols=100), EMPTY)

    A call has no deadline of its own: `async with asyncio.timeout(…)` around it.
    """

    def __init__(self, stream: Stream, max_message: int = gob.MAX_MESSAGE) -> None:
        self._stream = stream
        self._wire = ClientSide(max_message)
        self._pending: dict[int, Answer] = {}
        self._tasks = Tasks("rpc client")
        self._writer = Writer(stream, self._tasks, self._lose)
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
        connection has ended. The answer to a cancelled call is dropped.
        """
        seq, answer, written = self._send(method, argument_type, argument, reply_type)
        try:
            if written is not None:
                await asyncio.shield(written)
            return await answer.result()
        finally:
            self._pending.pop(seq, None)
            self._wire.forget(seq)

    def begin(
        self,
        method: str,
        argument_type: GoType,
        argument: Any,
        reply_type: GoTypes,
        *,
        hold: bool = False,
    ) -> Answer:
        """As `call`, but the answer is waited for later, and giving up the wait loses nothing.

        `hold`: the request may wait a moment for the next one, to go out with it. No more than a
        few at a time: nothing makes the caller wait for a slow peer but the answer.
        """
        return self._send(method, argument_type, argument, reply_type, hold)[1]

    def _send(
        self,
        method: str,
        argument_type: GoType,
        argument: Any,
        reply_type: GoTypes,
        hold: bool = False,
    ) -> "tuple[int, Answer, asyncio.Future[None] | None]":
        """The last is what to wait for until the request is out, if it is not."""
        if not self._started:
            raise LocalProtocolError("an RpcClient reads answers only within `async with`")
        if self._end is not None:
            raise type(self._end)(SHUT_DOWN)
        seq, data = self._wire.call(method, argument_type, argument, reply_type)
        answer = self._pending[seq] = Answer()
        if hold:
            self._writer.hold(data)
            return seq, answer, None
        return seq, answer, self._writer.write(data)

    def _lose(self) -> None:
        """The stream cannot be written: calls learn it from their answers."""
        self._finish(StreamReset(ENDED))

    async def _read(self) -> None:
        end: StreamError = StreamReset(ENDED)
        try:
            while data := await self._stream.read():
                for reply in self._wire.receive_data(data):
                    answer = self._pending.pop(reply.seq, None)
                    if answer is not None:
                        answer.settle(reply)
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
        self._writer.close()
        pending, self._pending = self._pending, {}
        for answer in pending.values():
            answer.settle(self._end)

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
