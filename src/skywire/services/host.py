"""Runs services: each on a TCP port and, with a key of its own, on dmsg port 80.

    async with Host() as host:
        await host.add("tpd", TransportDiscovery(store, nonces), HostPort(":9091"))
        await asyncio.Event().wait()

Leaving the context stops them. Source: services.md §1.1.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol, Self

from aiohttp import web

from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import Conflict
from skywire.http.app import listen, running
from skywire.ports import DMSG_HTTP
from skywire.services.base import OnDmsg
from skywire.services.over_dmsg import serve_over_dmsg
from skywire.streams.supervise import Tasks
from skywire.streams.udp import UdpSocket, open_udp

log = logging.getLogger(__name__)

PORT_TRIES = 20  # to find a number that is free for TCP and UDP
ALL_SERVERS = 0  # sessions: one with every dmsg server


class Service(Protocol):
    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application: ...


@dataclass(frozen=True, slots=True)
class Running:
    """Where a service answers."""

    port: int
    public_key: PubKey | None = None  # on dmsg
    client: DmsgClient | None = None


def service_key(secret: SecKey, name: str) -> SecKey:
    """The key of one of several services whose keys come from one secret."""
    return deterministic_key_pair(bytes(secret) + name.encode())[1]


class Host:
    """`discovery` is the URL of a dmsg discovery; without one nothing is served on dmsg."""

    def __init__(self, discovery: str = "") -> None:
        self._discovery = discovery
        self._stack = AsyncExitStack()
        self._tasks = Tasks("services")
        self.running: dict[str, Running] = {}

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._tasks.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def spawn(self, work: Awaitable[None], name: str) -> None:
        """Run `work` until the host stops; a failure is logged."""

        async def run() -> None:
            await work

        self._tasks.spawn(run(), name)

    async def client(self, secret: SecKey) -> DmsgClient:
        """A dmsg client that runs until the host stops."""
        directory = await self._stack.enter_async_context(DiscoveryClient(self._discovery))
        client = DmsgClient(secret.public(), secret, directory, min_sessions=ALL_SERVERS)
        return await self._stack.enter_async_context(client)

    async def add(
        self,
        name: str,
        service: Service,
        place: HostPort,
        secret: SecKey | None = None,
        *,
        udp: Callable[[UdpSocket], Awaitable[None]] | None = None,
    ) -> Running:
        """Serve until the host stops; `udp` gets a socket with the same port number.

        Raises Conflict, Forbidden or Unavailable for a port that cannot be had.
        """
        client = await self.client(secret) if secret and self._discovery else None
        runner = await self._stack.enter_async_context(running(service.app(_on_dmsg(client))))
        if udp is None:
            port = await listen(runner, place.host, place.port, what=name)
        else:
            port, socket = await _listen_both(runner, place, name)
            self.spawn(udp(socket), f"{name} udp")
        if client is not None:
            self.spawn(serve_over_dmsg(client, runner), f"{name} dmsg")
        run = getattr(service, "run", None)
        if run is not None:
            self.spawn(run(), f"{name} upkeep")
        self.running[name] = Running(port, client.public if client else None, client)
        return self.running[name]


def _on_dmsg(client: DmsgClient | None) -> OnDmsg:
    if client is None:
        return OnDmsg()
    return OnDmsg(f"{client.public}:{DMSG_HTTP}", lambda: [str(key) for key in client.sessions])


async def _listen_both(runner: web.AppRunner, place: HostPort, name: str) -> tuple[int, UdpSocket]:
    """TCP and UDP on one number."""
    host = place.host or "0.0.0.0"  # noqa: S104 - that is what no host means
    for attempt in range(PORT_TRIES):
        socket = await open_udp(host, place.port)
        try:
            port = await listen(runner, place.host, socket.address.port, what=name)
        except Conflict:
            await socket.close()
            if place.port or attempt == PORT_TRIES - 1:
                raise
        except BaseException:
            await socket.close()
            raise
        else:
            return port, socket
    raise Conflict(f"{name}: no port is free for both TCP and UDP")
