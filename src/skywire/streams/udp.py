"""One UDP socket for everything sudph does. Source: transport.md §5.1.

A datagram goes to the first that claims it:

    1. the session with a fixed address (the address resolver), by its source address
    2. a session we dialled, by its conversation id
    3. a session somebody dialled to us, by its source address; or a new one
    4. `on_other`: what is not KCP (STUN answers, hole punches)
"""

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from skywire.crypto.generate import random_bytes
from skywire.errors import Conflict, LocalProtocolError, StreamClosed, Unavailable
from skywire.streams.kcp import KcpStream
from skywire.streams.stream import Address
from skywire.streams.tcp import listen_error
from skywire.wire.kcp import RESET, conversation, is_opening, reset_datagram

DATAGRAM = 1500  # bytes; longer ones are cut, the reference's buffer
BATCH = 64  # calls to the kernel before other work has its turn
BURST = 8  # datagrams of one size given to the kernel in one call; lost together at worst
RECEIVE_BUFFER = 65535  # bytes; what the kernel may have joined
UDP_SEGMENT = 103  # Linux: cut what we send into datagrams of this size
UDP_GRO = 104  # Linux: join what we receive, and say the size
SIZE = struct.Struct("=i")
NO_BURSTS = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
SOCKET_BUFFER = 1 << 20  # bytes asked of the kernel; it may give less
MAX_SESSIONS = 1024  # sessions others dialled to us
MAX_WAITING = 128  # of them not accepted yet
MAX_DIALLED = 1024
MAX_ENDED = 1024  # ended sessions remembered, so that a late first segment does not open another

log = logging.getLogger(__name__)

Endpoint = tuple[str, int]  # numeric host, port


