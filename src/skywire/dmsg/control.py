"""dmsgctrl, a visor's dmsg port 7: answers a ping byte with a pong byte. Source: dmsg.md §14.

Either side may ping; any other byte ends the control.
"""

import asyncio
import logging
from time import monotonic

from skywire.errors import RemoteProtocolError, StreamClosed, StreamError, StreamReset
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

PING, PONG = b"\x09", b"\x0a"
MAX_PEERS = 256  # streams served at a time; one more is refused
IDLE_LIMIT = 300.0  # seconds without a ping; a hypervisor pings every 30 s
ANSWER_LIMIT = 10.0  # seconds for a peer to take its pongs


async def serve_control(listener: Listener) -> None:
    """Answer pings on every stream of `listener` until it is closed. Does not close it."""
    tasks = Tasks("dmsgctrl")
    try:
        while True:
            stream = await listener.accept()
            if len(tasks) >= MAX_PEERS:
                log.warning("dmsgctrl full remote=%s limit=%d", stream.remote, MAX_PEERS)
                stream.abort()
                continue
            tasks.spawn(_attend(stream), str(stream.remote))
    except StreamClosed:
        log.debug("dmsgctrl listener closed")
    finally:
        await tasks.close()


async def _attend(stream: Stream) -> None:
    try:
        await answer_pings(stream)
    except (RemoteProtocolError, StreamError, TimeoutError) as error:
        log.debug("dmsgctrl ended remote=%s reason=%s", stream.remote, error)
    finally:
        stream.abort()


async def answer_pings(stream: Stream) -> None:
    """Until the peer is done. Raises RemoteProtocolError, StreamError, TimeoutError (idle)."""
    while True:
        async with asyncio.timeout(IDLE_LIMIT):
            received = await stream.read()
        if not received:
            return
        pings = received.count(PING)
        if pings != len(received):
            raise RemoteProtocolError(f"dmsgctrl: byte other than ping in {received[:8].hex()}")
        async with asyncio.timeout(ANSWER_LIMIT):
            await stream.write(PONG * pings)


async def ping(stream: Stream) -> float:
    """Seconds to the pong. One ping at a time; the caller sets the deadline.

    A ping of the peer that comes first is answered. Raises RemoteProtocolError and StreamError; the
    stream is of no use afterwards, nor after a cancelled call.
    """
    start = monotonic()  # uvloop's own clock counts whole milliseconds
    await stream.write(PING)
    while received := await stream.read(1):
        if received == PONG:
            return monotonic() - start
        if received != PING:
            raise RemoteProtocolError(f"dmsgctrl: byte {received.hex()}, expected a pong (0a)")
        await stream.write(PONG)
    raise StreamReset("dmsgctrl: the peer closed the stream before its pong")
