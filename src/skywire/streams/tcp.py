"""TCP connections as Streams, over `asyncio.Protocol`; `unix.py` uses the same class.

Back-pressure both ways: reading pauses while `READ_LIMIT` bytes wait for `read`, `write` waits
while `WRITE_LIMIT` bytes wait for the kernel.
"""

import asyncio
import errno
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

from skywire.errors import (
    Conflict,
    DialFailed,
    Forbidden,
    InvalidValue,
    LocalProtocolError,
    SkywireError,
    StreamClosed,
    StreamReset,
    Unavailable,
)
from skywire.streams.stream import READ_SIZE, Address

READ_LIMIT = 256 * 1024  # received bytes nobody has read yet; above, the kernel holds the rest
WRITE_LIMIT = 64 * 1024  # accepted bytes the kernel has not taken yet; above, `write` waits
BACKLOG = 1024  # connections the kernel keeps until `accept`
ACCEPT_PAUSE = 0.05  # seconds after a temporary accept error; Go's value
TEMPORARY = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED}
CLOSE_WAIT = 2.0  # seconds `close` waits until everything is with the kernel
LINGER = 30.0  # seconds a closed stream goes on delivering what was written, then it is cut
LINGER_INPUT = 1024 * 1024  # bytes a closed stream takes meanwhile to throw away

log = logging.getLogger(__name__)


