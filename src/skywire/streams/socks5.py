"""SOCKS5 over streams: serve a client, or reach a host through another proxy.

The machines are `wire/socks5.py`'s; names are resolved where the connection is made.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable

from skywire.errors import DialFailed, Forbidden, Refused, RemoteProtocolError, SkywireError
from skywire.streams.relay import close_within, copy_both
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp, reason
from skywire.wire.socks5 import Connect, Reply, Socks5Client, Socks5Server

log = logging.getLogger(__name__)

NEGOTIATION_TIMEOUT = 10.0  # seconds for a client to say where it wants to go
CONNECT_TIMEOUT = 30.0  # seconds until it hears whether it got there

DialHost = Callable[[str, int], Awaitable[Stream]]


async def serve_socks(stream: Stream, dial: DialHost, passcode: str = "") -> None:
    """Serve one client: negotiate, `dial` where it wants to go, copy until the end.

    Closes `stream` on every way out. Raises RemoteProtocolError and StreamError of the client's
    side; a failed dial is the client's to hear, and logged.
    """
    server = Socks5Server(passcode)
    try:
        async with asyncio.timeout(NEGOTIATION_TIMEOUT):
            wanted = await _negotiate(stream, server)
        if wanted is None:
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                target = await dial(wanted.host, wanted.port)
        except (SkywireError, TimeoutError) as error:
            log.info("socks dial failed host=%s port=%d error=%s", *wanted, error or "time")
            server.send_reply(_reply_for(error))
            await _send(stream, server.data_to_send())
            return
        local = target.local
        host = local.host if local.network == "tcp" else "0.0.0.0"  # noqa: S104 - "unspecified"
        server.send_reply(Reply.SUCCEEDED, host, local.port)
        try:
            await _send(stream, server.data_to_send())
            await _send(target, server.take_rest())
        except BaseException:
            target.abort()
            raise
        await copy_both(stream, target)
    except BaseException:
        stream.abort()
        raise
    finally:
        await close_within(stream)


async def _negotiate(stream: Stream, server: Socks5Server) -> Connect | None:
    """What the client wants; None when it left. Tells a refused client why, then raises."""
    wanted = None
    while wanted is None:
        data = await stream.read()
        if not data:
            return None
        try:
            wanted = server.receive_data(data)
        except RemoteProtocolError:
            await stream.write(server.data_to_send())
            await close_within(stream)
            raise
        await stream.write(server.data_to_send())
    return wanted


async def _send(stream: Stream, data: bytes) -> None:
    async with asyncio.timeout(NEGOTIATION_TIMEOUT):
        await stream.write(data)


def _reply_for(error: BaseException) -> Reply:
    """The reply code that tells best what went wrong; the reference's choice, apps.md §6."""
    if isinstance(error, Forbidden):
        return Reply.NOT_ALLOWED
    text = f"{error} {error.__cause__ or ''}".lower()
    if "refused" in text:
        return Reply.CONNECTION_REFUSED
    if "network is unreachable" in text:
        return Reply.NETWORK_UNREACHABLE
    return Reply.HOST_UNREACHABLE


async def dial_public(host: str, port: int) -> Stream:
    """TCP to a host on the open internet. Raises Forbidden for this machine and private networks,
    by name or by number, DialFailed otherwise.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: no resolver takes such a name
        raise DialFailed(f"cannot resolve {host}: {reason(error)}") from error
    addresses = [str(info[4][0]) for info in found]
    public = [address for address in addresses if ipaddress.ip_address(address).is_global]
    if not public:
        raise Forbidden(f"{host}:{port} is on this machine or in a private network")
    failure: DialFailed | None = None
    for address in public:
        try:
            return await dial_tcp(address, port)
        except DialFailed as error:
            failure = failure or error
    raise failure or DialFailed(f"{host} has no address")


async def dial_through(proxy: tuple[str, int], host: str, port: int) -> Stream:
    """A connection to `host` and `port` made by the SOCKS5 proxy at `proxy`.

    Raises Refused (its reason is the reply code), DialFailed, RemoteProtocolError, StreamError.
    The caller sets the deadline.
    """
    client = Socks5Client(host, port)
    stream = await dial_tcp(*proxy)
    try:
        answered = False
        while not answered:
            await stream.write(client.data_to_send())
            data = await stream.read(1)  # nothing behind the answer may be swallowed
            if not data:
                raise DialFailed(f"SOCKS proxy {proxy[0]}:{proxy[1]} closed the connection")
            answered = client.receive_data(data)
        if client.reply is not Reply.SUCCEEDED:
            raise Refused(
                f"SOCKS proxy {proxy[0]}:{proxy[1]} cannot reach {host}:{port}: "
                f"{client.reply.name.lower().replace('_', ' ')}",
                reason=int(client.reply),
            )
    except BaseException:
        stream.abort()
        raise
    return stream
