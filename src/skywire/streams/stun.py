"""Ask STUN servers what kind of NAT we are behind. Source: visor.md §1 (stun_client)."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress

from skywire.crypto.generate import random_bytes
from skywire.errors import InvalidValue, SkywireError
from skywire.streams.udp import Endpoint, UdpSocket, open_udp, resolve_udp
from skywire.wire.stun import DEFAULT_PORT, RANDOM_SIZE, Nat, NatProbe, NatType

log = logging.getLogger(__name__)

TIME_LIMIT = 15.0  # seconds for one server; four tests of 3.1 s at the most


def parse_server(text: str) -> tuple[str, int]:
    """Host and port of "host[:port]". Raises InvalidValue."""
    host, colon, port = text.partition(":")
    if not host or (
        colon
        and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536)
    ):
        raise InvalidValue(f'"{text[:80]}" is no STUN server: expected host:port')
    return host, int(port) if colon else DEFAULT_PORT


async def discover_nat(servers: Sequence[str], sock: UdpSocket | None = None) -> Nat:
    """What the first server says that can say it; NatType.ERROR when there is none.

    With `sock` the questions go out from there, and its `on_other` is ours meanwhile. Never raises
    for what a server does.
    """
    best = Nat(NatType.ERROR, None)
    for server in servers:
        found = await _ask_from(server, sock)
        log.info("stun server=%s nat=%s public=%s", server, found.type.value, found.public)
        if found.type.is_known:
            return found
        if best.type is NatType.ERROR or best.public is None:
            best = found
    return best


async def _ask_from(server: str, sock: UdpSocket | None) -> Nat:
    try:
        async with asyncio.timeout(TIME_LIMIT):
            to = await resolve_udp(*parse_server(server))
            if sock is not None:
                return await _ask(sock, to)
            own = await open_udp()
            try:
                return await _ask(own, to)
            finally:
                await own.close()
    except (SkywireError, TimeoutError) as error:
        log.info("stun failed server=%s error=%s", server, error or "time")
        return Nat(NatType.ERROR, None)


async def _ask(sock: UdpSocket, server: Endpoint) -> Nat:
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    probe = NatProbe(
        server, (_address_towards(server), sock.address.port), random_bytes(RANDOM_SIZE), _now(loop)
    )

    def receive(data: bytes, source: Endpoint) -> None:
        probe.receive_datagram(data, source, _now(loop))
        answered.set()

    before, sock.on_other = sock.on_other, receive
    try:
        while probe.result is None:
            for datagram, to in probe.data_to_send(_now(loop)):
                sock.send(datagram, to)
            when = probe.next_timer()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if when is None else when / 1000):
                    await answered.wait()
            answered.clear()
            probe.handle_timer(_now(loop))
    finally:
        sock.on_other = before
    return probe.result


def _address_towards(server: Endpoint) -> str:
    """The IP of ours that the system would use; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(server)
        except OSError:
            return ""
        return str(sock.getsockname()[0])


def _now(loop: asyncio.AbstractEventLoop) -> int:
    """Milliseconds; rounded up, or a timer would be a little too early for ever."""
    return int(loop.time() * 1000) + 1
