"""sudph: KCP over one UDP socket, through NATs with the address resolver's help.

    dialler                      resolver                        target
       │ ═════ bound by KCP ════════│════════ bound by KCP ════════ │
       │ resolve over HTTP ───────▶ │ push: who dials, from where ▶ │
       │ ◀────────────────────────────────────────────── hole punch │
       │ hole punch, KCP session, identity handshake, Noise ──────▶ │

Source: transport.md §5.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, SkywireError, StreamReset, Unavailable
from skywire.streams.kcp import KcpStream
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff, keep_running
from skywire.streams.udp import UdpSocket, open_udp, resolve_udp
from skywire.transport.networks import Identity, OnStream, secure_dial
from skywire.transport.stcp import accept_each
from skywire.wire.resolver import Binding, LocalAddresses
from skywire.wire.sudph import (
    HOLE_PUNCH,
    BindingSession,
    Endpoint,
    State,
    endpoints,
    parse_endpoint,
)
from skywire.wire.transport import SUDPH

log = logging.getLogger(__name__)

BIND_TIMEOUT = 10.0  # seconds for the handshake with the resolver
UNBIND_TIMEOUT = 2.0  # seconds for the last message to it
WAIT_BOUND = 3.0  # seconds a dial waits for our own binding: unbound, the target is told nothing
LOCAL_TIMEOUT = 2.0  # seconds for an address behind our own NAT, if there is another to try
REBIND_FIRST = 1.0  # seconds between attempts to bind, growing …
REBIND_LIMIT = 15.0  # … to this
PUNCHES = (0.0, 0.1, 0.4)  # seconds after a push; the reference sends the first only

LocalAddressesOf = Callable[[], Sequence[str]]


class Resolver(Protocol):
    """`transport.resolver.AddressResolverClient`."""

    def resolve(self, kind: str, remote: PubKey) -> Awaitable[Binding]:
        """Raises NotFound, Unavailable."""
        ...


class SudphNetwork:
    """Everything runs inside `serve`; without it nothing can be dialled."""

    type = SUDPH

    def __init__(
        self,
        identity: Identity,
        resolver: Resolver,
        resolver_udp: tuple[str, int],
        *,
        local_addresses: LocalAddressesOf,
        host: str = "0.0.0.0",  # noqa: S104 - peers come from everywhere
        port: int = 0,
    ) -> None:
        """`resolver_udp` is host and port as `wire.sudph.resolver_endpoint` finds them.

        `local_addresses` gives the IPs of this machine, for peers behind the same NAT.
        """
        self._identity = identity
        self._resolver = resolver
        self._resolver_udp = resolver_udp
        self._local_addresses = local_addresses
        self._bind = (host, port)
        self._socket: UdpSocket | None = None
        self._bound = asyncio.Event()

    @property
    def port(self) -> int:
        """The UDP port; 0 while we do not serve."""
        return 0 if self._socket is None else self._socket.address.port

    @property
    def is_bound(self) -> bool:
        """Whether the resolver knows us just now."""
        return self._bound.is_set()

    async def bound(self) -> None:
        """Return once the resolver knows us; the caller sets the deadline."""
        await self._bound.wait()

    async def dial(self, remote: PubKey) -> Stream:
        socket = self._socket
        if socket is None:
            raise Unavailable("sudph does not run: its UDP socket is not open")
        try:
            async with asyncio.timeout(WAIT_BOUND):
                await self._bound.wait()
        except TimeoutError:
            log.info("dialling without being bound remote=%s", remote)
        binding = await self._resolver.resolve(SUDPH, remote)
        *local, public = endpoints(binding)
        for endpoint in local:
            try:
                async with asyncio.timeout(LOCAL_TIMEOUT):
                    return await self._dial(socket, endpoint, remote)
            except (SkywireError, TimeoutError) as error:
                log.debug("local address failed to=%s:%d error=%s", *endpoint, error or "time")
        return await self._dial(socket, public, remote)

    async def _dial(self, socket: UdpSocket, to: Endpoint, remote: PubKey) -> Stream:
        socket.send(HOLE_PUNCH, to)
        raw = socket.dial(to)
        try:
            return await secure_dial(raw, self._identity, remote, SUDPH)
        except StreamReset as error:
            raise DialFailed(f"sudph: {to[0]}:{to[1]} ended the session: {error}") from error

    async def serve(self, on_stream: OnStream) -> None:
        socket = self._socket = await open_udp(*self._bind)
        log.info("sudph up address=%s", socket.address)
        socket.on_other = _ignore  # hole punches: all they had to do is done
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_bound(socket), name="sudph binding")
                await accept_each(socket.listen(), self._identity, on_stream, SUDPH)
        finally:
            self._socket = None
            await socket.close()

    # The binding

    async def _keep_bound(self, socket: UdpSocket) -> None:
        await keep_running(
            lambda: self._stay_bound(socket),
            "sudph binding",
            backoff=Backoff(REBIND_FIRST, REBIND_LIMIT, factor=2, jitter=0.2),
        )

    async def _stay_bound(self, socket: UdpSocket) -> None:
        """Bind, and stay so until the session breaks; raises when it never stood.

        Unbinds when cancelled.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(BIND_TIMEOUT):
            to = await resolve_udp(*self._resolver_udp)
        local = LocalAddresses(str(socket.address.port), tuple(self._local_addresses()))
        session = BindingSession(self._identity.public, self._identity.secret, local)
        stream = socket.dial_fixed(to)
        give_up = loop.time() + BIND_TIMEOUT
        try:
            while True:
                for message in session.messages_to_send():
                    await stream.write(message)
                if session.state is State.BOUND and not self._bound.is_set():
                    log.info("sudph bound resolver=%s:%d", *to)
                    self._bound.set()
                for push in session.pushes():
                    log.debug("push pk=%s address=%s", push.pk, push.address)
                    self._punch(socket, parse_endpoint(push.address))
                timer = session.next_timer()
                try:
                    async with asyncio.timeout_at(give_up if timer is None else timer / 1000):
                        message = await stream.read_message()
                except TimeoutError:
                    if session.state is State.HANDSHAKE:
                        raise DialFailed(
                            f"resolver {to[0]}:{to[1]} does not finish the handshake "
                            f"within {BIND_TIMEOUT:g} s"
                        ) from None
                    session.handle_timer(_milliseconds(loop))
                    continue
                if not message:
                    raise StreamReset(f"resolver {to[0]}:{to[1]} ended the session")
                session.receive_message(message, _milliseconds(loop))
        except StreamReset as error:
            if session.state is State.HANDSHAKE:
                raise
            log.warning("sudph lost its binding error=%s", error)
        except asyncio.CancelledError:
            await self._unbind(session, stream)
            raise
        finally:
            self._bound.clear()
            stream.abort()

    def _punch(self, socket: UdpSocket, to: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        for delay in PUNCHES:
            loop.call_later(delay, socket.send, HOLE_PUNCH, to)

    async def _unbind(self, session: BindingSession, stream: KcpStream) -> None:
        session.finish()
        try:
            async with asyncio.timeout(UNBIND_TIMEOUT):
                for message in session.messages_to_send():
                    await stream.write(message)
                await stream.close()
        except (SkywireError, TimeoutError) as error:
            log.debug("unbinding failed error=%s", error or "time")


def _ignore(data: bytes, source: Endpoint) -> None:
    """Nothing of ours is in datagrams that are no KCP."""


def _milliseconds(loop: asyncio.AbstractEventLoop) -> int:
    return int(loop.time() * 1000)
