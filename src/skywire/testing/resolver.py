"""An address resolver in memory, its UDP side on loopback: for sudph without a service.

async with udp_resolver() as resolver:
    network = SudphNetwork(identity, resolver.as_seen_by(pk), resolver.udp, …)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from skywire.crypto.generate import random_bytes
from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, StreamError
from skywire.streams.kcp import KcpStream
from skywire.streams.supervise import Tasks
from skywire.streams.udp import UdpSocket, open_udp
from skywire.wire.handshake import NONCE_SIZE, Responder, State
from skywire.wire.resolver import (
    DELETE_BINDING,
    HEARTBEAT,
    Binding,
    LocalAddresses,
    Push,
    parse_addresses,
)


class UdpResolver:
    """What visors have bound; `pushes` False keeps from targets who dials them."""

    def __init__(self, socket: UdpSocket) -> None:
        self.socket = socket
        self.udp = (socket.address.host, socket.address.port)
        self.pushes = True
        self.is_local = False
        self.bound: dict[PubKey, LocalAddresses] = {}
        self.heartbeats: dict[PubKey, int] = {}
        self.sessions: dict[PubKey, KcpStream] = {}

    def as_seen_by(self, caller: PubKey) -> "_Resolver":
        """The client of `caller`."""
        return _Resolver(self, caller)

    def address(self, pk: PubKey) -> str:
        return str(self.sessions[pk].remote)

    async def serve(self) -> None:
        tasks = Tasks("udp resolver")
        listener = self.socket.listen()
        try:
            while True:
                tasks.spawn(self._session(await listener.accept()))
        finally:
            await tasks.close()

    async def _session(self, stream: KcpStream) -> None:
        machine = Responder(random_bytes(NONCE_SIZE), ports=(0,))
        try:
            while machine.state is not State.DONE:
                if answer := machine.receive_data(await stream.read_message()):
                    await stream.write(answer)
            pk = machine.remote
            self.sessions[pk] = stream
            while (message := await stream.read_message()) != DELETE_BINDING and message:
                if message == HEARTBEAT:
                    self.heartbeats[pk] = self.heartbeats.get(pk, 0) + 1
                else:
                    self.bound[pk] = parse_addresses(message)
            self.bound.pop(pk, None)
        except StreamError:
            pass
        finally:
            stream.abort()

    async def push(self, target: PubKey, caller: PubKey, address: str) -> None:
        await self.sessions[target].write(Push(str(caller), address).encode())


class _Resolver:
    def __init__(self, resolver: UdpResolver, caller: PubKey) -> None:
        self._resolver = resolver
        self._caller = caller

    async def resolve(self, kind: str, remote: PubKey) -> Binding:
        resolver = self._resolver
        if remote not in resolver.bound:
            raise NotFound(f"resolver: {remote} is not bound for {kind}")
        if resolver.pushes and self._caller in resolver.bound:
            await resolver.push(remote, self._caller, resolver.address(self._caller))
        local = resolver.bound[remote]
        return Binding(
            resolver.address(remote), resolver.is_local, port=local.port, addresses=local.addresses
        )


@asynccontextmanager
async def udp_resolver(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[UdpResolver]:
    resolver = UdpResolver(await open_udp(host, port))
    serving = asyncio.get_running_loop().create_task(resolver.serve())
    try:
        yield resolver
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await resolver.socket.close()