class SocketStream(asyncio.Protocol):
    """A connected socket. Made by `dial_tcp`, `dial_unix` and the listeners."""

    def __init__(self, remote: Address | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._remote = remote
        self._local: Address | None = None
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[bytes] = deque()
        self._offset = 0  # consumed bytes of the first chunk
        self._size = 0  # unread bytes in all chunks
        self._reading_paused = False
        self._writing_paused = False
        self._eof_received = False
        self._eof_sent = False
        self._closed = False
        self._thrown_away = 0  # bytes that arrived after `close`
        self._lost: BaseException | None = None  # why the connection is over
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        sock: socket.socket = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._local = socket_address(sock, sock.getsockname())
        if self._remote is None:
            self._remote = socket_address(sock, transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        if self._closed:
            self._thrown_away += len(data)
            if self._thrown_away > LINGER_INPUT and self._transport is not None:
                self._transport.abort()
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > READ_LIMIT and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._eof_received = True
        self._wake_reader()
        return not self._closed  # True keeps our direction open

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or StreamReset(f"connection to {self._remote} is closed")
        self._wake_reader()
        self._wake_writer()
        if not self._gone.done():
            self._gone.set_result(None)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # What our code calls.

    @property
    def local(self) -> Address:
        assert self._local is not None, "connected"  # noqa: S101 - a type guard
        return self._local

    @property
    def remote(self) -> Address:
        assert self._remote is not None, "connected"  # noqa: S101 - a type guard
        return self._remote

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        while not self._chunks or self._closed:
            if self._closed:
                raise StreamClosed(f"connection to {self._remote} was closed by us")
            if self._eof_received:
                return b""
            if self._lost is not None:
                raise StreamReset(f"connection to {self._remote} broke: {self._lost}")
            if self._reader is not None:
                raise LocalProtocolError("a stream has one reader at a time")
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes:
        first = self._chunks[0]
        if self._offset == 0 and len(first) <= max_bytes:
            data = self._chunks.popleft()
        else:
            data = bytes(memoryview(first)[self._offset : self._offset + max_bytes])
            self._offset += len(data)
            if self._offset == len(first):
                self._chunks.popleft()
                self._offset = 0
        self._size -= len(data)
        if self._reading_paused and self._size <= READ_LIMIT // 2:
            self._reading_paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        self._check_writable()
        if not data or self._transport is None:
            return
        self._transport.write(data)
        while self._writing_paused:
            if self._writer is not None:
                raise LocalProtocolError("a stream has one writer at a time")
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
            self._check_writable()

    def write_now(self, data: bytes) -> bool:
        self._check_writable()
        if self._writing_paused or self._transport is None:
            return False
        self._transport.write(data)
        return True

    def _check_writable(self) -> None:
        if self._closed:
            raise StreamClosed(f"connection to {self._remote} was closed by us")
        if self._lost is not None:
            raise StreamReset(f"connection to {self._remote} broke: {self._lost}")
        if self._eof_sent:
            raise StreamClosed(f"our direction to {self._remote} was finished by write_eof")

    async def write_eof(self) -> None:
        if self._closed:
            raise StreamClosed(f"connection to {self._remote} was closed by us")
        if self._transport is not None and not self._eof_sent and self._lost is None:
            self._eof_sent = True
            self._send_eof(self._transport)

    @staticmethod
    def _send_eof(transport: asyncio.Transport) -> None:
        try:
            transport.write_eof()
        except OSError as error:  # the peer has reset: asyncio tells so next
            log.debug("no end of our direction error=%s", reason(error))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._chunks.clear()
            self._wake_reader()
            self._wake_writer()
            self._finish()
        if not self._gone.done():
            await asyncio.wait([self._gone], timeout=CLOSE_WAIT)

    def _finish(self) -> None:
        transport = self._transport
        if transport is None or self._lost is not None:
            return
        if self._reading_paused and not self._eof_received:
            # Closing a socket with unread input makes Linux send a reset, which destroys output on
            # its way. So: finish our direction, throw the input away, close at the peer's EOF.
            if not self._eof_sent:
                self._send_eof(transport)
            transport.resume_reading()
        else:
            transport.close()
        cut = self._loop.call_later(LINGER, transport.abort)
        self._gone.add_done_callback(lambda _: cut.cancel())

    def abort(self) -> None:
        self._closed = True
        self._chunks.clear()
        self._wake_reader()
        self._wake_writer()
        if self._transport is not None and self._lost is None:
            sock: socket.socket = self._transport.get_extra_info("socket")
            if sock.family != socket.AF_UNIX:  # makes the kernel send a reset
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def socket_address(sock: socket.socket, name: object) -> Address:
    """`name` is what getsockname or getpeername said; None when the peer is already gone."""
    if sock.family == socket.AF_UNIX:
        return Address("unix", name if isinstance(name, str) else "")
    host, port = cast("tuple[str, int]", name or ("", 0))[:2]
    return Address("tcp", host, port)


class SocketListener:
    """Incoming connections of a listening socket, which it owns; the kernel keeps the queue."""

    def __init__(self, sock: socket.socket, on_close: Callable[[], None] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._address = socket_address(sock, sock.getsockname())
        self._on_close = on_close
        self._accepter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def address(self) -> Address:
        return self._address

    async def accept(self) -> SocketStream:
        if self._accepter is not None:
            raise LocalProtocolError("a listener has one accepter at a time")
        while not self._closed:
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                await self._wait_readable()
                continue
            except OSError as error:
                if error.errno not in TEMPORARY:
                    raise StreamReset(f"listener on {self} broke: {reason(error)}") from error
                log.warning("accept failed address=%s error=%s", self, reason(error))
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            sock.setblocking(False)
            _, stream = await self._loop.connect_accepted_socket(SocketStream, sock)
            return stream
        raise StreamClosed(f"listener on {self} is closed")

    async def _wait_readable(self) -> None:
        self._accepter = self._loop.create_future()
        self._loop.add_reader(self._sock, self._wake)
        try:
            await self._accepter
        finally:
            self._accepter = None
            if not self._closed:
                self._loop.remove_reader(self._sock)

    def _wake(self) -> None:
        if self._accepter is not None and not self._accepter.done():
            self._accepter.set_result(None)

    async def close(self) -> None:
        """No new connections; those accepted live on, those still waiting are cut. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self._wake()
        if self._on_close is not None:
            self._on_close()

    def __str__(self) -> str:
        return str(self._address)


async def dial_tcp(host: str, port: int) -> SocketStream:
    """Raises DialFailed; the caller sets the deadline."""
    remote = Address("tcp", host, port)
    try:
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: SocketStream(remote), host, port
        )
    except (OSError, ValueError) as error:  # ValueError: no resolver takes such a name
        raise DialFailed(f"cannot connect to {remote}: {reason(error)}") from error
    return stream


async def listen_tcp(host: str, port: int) -> SocketListener:
    """`port` 0 takes a free one (see `.address`); `host` "" means all addresses, v4 and v6.

    A name stands for the first address it resolves to. Raises Conflict when the port is taken.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM) if host else ()
        if not found and socket.has_dualstack_ipv6():
            sock = socket.create_server(
                (host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        elif not found:
            sock = socket.create_server((host, port), backlog=BACKLOG)
        else:
            family, _, _, _, address = found[0]
            sock = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except ValueError as error:  # no resolver takes such a name
        raise InvalidValue(f'cannot listen on "{host}": {reason(error)}') from error
    except OSError as error:
        raise listen_error(error, f"port {port} on {host or 'all addresses'}") from error
    sock.setblocking(False)
    return SocketListener(sock)


def reason(error: OSError | ValueError) -> str:
    """The system's text for `error` without asyncio's decoration."""
    if isinstance(error, ValueError):
        return "that is no host name"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def listen_error(error: OSError, what: str) -> SkywireError:
    """What a failed bind of `what` ("port 80 on ::1") means to a person."""
    if error.errno == errno.EADDRINUSE:
        return Conflict(f"{what} is in use by another program; stop it or choose another")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(f"{what} may not be used by this user; choose another or run as root")
    return Unavailable(f"{what} cannot be used: {reason(error)}")
