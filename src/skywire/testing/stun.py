"""A STUN server on two loopback addresses, as RFC 3489 wants it; it can keep quiet or lie."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.errors import RemoteProtocolError
from skywire.streams.udp import Endpoint, UdpSocket, open_udp
from skywire.wire.stun import (
    BINDING_REQUEST,
    BINDING_RESPONSE,
    CHANGE_IP,
    CHANGE_PORT,
    Message,
    parse,
)

HOSTS = ("127.0.0.1", "127.0.0.2")  # all of 127/8 is loopback on Linux


class StunServer:
    """`sockets[ip][port]`; requests for a change are answered from the other one."""

    def __init__(self, sockets: list[list[UdpSocket]]) -> None:
        self._sockets = sockets
        self.url = str(sockets[0][0].address)
        self.mapped: Endpoint | None = None  # what clients are told; None: the truth
        self.changes = True  # answer from elsewhere when asked to
        self.silent = False
        self.requests = 0
        for ip, row in enumerate(sockets):
            for port, sock in enumerate(row):
                sock.on_other = self._receiver(ip, port)

    def _receiver(self, ip: int, port: int) -> "_Receiver":
        return _Receiver(self, ip, port)

    def answer(self, data: bytes, source: Endpoint, ip: int, port: int) -> None:
        try:
            request = parse(data)
        except RemoteProtocolError:
            return
        self.requests += 1
        if self.silent or request.type != BINDING_REQUEST or (request.change and not self.changes):
            return
        other = self._sockets[1 - ip][1 - port].address
        mapped = self.mapped or source
        response = Message(
            BINDING_RESPONSE,
            request.transaction,
            mapped=mapped,
            other=(other.host, other.port),
        )
        from_ip = 1 - ip if request.change & CHANGE_IP else ip
        from_port = 1 - port if request.change & CHANGE_PORT else port
        self._sockets[from_ip][from_port].send(response.encode(), source)


class _Receiver:
    def __init__(self, server: StunServer, ip: int, port: int) -> None:
        self._server = server
        self._where = (ip, port)

    def __call__(self, data: bytes, source: Endpoint) -> None:
        self._server.answer(data, source, *self._where)


@asynccontextmanager
async def stun_server() -> AsyncIterator[StunServer]:
    sockets: list[list[UdpSocket]] = []
    try:
        first = [await open_udp(HOSTS[0]) for _ in range(2)]
        sockets.append(first)
        sockets.append([await open_udp(HOSTS[1], sock.address.port) for sock in first])
        yield StunServer(sockets)
    finally:
        for sock in (sock for row in sockets for sock in row):
            await sock.close()
