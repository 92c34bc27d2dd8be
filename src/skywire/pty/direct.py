"""Terminals over plain TCP, without dmsg: Noise XK with the host's key. Source: pty.md §1."""

import asyncio

from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import AuthenticationFailed, DialFailed, RemoteProtocolError, StreamReset
from skywire.streams.noise import NoiseStream, noise_stream
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.wire.noise import Pattern

PORT = 2022  # the usual one
DIAL_LIMIT = 10.0  # seconds for the connection and its handshake
HANDSHAKE_LIMIT = 10.0  # seconds a peer has for its handshake


async def dial_direct(remote: PubKey, host: str, port: int, secret: SecKey) -> NoiseStream:
    """A stream on which a service can be asked for. Raises DialFailed."""
    place = f"{remote} at {host}:{port}"
    raw: Stream | None = None
    try:
        async with asyncio.timeout(DIAL_LIMIT):
            raw = await dial_tcp(host, port)
            return await noise_stream(
                raw,
                Pattern.XK,
                initiator=True,
                public=secret.public(),
                secret=secret,
                remote=remote,
                network="tcp",
            )
    except BaseException as error:
        if raw is not None:
            raw.abort()
        if isinstance(error, TimeoutError):
            raise DialFailed(f"{place}: no answer within {DIAL_LIMIT:g} s") from None
        if isinstance(error, AuthenticationFailed | RemoteProtocolError | StreamReset):
            raise DialFailed(
                f"{place}: {error}; is a terminal host there, and is this its key?"
            ) from error
        raise


async def shake_hands(raw: Stream, secret: SecKey) -> NoiseStream:
    """The host's part; the far end proves its key. Raises TimeoutError and as `noise_stream`."""
    async with asyncio.timeout(HANDSHAKE_LIMIT):
        return await noise_stream(
            raw,
            Pattern.XK,
            initiator=False,
            public=secret.public(),
            secret=secret,
            network="tcp",
        )
