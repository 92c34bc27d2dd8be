"""stcp: TCP to addresses from a table in the configuration. Source: transport.md §1, §3."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, NotFound
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.transport.networks import (
    MAX_HANDSHAKES,
    Identity,
    OnStream,
    secure_accept,
    secure_dial,
)
from skywire.wire.transport import STCP

log = logging.getLogger(__name__)

MAX_PER_HOST = 128  # handshakes under way with one address: the rest is for others
MAX_DIGITS = 20  # of a port; Python refuses to read thousands
CONNECT_TIMEOUT = 10.0  # seconds for one TCP connect


def host_and_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Of "host:port", "[v6]:port" or, with a default port, "host". Raises InvalidValue."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = text, "" if default_port is None else str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit() and len(port) <= MAX_DIGITS) or int(port) > 65535:
        raise InvalidValue(f'"{text:.100}" is no address: expected host:port')
    return host, int(port)


async def connect(host: str, port: int, identity: Identity, remote: PubKey, kind: str) -> Stream:
    """TCP, then identity and Noise handshake. Raises what `Network.dial` raises."""
    await identity.on_dial(kind, f"{host}:{port}")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            raw = await dial_tcp(host, port)
    except TimeoutError as error:
        raise DialFailed(f"{host}:{port} does not answer within {CONNECT_TIMEOUT:g} s") from error
    return await secure_dial(raw, identity, remote, kind)


async def accept_each(
    listener: Listener, identity: Identity, on_stream: OnStream, kind: str
) -> None:
    """Handshakes side by side, at most MAX_HANDSHAKES in all and MAX_PER_HOST from one address.

    Closes `listener` in the end.
    """
    pending: Counter[str] = Counter()

    async def greet(raw: Stream) -> None:
        host = raw.remote.host
        if pending[host] >= MAX_PER_HOST:
            log.info("too many handshakes type=%s host=%s limit=%d", kind, host, MAX_PER_HOST)
            raw.abort()
            return
        pending[host] += 1
        try:
            await on_stream(await secure_accept(raw, identity, kind))
        finally:
            pending[host] -= 1
            if not pending[host]:
                del pending[host]

    try:
        await serve_each(listener, greet, name=kind, limit=MAX_HANDSHAKES)
    finally:
        await listener.close()


class StcpNetwork:
    """`table` is read at each dial and may change. `listen` "" serves nobody."""

    type = STCP

    def __init__(
        self, identity: Identity, table: Mapping[PubKey, str], *, listen: str = ":7777"
    ) -> None:
        self._identity = identity
        self._table = table
        self._listen = listen
        self.port = 0  # where we listen; 0 while we do not

    async def dial(self, remote: PubKey) -> Stream:
        address = self._table.get(remote)
        if address is None:
            raise NotFound(f"stcp: no address of {remote} in the pk_table of the configuration")
        host, port = host_and_port(address)
        return await connect(host, port, self._identity, remote, STCP)

    async def serve(self, on_stream: OnStream) -> None:
        if not self._listen:
            await asyncio.get_running_loop().create_future()
        listener = await listen_tcp(*host_and_port(self._listen))
        self.port = listener.address.port
        try:
            await accept_each(listener, self._identity, on_stream, STCP)
        finally:
            self.port = 0
