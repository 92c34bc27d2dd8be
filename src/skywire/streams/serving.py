"""The loop around `Listener.accept`: each stream gets its handler, at most so many at a time."""

import logging
from collections.abc import Awaitable, Callable, Collection

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError, StreamClosed
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

MAX_STREAMS = 512  # served at a time; one more is cut at once

Handler = Callable[[Stream], Awaitable[object]]


async def serve_each(
    listener: Listener, handle: Handler, *, name: str, limit: int = MAX_STREAMS
) -> None:
    """Run `handle` for every stream until the listener is closed; does not close the listener.

    `handle` owns its stream; one that ends with a SkywireError or a time-out is logged and its
    stream aborted. Cancel to stop, which cancels the handlers.
    """
    tasks = Tasks(name)
    full = False
    try:
        while True:
            stream = await listener.accept()
            if len(tasks) >= limit:
                if not full:
                    log.warning("full name=%s limit=%d", name, limit)
                full = True
                stream.abort()
                continue
            full = False
            tasks.spawn(_handle(handle, stream, name), str(stream.remote))
    except StreamClosed:
        log.debug("listener closed name=%s", name)
    finally:
        await tasks.close()


async def _handle(handle: Handler, stream: Stream, name: str) -> None:
    try:
        await handle(stream)
    except (SkywireError, TimeoutError) as error:
        stream.abort()
        log.info("stream ended name=%s remote=%s reason=%s", name, stream.remote, error or "time")
    except BaseException:
        stream.abort()
        raise


def only_for(allowed: Collection[PubKey], handle: Handler) -> Handler:
    """`handle` for streams whose authenticated key is in `allowed`; an empty one allows all."""
    if not allowed:
        return handle

    async def check(stream: Stream) -> None:
        if stream.remote.pk not in allowed:
            log.warning("not on the whitelist remote=%s", stream.remote)
            stream.abort()
            return
        await handle(stream)

    return check
