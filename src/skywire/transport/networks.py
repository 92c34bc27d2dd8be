"""What the four kinds of transport have in common: an authenticated, encrypted stream to a key.

stcp, stcpr and sudph make it of a bare connection with `secure_dial` and `secure_accept`: identity
handshake, then Noise KK. Source: transport.md §3.1, §3.2.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import DialFailed, RemoteProtocolError, SkywireError, StreamReset
from skywire.streams.noise import NoiseStream, noise_stream
from skywire.streams.stream import Address, Stream
from skywire.wire.handshake import (
    FIRST_PORT,
    NONCE_SIZE,
    TRANSPORT_PORT,
    Initiator,
    Responder,
    State,
)
from skywire.wire.noise import Pattern
from skywire.wire.transport import DMSG, STCPR, SUDPH

log = logging.getLogger(__name__)

IDENTITY_TIMEOUT = 10.0  # seconds for the identity handshake; Go's deadline
NOISE_TIMEOUT = 5.0  # seconds for the Noise handshake
MAX_HANDSHAKES = 256  # incoming connections of one type that are not yet transports
READ_SIZE = 4096

PREFERENCE = (STCPR, SUDPH, DMSG)  # stcp is not found by looking up a key
LAST_PORT = 65535

OnStream = Callable[[Stream], Awaitable[None]]


class Network(Protocol):
    """One way to reach other visors."""

    @property
    def type(self) -> str: ...

    async def dial(self, remote: PubKey) -> Stream:
        """An authenticated stream to port 45 of `remote`; the overall deadline is the caller's.

        Raises DialFailed, NotFound, Refused, AuthenticationFailed, Unavailable, TimeoutError.
        """
        ...

    async def serve(self, on_stream: OnStream) -> None:
        """Accept until cancelled; `on_stream` owns each authenticated stream it gets.

        One bad peer costs its own connection. Raises what listening raises.
        """
        ...


OnDial = Callable[[str, str], Awaitable[None]]  # type, host:port


async def _nobody_cares(_: str, __: str) -> None: ...


class Identity(NamedTuple):
    """The keys of this visor, the counter of its source ports, and who is told of TCP dials."""

    public: PubKey
    secret: SecKey
    ports: "itertools.count[int]"
    on_dial: OnDial = _nobody_cares  # before the dial

    @classmethod
    def of(cls, public: PubKey, secret: SecKey, on_dial: OnDial = _nobody_cares) -> "Identity":
        return cls(public, secret, itertools.count(FIRST_PORT), on_dial)

    def next_port(self) -> int:
        """49153 first, then upwards and round again to 49152."""
        low = FIRST_PORT - 1
        return low + (next(self.ports) - low) % (LAST_PORT + 1 - low)

    def __repr__(self) -> str:
        return f"Identity({self.public})"


def in_order_of_preference(types: Iterable[str]) -> list[str]:
    """Those of `types` that a node opens on its own account, best first."""
    known = set(types)
    return [kind for kind in PREFERENCE if kind in known]


async def secure_dial(raw: Stream, identity: Identity, remote: PubKey, kind: str) -> NoiseStream:
    """The encrypted stream to `remote` over the connected `raw`, which is aborted on failure.

    Raises Refused, RemoteProtocolError (AuthenticationFailed), StreamError, DialFailed (time).
    """
    port = identity.next_port()
    machine = Initiator(identity.public, identity.secret, remote, source_port=port)
    try:
        async with asyncio.timeout(IDENTITY_TIMEOUT):
            await raw.write(machine.start())
            while machine.state is not State.DONE:
                if answer := machine.receive_data(await _some(raw)):
                    await raw.write(answer)
        async with asyncio.timeout(NOISE_TIMEOUT):
            return await _encrypted(raw, identity, remote, machine.rest, initiator=True, kind=kind)
    except TimeoutError as error:
        raw.abort()
        raise DialFailed(
            f"{raw.remote} does not finish the {machine.state.value} step of the handshake in time"
        ) from error
    except BaseException:
        raw.abort()
        raise


async def secure_accept(raw: Stream, identity: Identity, kind: str) -> NoiseStream:
    """The other side; the peer's key is `.remote.pk`. Raises the same, and TimeoutError."""
    machine = Responder(generate.random_bytes(NONCE_SIZE))
    try:
        async with asyncio.timeout(IDENTITY_TIMEOUT):
            while machine.state is not State.DONE:
                if answer := machine.receive_data(await _some(raw)):
                    await raw.write(answer)
        async with asyncio.timeout(NOISE_TIMEOUT):
            return await _encrypted(
                raw, identity, machine.remote, machine.rest, initiator=False, kind=kind
            )
    except BaseException as error:
        if machine.farewell and isinstance(error, RemoteProtocolError):
            await _say(raw, machine.farewell)
        raw.abort()
        raise


async def _encrypted(
    raw: Stream, identity: Identity, remote: PubKey, rest: bytes, *, initiator: bool, kind: str
) -> NoiseStream:
    stream = await noise_stream(
        raw,
        Pattern.KK,
        initiator=initiator,
        public=identity.public,
        secret=identity.secret,
        remote=remote,
        received=rest,
    )
    stream.local = Address(kind, identity.public.hex(), TRANSPORT_PORT, identity.public)
    stream.remote = Address(kind, remote.hex(), TRANSPORT_PORT, remote)
    return stream


async def _some(raw: Stream) -> bytes:
    data = await raw.read(READ_SIZE)
    if not data:
        raise StreamReset(f"{raw.remote} ended during the handshake")
    return data


async def _say(raw: Stream, last_words: bytes) -> None:
    """Tell a peer why it is refused, as far as it listens, and close."""
    try:
        async with asyncio.timeout(NOISE_TIMEOUT):
            await raw.write(last_words)
            await raw.close()
    except (SkywireError, TimeoutError) as error:
        log.debug("refused peer does not listen remote=%s error=%s", raw.remote, error or "time")
