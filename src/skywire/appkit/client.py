"""The network as an app in another process sees it: through its visor, ours or Go's.

    async with AppClient.from_environment(os.environ) as app:
        stream = await app.dial(pk, 3)

Source: apps.md §3. Reads go out one at a time; a cancelled one is taken up by the next.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

import msgspec

from skywire.appkit.app import OnEvent
from skywire.appkit.events import TCP_CLOSE, TCP_DIAL
from skywire.appkit.network import SKYNET
from skywire.appkit.types import (
    PROC_CONFIG,
    AcceptResp,
    Addr,
    DialResp,
    Event,
    IoError,
    ProcConfig,
    ReadReq,
    ReadResp,
    WriteReq,
    WriteResp,
)
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.errors import (
    InvalidValue,
    NotSupported,
    Refused,
    SkywireError,
    StreamClosed,
    StreamReset,
)
from skywire.rpc.client import RpcClient
from skywire.rpc.server import Method, RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import READ_SIZE, Address, Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.wire.app_hello import Hello, ProcKey
from skywire.wire.gob_types import EMPTY, INT64, STRING, UINT16, GoType
from skywire.wire.route_group import MAX_MESSAGE

log = logging.getLogger(__name__)

CONNECT_LIMIT = 10.0  # seconds
CALL_LIMIT = 30.0  # seconds for what a visor answers at once
DIAL_LIMIT = 120.0  # seconds; the visor has a limit of its own
MAX_READ = 32 * 1024  # bytes asked for, as Go's apps do; no message is longer
MAX_WRITE = 8 * MAX_MESSAGE  # bytes in one call: the visor makes messages of it
MAX_ANSWER = 1 << 20  # bytes
MAX_EVENT_CONNECTIONS = 4

Asked = asyncio.Task[Any]  # a call under way; its result is a SkywireError when it failed


class AppClient:
    """Use it as an async context manager. With `on_event` it asks for the events of apps.md §3.3.

    Raises DialFailed, TimeoutError when entered; a key that the visor does not know shows at the
    first call, as StreamReset.
    """

    def __init__(self, config: ProcConfig, on_event: OnEvent | None = None) -> None:
        self.config = config
        self._on_event = on_event
        self._name = ProcKey(config.proc_key).hex()
        self._stack = AsyncExitStack()
        self._tasks = Tasks(f"app {config.app_name}")
        self._rpc: RpcClient

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], on_event: OnEvent | None = None
    ) -> Self:
        """Raises InvalidValue when no visor has started this process."""
        text = environment.get(PROC_CONFIG)
        if text is None:
            raise InvalidValue(
                f"{PROC_CONFIG} is not set: apps are started by a visor, "
                "see `skywire cli visor app start`"
            )
        return cls(ProcConfig.parse(text), on_event)

    async def __aenter__(self) -> Self:
        try:
            address = HostPort.parse(self.config.app_server_addr)
            hello = Hello(ProcKey(self.config.proc_key))
            if self._on_event is not None:
                hello = await self._listen_for_events(hello.key)
            async with asyncio.timeout(CONNECT_LIMIT):
                stream = await dial_tcp(address.host or "127.0.0.1", address.port)
                self._stack.callback(stream.abort)
                await stream.write(hello.encode())
            self._rpc = await self._stack.enter_async_context(RpcClient(stream, MAX_ANSWER))
            self._stack.push_async_callback(self._tasks.close)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen_for_events(self, key: ProcKey) -> Hello:
        listener = await listen_tcp("127.0.0.1", 0)
        self._stack.push_async_callback(listener.close)
        server = RpcServer({f"{key}.Notify": Method(Event, EMPTY, self._notified, ordered=True)})
        self._tasks.spawn(
            serve_each(listener, server.serve, name="app events", limit=MAX_EVENT_CONNECTIONS),
            "events",
        )
        return Hello(key, "tcp", str(listener.address), frozenset({TCP_DIAL, TCP_CLOSE}))

    def _notified(self, event: Event) -> None:
        try:
            data = msgspec.json.decode(event.data, type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidValue(f"an event that is no JSON: {error}") from error
        if self._on_event is not None:
            self._on_event(event.type, data.get("remote_net", ""), data.get("remote_addr", ""))

    # The `Host`

    @property
    def pk(self) -> PubKey:
        return self.config.visor_pk

    @property
    def port(self) -> int:
        return self.config.routing_port

    async def wait_closed(self) -> None:
        """Until the visor has gone."""
        await self._rpc.wait_closed()

    async def dial(self, pk: PubKey, port: int, network: str = SKYNET) -> Stream:
        """Raises Refused with the visor's words, TimeoutError, StreamReset without a visor."""
        asking = self.ask("Dial", Addr, Addr(network, pk, port), DialResp)
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                dialled: DialResp = await answer(asking)
        except (asyncio.CancelledError, TimeoutError):
            self._tasks.spawn(self._give_up(asking), "given up dial")
            raise
        local = Address(network, str(self.pk), dialled.local_port, self.pk)
        return AppStream(self, dialled.conn_id, local, Address(network, str(pk), port, pk))

    async def listen(self, port: int, network: str = SKYNET) -> Listener:
        """Raises Refused when the port is taken."""
        number: int = await self.call("Listen", Addr, Addr(network, self.pk, port), UINT16)
        return AppListener(self, number, Address(network, str(self.pk), port, self.pk))

    async def set_status(self, text: str) -> None:
        await self.call("SetDetailedStatus", STRING, text, EMPTY)

    async def set_error(self, text: str) -> None:
        await self.call("SetError", STRING, text, EMPTY)

    async def set_port(self, port: int) -> None:
        await self.call("SetAppPort", UINT16, port, EMPTY)

    async def set_connection_duration(self, seconds: int) -> None:
        await self.call("SetConnectionDuration", INT64, seconds, EMPTY)

    # For its streams and listeners

    def ask(self, method: str, kind: GoType, argument: object, reply: GoType) -> Asked:
        """Goes on even if nobody waits: giving up must not end the connection, nor lose a read."""
        return self._tasks.spawn(self._outcome(method, kind, argument, reply), method)

    async def _outcome(self, method: str, kind: GoType, argument: object, reply: GoType) -> Any:
        try:
            return await self._rpc.call(f"{self._name}.{method}", kind, argument, reply)
        except SkywireError as error:
            return error

    async def call(self, method: str, kind: GoType, argument: object, reply: GoType) -> Any:
        """For what a visor answers at once. Raises as `RpcClient.call`, TimeoutError."""
        async with asyncio.timeout(CALL_LIMIT):
            return await answer(self.ask(method, kind, argument, reply))

    def close_soon(self, method: str, number: int) -> "asyncio.Task[Any]":
        """`CloseConn` or `CloseListener`: goes on even if nobody waits; never raises."""
        return self._tasks.spawn(self._close(method, number), method)

    async def _close(self, method: str, number: int) -> None:
        with suppress(SkywireError, TimeoutError):
            await self.call(method, UINT16, number, EMPTY)

    async def _give_up(self, asking: Asked) -> None:
        """A stream that nobody waits for any more is closed when it comes."""
        with suppress(SkywireError):
            dialled: DialResp = await answer(asking)
            await self._close("CloseConn", dialled.conn_id)