class UdpSocket:
    """Made by `open_udp`; `close` cuts all sessions."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        host, port = sock.getsockname()[:2]
        self.address: Final = Address("udp", host, port)
        self.on_other: Callable[[bytes, Endpoint], None] | None = None
        self.ignored = 0  # datagrams nobody claimed
        self.unsent = 0  # datagrams the kernel did not take
        self._fixed: dict[Endpoint, KcpStream] = {}
        self._dialled: dict[int, KcpStream] = {}
        self._incoming: dict[Endpoint, KcpStream] = {}
        self._ended: OrderedDict[tuple[Endpoint, int], None] = OrderedDict()
        self._listener: KcpListener | None = None
        self._max_sessions = 0  # of the listener
        self._closed = False
        self._bursts = sys.platform == "linux"
        self._buffer = bytearray(RECEIVE_BUFFER)
        self._loop.add_reader(sock, self._on_readable)

    # Sending

    def send(self, datagram: bytes, to: Endpoint) -> None:
        """Now or never, as UDP is."""
        if self._closed:
            return
        try:
            self._sock.sendto(datagram, to)
        except BlockingIOError:
            self.unsent += 1
        except OSError as error:
            self.unsent += 1
            log.debug("datagram not sent to=%s:%d error=%s", *to, error)

    def send_all(self, datagrams: Sequence[bytes], to: Endpoint) -> None:
        """As `send`, with few calls to the kernel for datagrams of the same size."""
        if len(datagrams) == 1 or not self._bursts:
            for datagram in datagrams:
                self.send(datagram, to)
            return
        for burst in _bursts(datagrams):
            if len(burst) == 1 or not self._send_burst(burst, to):
                for datagram in burst:
                    self.send(datagram, to)

    def _send_burst(self, burst: Sequence[bytes], to: Endpoint) -> bool:
        """False when the kernel, or the way there, has no such thing."""
        if self._closed or not self._bursts:
            return self._closed
        size = struct.pack("=H", len(burst[0]))
        try:
            self._sock.sendmsg(burst, [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, to)
        except BlockingIOError:
            self.unsent += len(burst)
        except OSError as error:
            if error.errno in NO_BURSTS:
                log.info("datagrams go out one by one address=%s error=%s", self.address, error)
                self._bursts = False
                return False
            self.unsent += len(burst)
            log.debug("datagrams not sent to=%s:%d error=%s", *to, error)
        return True

    # Sessions

    def dial(self, to: Endpoint) -> KcpStream:
        """A new session; nothing is sent before the first write. Raises Conflict when too many."""
        if len(self._dialled) >= MAX_DIALLED:
            raise Conflict(f"{MAX_DIALLED} KCP sessions are open already; close some")
        conv = self._new_conv()

        def end(stream: KcpStream) -> None:
            self._dialled.pop(conv, None)
            self._remember(to, conv)

        stream = self._stream(conv, to, end)
        self._dialled[conv] = stream
        return stream

    def dial_fixed(self, to: Endpoint) -> KcpStream:
        """A session that gets everything from `to`; it replaces the one before."""
        if to in self._fixed:
            self._fixed[to].abort()

        def end(stream: KcpStream) -> None:
            if self._fixed.get(to) is stream:
                del self._fixed[to]

        stream = self._fixed[to] = self._stream(self._new_conv(), to, end)
        return stream

    def _new_conv(self) -> int:
        while True:
            conv = int.from_bytes(random_bytes(4), "little")
            if conv not in self._dialled:
                return conv

    def _stream(self, conv: int, to: Endpoint, on_end: Callable[[KcpStream], None]) -> KcpStream:
        if self._closed:
            raise StreamClosed(f"UDP socket {self.address} is closed")
        return KcpStream(
            conv,
            local=self.address,
            remote=Address("udp", *to),
            send=lambda datagrams: self.send_all(datagrams, to),
            on_end=on_end,
        )

    def listen(self, *, sessions: int | None = None) -> "KcpListener":
        """Take sessions that others dial, `sessions` at a time (None: MAX_SESSIONS).

        Raises Conflict when somebody listens already.
        """
        if self._listener is not None:
            raise Conflict(f"UDP socket {self.address} has a listener already")
        self._listener = KcpListener(self.address, self._stop_listening)
        self._max_sessions = MAX_SESSIONS if sessions is None else sessions
        return self._listener

    def _stop_listening(self) -> None:
        self._listener = None

    def _remember(self, source: Endpoint, conv: int) -> None:
        self._ended[source, conv] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    # Receiving

    def _on_readable(self) -> None:
        touched: dict[KcpStream, None] = {}
        for _ in range(BATCH):
            try:
                size, notes, _, name = self._sock.recvmsg_into([self._buffer], socket.CMSG_SPACE(4))
            except BlockingIOError:
                break
            except OSError as error:  # an earlier datagram was refused
                log.debug("receive failed address=%s error=%s", self.address, error)
                continue
            source = name[:2]
            for data in self._datagrams(size, notes):
                stream = self._claim(data, source)
                if stream is not None:
                    stream.receive_datagram(data)
                    touched[stream] = None
        for stream in touched:
            stream.batch_done()

    def _datagrams(self, size: int, notes: "list[tuple[int, int, bytes]]") -> Iterator[bytes]:
        """What the kernel has joined, apart again."""
        each = DATAGRAM
        for level, kind, value in notes:
            if (level, kind) == (socket.IPPROTO_UDP, UDP_GRO) and len(value) == SIZE.size:
                each = SIZE.unpack(value)[0] or size
        view = memoryview(self._buffer)
        if not notes:
            yield bytes(view[: min(size, DATAGRAM)])
            return
        for at in range(0, size, each):
            yield bytes(view[at : min(at + each, at + DATAGRAM, size)])

    def _claim(self, data: bytes, source: Endpoint) -> KcpStream | None:
        if (stream := self._fixed.get(source)) is not None:
            return stream
        conv = conversation(data)
        if conv is None:
            if self.on_other is not None:
                self.on_other(data, source)
            else:
                self.ignored += 1
            return None
        if (stream := self._dialled.get(conv)) is not None:
            if data[4] == RESET and (stream.remote.host, stream.remote.port) != source:
                self.ignored += 1  # data may come from elsewhere, a NAT's other port; not this
                return None
            return stream
        stream = self._incoming.get(source)
        if stream is not None and stream.conv == conv:
            return stream
        return self._open(data, source, conv)

    def _open(self, data: bytes, source: Endpoint, conv: int) -> KcpStream | None:
        """A datagram of no session: the first of a new one, or a late one of an old."""
        if not is_opening(data) or (source, conv) in self._ended:
            if data[4] != RESET:
                self.send(reset_datagram(conv), source)
            self.ignored += 1
            return None
        listener = self._listener
        old = self._incoming.get(source)
        if (
            listener is None
            or listener.waiting >= MAX_WAITING
            or (old is None and len(self._incoming) >= self._max_sessions)
        ):
            self.ignored += 1
            return None
        if old is not None:
            old.lose("the peer began another session from the same address")

        def end(stream: KcpStream) -> None:
            if self._incoming.get(source) is stream:
                del self._incoming[source]
            self._remember(source, conv)

        stream = self._incoming[source] = self._stream(conv, source, end)
        listener.add(stream)
        return stream

    async def close(self) -> None:
        if self._closed:
            return
        sessions = (*self._fixed.values(), *self._dialled.values(), *self._incoming.values())
        for stream in sessions:
            stream.abort()
        self._closed = True
        if self._listener is not None:
            await self._listener.close()
        self._loop.remove_reader(self._sock)
        self._sock.close()


def _bursts(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Runs of one size, at most BURST of them; the last of a run may be shorter."""
    start = 0
    for at in range(1, len(datagrams) + 1):
        if (
            at == len(datagrams)
            or at - start == BURST
            or len(datagrams[at - 1]) < len(datagrams[start])
            or len(datagrams[at]) > len(datagrams[start])
        ):
            yield datagrams[start:at]
            start = at


