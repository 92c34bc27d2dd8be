"""A shell on another node, or a command run there. Source: pty.md §2 to §6.

Works with hosts of any age: `open` asks for a session that outlives the connection and is content
with a plain one; `close` leaves the former and ends the latter.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, NamedTuple, Self

from skywire.errors import NotSupported, Refused, SkywireError, StreamClosed, StreamError
from skywire.pty.execute import MAX_OUTPUT
from skywire.pty.mux import request_service
from skywire.pty.types import (
    OLD_HOST,
    PTY_URI,
    SIGNATURES,
    CommandExecReq,
    CommandExecResult,
    CommandReq,
    WinSize,
)
from skywire.rpc.client import Answer, RpcClient
from skywire.streams.stream import Stream

READ_SIZE = 32768  # bytes wanted by one Read
LITTLE = 256  # bytes of output: less looks like the echo of a key
KEEPALIVE = 30.0  # seconds between pings; a 2026 dmsg stream ends after 2 minutes of silence
ANSWER_TIMEOUT = 30.0  # seconds for the answer to a ping, else the connection counts as dead
CLOSE_TIMEOUT = 2.0  # seconds a host has to end a classic shell
MAX_MESSAGE = 1 << 20  # bytes of an answer, except to Exec
MAX_EXEC_MESSAGE = 2 * MAX_OUTPUT + (1 << 20)
CLOSED_BY_US = "the connection to the shell was closed by us"

log = logging.getLogger(__name__)


class Opened(NamedTuple):
    session: str  # id, to attach to later; "" when the shell ends with the connection
    attached: bool  # to an earlier session: its output is replayed


class PtyClient:
    """Owns `stream`, which the host has accepted for `dmsgpty/pty` or `dmsgpty/proxy`.

    Errors: Refused has the host's text; StreamReset and StreamClosed mean the connection is over.
    Calls have no deadline of their own. One `read` and one `write` at a time.
    """

    def __init__(self, stream: Stream, *, max_message: int = MAX_MESSAGE) -> None:
        self.stream = stream
        self._rpc = RpcClient(stream, max_message)
        self._reading: Answer | None = None
        self._typed = False  # since the last output: its echo is wanted now
        self._quiet = False  # little output came last: the next Read may wait for the next key
        self._running = False  # a shell that ends with the connection
        self._closing = False
        self._old_host: bool | None = None  # None: not yet known

    @classmethod
    async def connect(
        cls, stream: Stream, uri: str = PTY_URI, *, max_message: int = MAX_MESSAGE
    ) -> "PtyClient":
        """Ask for `uri` on a new stream. On failure the stream is aborted."""
        try:
            await request_service(stream, uri)
            return cls(stream, max_message=max_message)
        except BaseException:
            stream.abort()
            raise

    async def __aenter__(self) -> Self:
        await self._rpc.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def closed(self) -> bool:
        """The connection has ended, by either side."""
        return self._rpc.closed

    async def _call(self, method: str, argument: Any = None) -> Any:
        argument_type, reply_type = SIGNATURES[method]
        return await self._rpc.call(method, argument_type, argument, reply_type)

    async def open(self, request: CommandReq, session: str = "") -> Opened:
        """Attach to `session`, or when that fails start a session, or a plain shell (§7.3)."""
        if session:
            try:
                await self.attach(session)
            except Refused as error:
                log.info("no reattach session=%s reason=%s", session, error)
            else:
                if request.size is not None:
                    with suppress(Refused):
                        await self.set_size(request.size)
                return Opened(session, attached=True)
        try:
            return Opened(await self.start_session(request), attached=False)
        except NotSupported:
            await self.start(request)
            return Opened("", attached=False)

    async def start(self, request: CommandReq) -> None:
        """A shell that ends with this connection, on every host that can say so."""
        await self._call("pty.Start", request)
        self._running = True

    async def start_session(self, request: CommandReq) -> str:
        """Raises NotSupported when the host keeps no sessions."""
        try:
            return str(await self._call("pty.StartSession", request))
        except Refused as error:
            if is_missing(error):
                raise NotSupported(f"{self.stream.remote} keeps no sessions") from error
            raise

    async def attach(self, session: str) -> None:
        await self._call("pty.Attach", session)

    async def view(self, session: str) -> None:
        """Attach only to look on. Raises Refused; NotSupported when the host keeps no sessions.

        A host that knows no `View` is attached to: then it is for the caller not to type.
        """
        for method in ("pty.View", "pty.Attach"):
            try:
                await self._call(method, session)
            except Refused as error:
                if not is_missing(error):
                    raise
            else:
                return
        raise NotSupported(f"{self.stream.remote} keeps no sessions")

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        """Output; waits for some. Raises Refused with the reason when the shell has ended.

        A cancelled read loses nothing: the next one (of the same size) gets the answer.
        """
        if self._reading is None:
            if self._closing:  # one more Read would keep a 2024 host from obeying Stop
                raise StreamClosed(CLOSED_BY_US)
            argument_type, reply_type = SIGNATURES["pty.Read"]
            self._reading = self._rpc.begin(
                "pty.Read",
                argument_type,
                max_bytes,
                reply_type,
                hold=self._quiet and not self._typed,
            )
        try:
            data = bytes(await self._reading.result())
        except StreamClosed as error:
            self._reading = None
            raise StreamClosed(CLOSED_BY_US) from error
        except SkywireError:
            self._reading = None
            raise
        self._reading = None
        self._quiet = len(data) < LITTLE
        self._typed = False
        return data

    async def write(self, data: bytes) -> int:
        """How many bytes the terminal took. Wait for the answer before the next one (§3.2)."""
        self._typed = True
        return int(await self._call("pty.Write", data))

    async def set_size(self, size: WinSize) -> None:
        await self._call("pty.SetPtySize", size)

    async def resize(self, cols: int, rows: int) -> None:
        """As the web page does it: the size in pixels stands for the one in characters."""
        await self.set_size(WinSize(x=cols, y=rows, rows=rows, cols=cols))

    async def stop(self) -> None:
        """End the shell, a kept one too."""
        await self._call("pty.Stop")
        self._running = False

    async def ping(self) -> None:
        """Raises Refused on a 2024 host, which is an answer as well."""
        try:
            await self._call("pty.Ping")
        except Refused as error:
            self._old_host = is_missing(error)
            raise
        self._old_host = False

    async def execute(self, request: CommandExecReq) -> CommandExecResult:
        """Connect with `max_message=MAX_EXEC_MESSAGE` for this."""
        result: CommandExecResult = await self._call("pty.Exec", request)
        return result

    async def keep_alive(self, interval: float = KEEPALIVE) -> None:
        """Ping until the connection ends. A host that stops answering is cut off; `read` tells."""
        while True:
            await asyncio.sleep(interval)
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self.ping()
            except Refused:
                continue
            except StreamError:
                return
            except TimeoutError:
                log.warning("pty host is silent host=%s", self.stream.remote)
                self.stream.abort()
                return

    async def close(self) -> None:
        """Leave a kept session, end another shell. Idempotent, never raises."""
        self._closing = True
        try:
            if self._running and not self._rpc.closed:
                self._running = False
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._end_shell()
        except (SkywireError, TimeoutError) as error:
            log.debug("no orderly end host=%s error=%s", self.stream.remote, error)
        finally:
            await self._rpc.close()

    async def _end_shell(self) -> None:
        """On a 2024 host Stop waits for a Read that waits, so that must get something (§3.2)."""
        reading = self._reading
        if reading is not None and await self._is_old_host():
            await self.write(b"\n")
            with suppress(SkywireError):
                await reading.result()
        await self.stop()

    async def _is_old_host(self) -> bool:
        if self._old_host is None:
            with suppress(Refused):
                await self.ping()
        return bool(self._old_host)


def is_missing(error: Refused) -> bool:
    """The host is older than the method, or has it switched off."""
    return any(text in str(error.reason) for text in OLD_HOST)


async def whitelist_call(stream: Stream, method: str, keys: object = None) -> Any:
    """One call of the service `whitelist`; `stream` is accepted for it, and closed here."""
    argument_type, reply_type = SIGNATURES[method]
    async with RpcClient(stream, MAX_MESSAGE) as rpc:
        return await rpc.call(method, argument_type, keys, reply_type)
