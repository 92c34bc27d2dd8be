"""Settlement over a stream: both sides sign the entry. Source: transport.md §3.3."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from skywire.crypto.keys import PubKey
from skywire.errors import RemoteProtocolError, StreamError, StreamReset
from skywire.streams.stream import Stream
from skywire.transport.networks import Identity
from skywire.wire.settlement import Acceptor, Answer, Dialler
from skywire.wire.transport import SignedEntry

log = logging.getLogger(__name__)

TIMEOUT = 20.0  # seconds for a settlement, on each side; Go's
READ_SIZE = 4096


async def settle_dialled(
    stream: Stream, identity: Identity, remote: PubKey, kind: str
) -> SignedEntry:
    """As the dialler; the entry carries our signature only.

    Packets of the peer wait in `stream`: it reads one byte. Raises Refused, StreamError,
    TimeoutError; `stream` is aborted then.
    """
    machine = Dialler(identity.public, identity.secret, remote, kind)
    try:
        async with asyncio.timeout(TIMEOUT):
            await stream.write(machine.request())
            answer = await stream.read(1)
        if not answer:
            raise StreamReset(f"{stream.remote} ended before it answered the settlement")
        machine.receive_data(answer)
    except BaseException:
        stream.abort()
        raise
    return machine.signed


async def settle_accepted(
    stream: Stream,
    identity: Identity,
    kind: str,
    accept: Callable[[SignedEntry], Awaitable[bool]],
) -> SignedEntry | None:
    """As the acceptor; `accept` registers the entry, or returns False: then the peer is refused.

    None when it was refused. Raises RemoteProtocolError after the peer was told, StreamError,
    TimeoutError; `stream` is aborted in each of these cases.
    """
    remote = stream.remote.pk
    assert remote is not None, "networks authenticate"  # noqa: S101 - a type guard
    machine = Acceptor(identity.public, identity.secret, remote, kind)
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                data = await stream.read(READ_SIZE)
                if not data:
                    raise StreamReset(f"{stream.remote} ended during the settlement")
                if (signed := machine.receive_data(data)) is not None:
                    break
            if not await accept(signed):
                await _refuse(stream, Answer.FAILURE)
                return None
            await stream.write(Answer.OK.byte)
    except RemoteProtocolError:
        await _refuse(stream, Answer.INVALID_ENTRY)
        raise
    except BaseException:
        stream.abort()
        raise
    return signed


async def _refuse(stream: Stream, answer: Answer) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            await stream.write(answer.byte)
            await stream.close()
    except (StreamError, TimeoutError) as error:
        log.debug("refused peer does not listen remote=%s error=%s", stream.remote, error or "time")
    finally:
        stream.abort()
