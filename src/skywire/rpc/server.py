"""Answers calls from the far end of a stream: Go's net/rpc, server side. Source: gob.md §8."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from skywire.errors import LocalProtocolError, RemoteProtocolError, SkywireError, StreamError
from skywire.rpc.writer import Writer
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.wire.gob_types import GoType, GoTypes
from skywire.wire.netrpc import Call, ServerSide

log = logging.getLogger(__name__)

MAX_CALLS = 64  # of one connection, running or waiting; then its stream is not read
MAX_CALL = 1 << 20  # bytes of an argument
BUSY_TIME = 30.0  # seconds one more call waits for a free place; then the connection is ended
DRAIN_TIME = 5.0  # seconds for running calls to end after the peer has finished sending
INTERNAL_ERROR = "internal error"

# Gives the reply, or what to await for it. An ordered call that needs no waiting is answered in the
# turn of the loop it arrived in.
Handler = Callable[[Any], Any]


class GoError(SkywireError):
    """An error whose text goes to the caller, who may compare it, e.g. "EOF"."""


@dataclass(frozen=True, slots=True)
class Method:
    """`ordered` methods of a connection run one after the other, in the order of their arrival.

    Others run at once and side by side. `argument_type` may be several alternatives. `for_peer`
    methods only wait for something to tell the peer: they are cancelled when it has finished.
    `unhurried`: the reply may wait a moment for the next one, to go out with it.
    """

    argument_type: GoTypes
    reply_type: GoType
    handler: Handler
    ordered: bool = False
    for_peer: bool = False
    unhurried: bool = False


class RpcServer:
    """The methods by full name, e.g. "pty.Start"; serves any number of streams."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        max_calls: int = MAX_CALLS,
        max_message: int = MAX_CALL,
        drain_time: float = DRAIN_TIME,
    ) -> None:
        self._methods = dict(methods)
        self._arguments = {name: method.argument_type for name, method in methods.items()}
        self._max_calls = max_calls
        self._max_message = max_message
        self._drain_time = drain_time

    async def serve(self, stream: Stream) -> None:
        """Until the peer is done or breaks the protocol; closes `stream`. Cancel to stop."""
        connection = _Connection(
            stream,
            self._methods,
            ServerSide(self._arguments, self._max_message),
            self._max_calls,
        )
        await connection.run(self._drain_time)


class _Connection:
    def __init__(
        self, stream: Stream, methods: dict[str, Method], wire: ServerSide, max_calls: int
    ) -> None:
        self._stream = stream
        self._methods = methods
        self._wire = wire
        self._free = asyncio.Semaphore(max_calls)
        self._max_calls = max_calls
        self._tasks = Tasks("rpc server")
        self._writer = Writer(stream, self._tasks)
        self._ordered: asyncio.Queue[tuple[Call, Awaitable[Any] | None]] = asyncio.Queue()
        self._unfinished = 0  # ordered calls that are not answered yet
        self._worker: asyncio.Task[Any] | None = None
        self._for_peer: set[asyncio.Task[Any]] = set()

    async def run(self, drain_time: float) -> None:
        try:
            await self._read()
            for task in self._for_peer:
                task.cancel()
            async with asyncio.timeout(drain_time):
                for _ in range(self._max_calls):
                    await self._free.acquire()
        except TimeoutError:
            log.debug("rpc calls cancelled peer=%s", self._stream.remote)
        except RemoteProtocolError as error:
            log.warning("rpc connection broken by peer=%s error=%s", self._stream.remote, error)
        except StreamError as error:
            log.debug("rpc connection ended peer=%s error=%s", self._stream.remote, error)
        finally:
            self._writer.close()
            await self._tasks.close()
            await self._stream.close()

    async def _read(self) -> None:
        while data := await self._stream.read():
            self._wire.receive_data(data)
            while (call := self._wire.next_call()) is not None:
                if self._free.locked():
                    await self._wait_for_place()
                else:
                    await self._free.acquire()  # at once
                await self._start(call)

    async def _wait_for_place(self) -> None:
        """While this waits nothing is read, so a peer that is gone would not be noticed."""
        try:
            async with asyncio.timeout(BUSY_TIME):
                await self._free.acquire()
        except TimeoutError:
            raise RemoteProtocolError(
                f"{self._max_calls} calls are unanswered for {BUSY_TIME:.0f} s and one more waits"
            ) from None

    async def _start(self, call: Call) -> None:
        method = None if call.refusal else self._methods[call.method]
        if method is None or not method.ordered:
            task = self._tasks.spawn(self._answer(call), name=call.method)
            task.add_done_callback(self._answered)
            if method is not None and method.for_peer:
                self._for_peer.add(task)
            return
        begun: Awaitable[Any] | None = None
        if not self._unfinished:
            begun = await self._answer_now(call, method)
            if begun is None:
                self._free.release()
                return
        self._unfinished += 1
        self._ordered.put_nowait((call, begun))  # bounded by `_free`
        if self._worker is None:
            self._worker = self._tasks.spawn(self._work(), name="ordered")

    async def _answer_now(self, call: Call, method: Method) -> Awaitable[Any] | None:
        """Answer without waiting; otherwise what the handler gave to wait for."""
        try:
            value = method.handler(call.argument)
            if isawaitable(value):
                return value
            await self._reply(call, method, value)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told and logged
            await self._failed(call, error)
        return None

    def _answered(self, task: asyncio.Task[Any]) -> None:
        """A callback, for a task cancelled before its first step gets to no `finally`."""
        self._for_peer.discard(task)
        self._free.release()

    async def _work(self) -> None:
        while True:
            call, begun = await self._ordered.get()
            try:
                await self._answer(call, begun)
            finally:
                self._unfinished -= 1
                self._free.release()

    async def _answer(self, call: Call, begun: Awaitable[Any] | None = None) -> None:
        if call.refusal:
            await self._refuse(call, call.refusal)
            return
        method = self._methods[call.method]
        try:
            value = begun if begun is not None else method.handler(call.argument)
            if isawaitable(value):
                value = await value
            await self._reply(call, method, value)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told and logged
            await self._failed(call, error)

    async def _failed(self, call: Call, error: BaseException) -> None:
        """Tell the caller, in words that are meant for it; raises when we are being cancelled."""
        text = INTERNAL_ERROR
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise error
            log.warning("rpc handler awaited something cancelled method=%s", call.method)
        elif isinstance(error, SkywireError | TimeoutError) and not isinstance(
            error, LocalProtocolError
        ):
            text = str(error) or "timed out"
        else:
            what = "or its reply " if isinstance(error, LocalProtocolError) else ""
            log.error("rpc handler %sfailed method=%s", what, call.method, exc_info=error)
        await self._refuse(call, text)

    async def _reply(self, call: Call, method: Method, value: Any) -> None:
        async with self._writer.lock:
            data = self._wire.reply(call, method.reply_type, value)
            if method.unhurried and self._for_peer:  # a reply that it can go out with is due
                self._writer.hold(data)
            else:
                await self._write(data)

    async def _refuse(self, call: Call, text: str) -> None:
        async with self._writer.lock:
            await self._write(self._wire.refuse(call, text))

    async def _write(self, data: bytes) -> None:
        """A connection that cannot be written is over; its reader finds out by the abort."""
        with suppress(StreamError):
            await self._writer.write(data)