class KcpListener:
    """Sessions others dialled to a UdpSocket; closing it leaves the accepted ones alone."""

    def __init__(self, address: Address, on_close: Callable[[], None]) -> None:
        self.address = address
        self._on_close = on_close
        self._streams: deque[KcpStream] = deque()
        self._accepter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        return len(self._streams)

    def add(self, stream: KcpStream) -> None:
        self._streams.append(stream)
        self._wake()

    async def accept(self) -> KcpStream:
        if self._accepter is not None:
            raise LocalProtocolError("a listener has one accepter at a time")
        while not self._streams or self._closed:
            if self._closed:
                raise StreamClosed(f"KCP listener on {self.address} is closed")
            self._accepter = asyncio.get_running_loop().create_future()
            try:
                await self._accepter
            finally:
                self._accepter = None
        return self._streams.popleft()

    async def close(self) -> None:
        """Sessions nobody accepted are cut. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._on_close()
        while self._streams:
            self._streams.popleft().abort()
        self._wake()

    def _wake(self) -> None:
        if self._accepter is not None and not self._accepter.done():
            self._accepter.set_result(None)


async def open_udp(host: str = "0.0.0.0", port: int = 0) -> UdpSocket:  # noqa: S104 - sudph serves all
    """An IPv4 UDP socket; `port` 0 takes a free one. Raises Conflict when the port is taken."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise listen_error(error, "a UDP socket") from error
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        sock.bind((host, port))
        if sys.platform == "linux":
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    except OSError as error:
        sock.close()
        raise listen_error(error, f"UDP port {port} on {host}") from error
    return UdpSocket(sock)


async def resolve_udp(host: str, port: int) -> Endpoint:
    """The numeric IPv4 address of `host`. Raises Unavailable; the caller sets the deadline."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"cannot find the address of {host}: {error}") from error
    name = found[0][4]
    return str(name[0]), int(name[1])
