"""stcpr: TCP to addresses the resolver knows. Source: transport.md §4.

A visor listens and is bound at the resolver only while it has a public IPv4 address; one without
dials all the same.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, DialFailed, SkywireError, Unavailable
from skywire.platform.addresses import local_addresses, public_address
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff
from skywire.streams.tcp import SocketListener, listen_tcp
from skywire.transport.networks import Identity, OnStream
from skywire.transport.resolver import AddressResolverClient, candidates
from skywire.transport.stcp import accept_each, connect
from skywire.wire.transport import STCPR

log = logging.getLogger(__name__)

BIND_INTERVAL = 120.0  # seconds; Go: 5 min, but bindings of 2026 live about as long
BIND_RETRY = (2.0, 15.0)  # seconds after a failure: first, at most
ADDRESS_INTERVAL = 60.0  # seconds until a visor without a public address looks again
RESOLVE_TIMEOUT = 10.0  # seconds for a question to the resolver
UNBIND_TIMEOUT = 3.0  # seconds at the end
PORT_TRIES = 32  # the configured port and those behind it


class StcprNetwork:
    """`addresses` gives this computer's; they are asked anew at each binding."""

    type = STCPR

    def __init__(
        self,
        identity: Identity,
        resolver: AddressResolverClient,
        *,
        port: int = 0,
        any_address: bool = False,
        addresses: Callable[[], Sequence[str]] = local_addresses,
    ) -> None:
        """`any_address`: listen without a public address, too (networks on one computer)."""
        self._identity = identity
        self._resolver = resolver
        self._wanted_port = port
        self._any_address = any_address
        self._addresses = addresses
        self.port = 0  # where we listen; 0 while we do not
        self.bound = asyncio.Event()  # the resolver knows us
        self.error = ""  # why it does not

    async def dial(self, remote: PubKey) -> Stream:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            binding = await self._resolver.resolve(STCPR, remote)
        tried = []
        for host, port in candidates(binding, STCPR):
            try:
                return await connect(host, port, self._identity, remote, STCPR)
            except SkywireError as error:
                tried.append(f"{host}:{port}: {error}")
        raise DialFailed(f"stcpr: {remote} cannot be reached ({'; '.join(tried)})")

    async def serve(self, on_stream: OnStream) -> None:
        await self._until_public()
        listener = await self._listen()
        self.port = listener.address.port
        try:
            async with asyncio.TaskGroup() as tasks:
                binding = tasks.create_task(self._keep_bound(), name="bind stcpr")
                await accept_each(listener, self._identity, on_stream, STCPR)
                binding.cancel()
        finally:
            self.port = 0
            self.bound.clear()

    async def _until_public(self) -> None:
        while not self._any_address and public_address(self._addresses()) is None:
            self.error = "no interface has a public IPv4 address: others cannot dial us by stcpr"
            log.debug("stcpr does not listen reason=%s", self.error)
            await asyncio.sleep(ADDRESS_INTERVAL)

    async def _listen(self) -> SocketListener:
        for port in range(self._wanted_port, self._wanted_port + PORT_TRIES):
            try:
                return await listen_tcp("", port)
            except Conflict as error:
                log.info("stcpr port in use port=%d error=%s", port, error)
        raise Unavailable(f"stcpr: no free port from {self._wanted_port} on")

    async def _keep_bound(self) -> None:
        backoff = Backoff(*BIND_RETRY, factor=2.0, jitter=0.2)
        try:
            while True:
                try:
                    async with asyncio.timeout(RESOLVE_TIMEOUT):
                        await self._resolver.bind_stcpr(self.port, self._addresses())
                except (SkywireError, TimeoutError) as error:
                    self.error = str(error) or f"no answer within {RESOLVE_TIMEOUT:g} s"
                    self.bound.clear()
                    wait = backoff.next()
                    log.warning("stcpr not bound error=%s retry_s=%.0f", self.error, wait)
                else:
                    self.error = ""
                    self.bound.set()
                    backoff.reset()
                    wait = BIND_INTERVAL
                await asyncio.sleep(wait)
        finally:
            if self.bound.is_set():
                await self._unbind()

    async def _unbind(self) -> None:
        try:
            async with asyncio.timeout(UNBIND_TIMEOUT):
                await self._resolver.unbind_stcpr()
        except (SkywireError, TimeoutError) as error:
            log.debug("stcpr stays bound error=%s", error or "time")