async def answer(asking: Asked) -> Any:
    """What it came to. Raises as `RpcClient.call`; giving up the wait loses nothing."""
    outcome = await asyncio.shield(asking)
    if isinstance(outcome, SkywireError):
        raise outcome
    return outcome


class AppListener:
    def __init__(self, app: AppClient, number: int, address: Address) -> None:
        self.address = address
        self._app = app
        self._number = number
        self._closed = False
        self._accepting: Asked | None = None

    async def accept(self) -> Stream:
        """One at a time."""
        if self._accepting is None:
            if self._closed:
                raise StreamClosed(f"the listener on {self.address} was closed")
            self._accepting = self._app.ask("Accept", UINT16, self._number, AcceptResp)
        try:
            accepted: AcceptResp = await answer(self._accepting)
        except (SkywireError, asyncio.CancelledError) as error:
            if isinstance(error, SkywireError):
                self._accepting = None
            if isinstance(error, Refused):
                raise StreamClosed(f"the listener on {self.address}: {error}") from error
            raise
        self._accepting = None
        remote = accepted.remote
        return AppStream(
            self._app,
            accepted.conn_id,
            self.address,
            Address(remote.net, str(remote.pk), remote.port, remote.pk),
        )

    async def close(self) -> None:
        """Idempotent."""
        if not self._closed:
            self._closed = True
            await self._app.close_soon("CloseListener", self._number)


class AppStream:
    """A stream that the visor holds: each read and write is a call.

    Message borders are kept as the visor keeps them. There is no half-close.
    """

    __slots__ = ("_app", "_closed", "_ended", "_number", "_reading", "_rest", "local", "remote")

    def __init__(self, app: AppClient, number: int, local: Address, remote: Address) -> None:
        self.local = local
        self.remote = remote
        self._app = app
        self._number = number
        self._closed = False
        self._rest = b""  # of a message that was longer than was asked for
        self._reading: Asked | None = None  # asked for, not yet returned to a reader
        self._ended: StreamReset | bool = False  # how the far end finished

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        if self._closed:
            raise self._closed_error()
        if not self._rest and not self._ended:
            await self._receive()
        if not self._rest and isinstance(self._ended, StreamReset):
            raise StreamReset(str(self._ended))
        data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return data

    async def _receive(self) -> None:
        if self._reading is None:
            request = ReadReq(self._number, MAX_READ)
            self._reading = self._app.ask("Read", ReadReq, request, ReadResp)
        try:
            got: ReadResp = await answer(self._reading)
        except SkywireError as error:
            self._reading = None
            self._ended = StreamReset(f"stream to {self.remote}: {error}")
            got = ReadResp()
        self._reading = None
        if self._closed:
            raise self._closed_error()
        self._rest = got.data
        if got.error is not None:
            self._ended = self._outcome(got.error)

    def _outcome(self, error: IoError) -> StreamReset | bool:
        return True if error.text == "EOF" else StreamReset(error.text)

    async def write(self, data: bytes) -> None:
        if self._closed:
            raise self._closed_error()
        for begin in range(0, len(data), MAX_WRITE):
            request = WriteReq(self._number, data[begin : begin + MAX_WRITE])
            try:
                done: WriteResp = await answer(self._app.ask("Write", WriteReq, request, WriteResp))
            except SkywireError as error:
                raise self._failed(str(error)) from error
            if done.error is not None:
                raise self._failed(done.error.text)

    def _failed(self, text: str) -> StreamReset | StreamClosed:
        if self._closed:
            return self._closed_error()
        return StreamReset(f"stream to {self.remote}: {text}")

    def _closed_error(self) -> StreamClosed:
        return StreamClosed(f"stream to {self.remote} was closed by us")

    async def write_eof(self) -> None:
        raise NotSupported("the stream of an app has no half-close: use close()")

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.shield(self._app.close_soon("CloseConn", self._number))

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._app.close_soon("CloseConn", self._number)
