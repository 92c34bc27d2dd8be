"""Copy bytes between two streams, both ways, until they are done.

Where both ends have a half-close, each direction ends on its own. Dmsg has none (dmsg.md §6: one
FIN makes the server close both sides), and neither has a route group; so with one of these at
either end the first direction to end ends the other.
"""

import asyncio
import logging
from typing import NamedTuple

from skywire.errors import NotSupported, SkywireError
from skywire.streams.stream import Stream

log = logging.getLogger(__name__)

CLOSE_TIMEOUT = 5.0  # seconds for the orderly end of a stream, then it is cut
NO_HALF_CLOSE = frozenset({"dmsg", "skynet"})  # networks where the end of one direction ends both


class Copied(NamedTuple):
    """Bytes moved in each direction."""

    forth: int
    back: int


def has_half_close(stream: Stream) -> bool:
    """Whether one direction of `stream` can end while the other goes on."""
    return stream.remote.network not in NO_HALF_CLOSE


async def close_within(stream: Stream, seconds: float = CLOSE_TIMEOUT) -> None:
    """Close in order; a peer that does not take what is left within `seconds` is cut off."""
    try:
        async with asyncio.timeout(seconds):
            await stream.close()
    except TimeoutError:
        log.debug("close took too long remote=%s", stream.remote)
        stream.abort()
    except asyncio.CancelledError:
        stream.abort()
        raise


class _Direction:
    """One way of a relay."""

    def __init__(self, source: Stream, sink: Stream, independent: bool) -> None:
        self._source = source
        self._sink = sink
        self._independent = independent
        self.moved = 0
        self.ends_both = not independent
        self.broke = False

    async def copy(self) -> None:
        """Until the source ends or either stream breaks; a cut-off write aborts the sink."""
        try:
            while data := await self._source.read():
                await self._write(data)
            if self._independent:
                await self._sink.write_eof()
        except NotSupported:
            self.ends_both = True
        except SkywireError as error:
            self.ends_both = self.broke = True
            log.debug(
                "relay ended from=%s to=%s error=%s", self._source.remote, self._sink.remote, error
            )

    async def _write(self, data: bytes) -> None:
        try:
            await self._sink.write(data)
        except asyncio.CancelledError:  # a frame may be half sent
            self._sink.abort()
            raise
        self.moved += len(data)


async def copy_both(a: Stream, b: Stream, drain: float = 0.0) -> Copied:
    """Copy `a` to `b` and `b` to `a`; both are closed on every way out. Never raises SkywireError.

    A slow side slows the other: one read is held per direction, no more. There is no deadline: the
    caller cancels, and then both streams are aborted. `drain`: seconds for which `b` may go on
    answering once `a` has ended its direction and `b` cannot be told.
    """
    independent = has_half_close(a) and has_half_close(b)
    forth = _Direction(a, b, independent)
    back = _Direction(b, a, independent)
    try:
        async with asyncio.TaskGroup() as tasks:
            there = tasks.create_task(forth.copy(), name="relay forth")
            here = tasks.create_task(back.copy(), name="relay back")
            await asyncio.wait((there, here), return_when=asyncio.FIRST_COMPLETED)
            if there.done() and forth.ends_both and not forth.broke and drain:
                await asyncio.wait((here,), timeout=drain)
            if (there.done() and forth.ends_both) or (here.done() and back.ends_both):
                there.cancel()
                here.cancel()
    except BaseException:
        a.abort()
        b.abort()
        raise
    await asyncio.gather(close_within(a), close_within(b))
    return Copied(forth.moved, back.moved)
