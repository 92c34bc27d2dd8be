"""Answers calls from the far end of a stream: Go's net/rpc, server side. Source: gob.md §8."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from typing import Any, TypeAlias

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

# Gives the reply, or what to await for it. A call that needs no waiting is answered in the turn of
# the loop it arrived in.
Handler = Callable[[Any], Any]
# What to wait for until an answer is out, if it is not.
_Out: TypeAlias = "asyncio.Future[None] | None"


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
        self._max_calls = max_calls
        self._unanswered = 0  # calls whose answer is not out
        self._fewer: asyncio.Future[None] | None = None  # done when one of them is
        self._tasks = Tasks("rpc server")
        self._writer = Writer(stream, self._tasks)  # its reader finds out by the abort
        self._ordered: asyncio.Queue[tuple[Call, Awaitable[Any] | None]] = asyncio.Queue()
        self._unfinished = 0  # ordered calls that are not answered yet
        self._worker: asyncio.Task[Any] | None = None
        self._for_peer: set[asyncio.Future[Any]] = set()

    async def run(self, drain_time: float) -> None:
        try:
            await self._read()
            for waiting in self._for_peer:
                waiting.cancel()
            async with asyncio.timeout(drain_time):
                await self._until_unanswered(0)
        except TimeoutError:
            log.debug("rpc calls cancelled peer=%s", self._stream.remote)
        except RemoteProtocolError as error:
            log.warning("rpc connection broken by peer=%s error=%s", self._stream.remote, error)
        except StreamError as error:
            log.debug("rpc connection ended peer=%s error=%s", self._stream.remote, error)
        finally:
            for waiting in self._for_peer:
                waiting.cancel()
            self._writer.close()
            await self._tasks.close()
            while not self._ordered.empty():
                _, begun = self._ordered.get_nowait()
                if iscoroutine(begun):
                    begun.close()
            await self._stream.close()

    async def _read(self) -> None:
        while data := await self._stream.read():
            self._wire.receive_data(data)
            while (call := self._wire.next_call()) is not None:
                if self._unanswered >= self._max_calls:
                    await self._wait_for_place()
                self._unanswered += 1
                if (out := self._start(call)) is not None:
                    await asyncio.shield(out)  # nothing else makes the peer take its answers

    async def _wait_for_place(self) -> None:
        """While this waits nothing is read, so a peer that is gone would not be noticed."""
        try:
            async with asyncio.timeout(BUSY_TIME):
                await self._until_unanswered(self._max_calls - 1)
        except TimeoutError:
            raise RemoteProtocolError(
                f"{self._max_calls} calls are unanswered for {BUSY_TIME:.0f} s and one more waits"
            ) from None

    async def _until_unanswered(self, most: int) -> None:
        while self._unanswered > most:
            self._fewer = asyncio.get_running_loop().create_future()
            await self._fewer

    def _answered(self, _: object = None) -> None:
        self._unanswered -= 1
        if self._fewer is not None and not self._fewer.done():
            self._fewer.set_result(None)

    # One call

    def _start(self, call: Call) -> _Out:
        """What to wait for before the next call is read, if anything."""
        if call.refusal:
            return self._done(self._refuse(call, call.refusal))
        method = self._methods[call.method]
        if method.ordered and self._unfinished:
            self._put_in_order(call, None)
            return None
        try:
            value = method.handler(call.argument)
        except Exception as error:  # noqa: BLE001 - told and logged
            return self._done(self._refuse(call, _text(call, error)))
        if not isawaitable(value):
            return self._done(self._reply(call, method, value))
        if method.ordered:
            self._put_in_order(call, value)
        elif isinstance(value, asyncio.Future):
            self._wait_for(call, method, value)
        else:
            task = self._tasks.spawn(self._answer(call, value), name=call.method)
            task.add_done_callback(self._answered)
            if iscoroutine(value):
                task.add_done_callback(lambda _: value.close())  # if it never began
            if method.for_peer:
                self._for_peer.add(task)
                task.add_done_callback(self._for_peer.discard)
        return None

    def _done(self, out: _Out) -> _Out:
        """The call is answered as soon as `out` is."""
        if out is None:
            self._answered()
        else:
            out.add_done_callback(self._answered)
        return out

    def _wait_for(self, call: Call, method: Method, value: "asyncio.Future[Any]") -> None:
        """As a task would, without one: a terminal's output is awaited for every key."""

        def settle(done: "asyncio.Future[Any]") -> None:
            self._for_peer.discard(done)
            if done.cancelled():
                self._answered()  # by us, for the peer has finished
                return
            error = done.exception()
            if error is None:
                self._done(self._reply(call, method, done.result()))
            else:
                self._done(self._refuse(call, _text(call, error)))

        if method.for_peer:
            self._for_peer.add(value)
        if value.done():
            settle(value)
        else:
            value.add_done_callback(settle)

    def _put_in_order(self, call: Call, begun: Awaitable[Any] | None) -> None:
        self._unfinished += 1
        self._ordered.put_nowait((call, begun))  # bounded by `_unanswered`
        if self._worker is None:
            self._worker = self._tasks.spawn(self._work(), name="ordered")

    async def _work(self) -> None:
        while True:
            call, begun = await self._ordered.get()
            try:
                await self._answer(call, begun)
            finally:
                self._unfinished -= 1
                self._answered()

    async def _answer(self, call: Call, begun: Awaitable[Any] | None) -> None:
        method = self._methods[call.method]
        out: _Out
        try:
            value = begun if begun is not None else method.handler(call.argument)
            if isawaitable(value):
                value = await value
            out = self._reply(call, method, value)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            out = self._refuse(call, _text(call, error))
        except Exception as error:  # noqa: BLE001 - told and logged
            out = self._refuse(call, _text(call, error))
        if out is not None:
            await asyncio.shield(out)

    def _reply(self, call: Call, method: Method, value: Any) -> _Out:
        try:
            data = self._wire.reply(call, method.reply_type, value)
        except LocalProtocolError as error:
            return self._refuse(call, _text(call, error))
        if method.unhurried and self._for_peer:  # a reply that it can go out with is due
            self._writer.hold(data)
            return None
        return self._writer.write(data)

    def _refuse(self, call: Call, text: str) -> _Out:
        return self._writer.write(self._wire.refuse(call, text))


def _text(call: Call, error: BaseException) -> str:
    """What to tell the caller of a failure, in words that are meant for it; logs what is ours."""
    if isinstance(error, asyncio.CancelledError):
        log.warning("rpc handler awaited something cancelled method=%s", call.method)
    elif isinstance(error, SkywireError | TimeoutError) and not isinstance(
        error, LocalProtocolError
    ):
        return str(error) or "timed out"
    else:
        what = "or its reply " if isinstance(error, LocalProtocolError) else ""
        log.error("rpc handler %sfailed method=%s", what, call.method, exc_info=error)
    return INTERNAL_ERROR
