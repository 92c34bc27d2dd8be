"""A shell that outlives its viewers: scrollback, follow, detach, size. Source: pty.md §6."""

import asyncio
import time
from collections.abc import Callable

from skywire.crypto.keys import PubKey
from skywire.pty.ring import RING_SIZE, Ring
from skywire.pty.shell import CHUNK, Shell, ShellOutput
from skywire.pty.types import CLOSED_PIPE, SHORT_WRITE, STOPPED, WinSize
from skywire.rpc.server import GoError

LOSSLESS_LIMIT = RING_SIZE - 2 * CHUNK  # unread bytes at which a lossless session stops pumping
WRITE_TIMEOUT = 30.0  # seconds; a viewer whose calls all wait could not even be seen leaving

StartShell = Callable[[ShellOutput], Shell]


class Follower:
    """One viewer's place in the output. Made by `Session.follow`."""

    def __init__(self, session: "Session", position: int) -> None:
        self.session = session
        self.position = position
        self.size: WinSize | None = None  # as this viewer set it last
        self.stuck = False  # the last write was given up
        self._waiting: dict[asyncio.Future[bytes], int] = {}  # and how much each wants
        self._closed = False

    def read(self, size: int) -> "asyncio.Future[bytes]":
        """At most `size` bytes of output, once there is some. Output that was overrun is skipped.

        Raises GoError with the reason of the end, once all that is kept has been read. (A future
        and no coroutine: every key on a terminal has such a read, and need not have a task.)
        """
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = size
        self.wake()
        return waiting

    def wake(self) -> None:
        """Give the reads that wait what there is, first come, first served."""
        for waiting, size in list(self._waiting.items()):
            if not waiting.done():
                end = self.session.end or (CLOSED_PIPE if self._closed else None)
                if data := self.session.take(self, size):
                    waiting.set_result(data)
                elif end is not None:
                    waiting.set_exception(GoError(end))
                else:
                    return
            del self._waiting[waiting]

    def close(self) -> None:
        """Detach: the shell goes on. Idempotent."""
        if not self._closed:
            self._closed = True
            self.session.unfollow(self)
            self.wake()


class Session:
    """Owns a shell. `start` is called once, with the session as the shell's output.

    A `lossless` session has one follower and waits for it: the shell stands still rather than have
    its output overrun (the classic connection). Times are seconds of `clock`.
    """

    def __init__(
        self,
        owner: PubKey,
        start: StartShell,
        *,
        lossless: bool = False,
        command: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = owner
        self.id = ""  # as the registry named it
        self.end: str | None = None  # why there will be no more output
        self.command = command  # what was started, for people
        self.started = time.time()  # seconds since 1970
        self._lossless = lossless
        self._clock = clock
        self._ring = Ring()
        self._followers: set[Follower] = set()
        self._detached_at: float | None = None  # when the last follower left
        self.size: WinSize | None = None  # as it was set last
        self._shell = start(self)

    # What the shell calls.

    def receive_output(self, data: bytes) -> None:
        if self.end is not None:
            return
        self._ring.append(data)
        for follower in self._followers:
            follower.wake()
        if self._lossless and self._unread() > LOSSLESS_LIMIT:
            self._shell.pause()

    def receive_end(self, reason: str) -> None:
        if self.end is None:
            self.end = reason
            for follower in self._followers:
                follower.wake()

    # What viewers call.

    def follow(self, *, replay: bool = False) -> Follower:
        """A new viewer: from now on, or from the oldest byte that is kept."""
        follower = Follower(self, self._ring.oldest if replay else self._ring.total)
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        self._followers.discard(follower)
        if not self._followers:
            self._detached_at = self._clock()
            self._shell.resume()

    def take(self, follower: Follower, size: int) -> bytes:
        data, follower.position = self._ring.read(follower.position, size)
        if self._lossless and self._unread() <= LOSSLESS_LIMIT // 2:
            self._shell.resume()
        return data

    def _unread(self) -> int:
        return max((self._ring.total - one.position for one in self._followers), default=0)

    async def write(self, follower: Follower, data: bytes) -> None:
        """Type `data`. A viewer whose size differs from the current one sets its own first.

        Raises GoError when the program does not read its input for `WRITE_TIMEOUT`.
        """
        data = self.write_now(follower, data)
        if not data:
            return
        if follower.stuck:
            raise GoError(SHORT_WRITE)
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._shell.write(data)
        except TimeoutError:
            follower.stuck = True
            raise GoError(SHORT_WRITE) from None
        follower.stuck = False

    def write_now(self, follower: Follower, data: bytes) -> bytes:
        """Type what the terminal takes without waiting; the rest is for `write`."""
        if follower.size is not None and follower.size != self.size:
            self.resize(follower, follower.size)
        return data[self._shell.write_now(data) :]

    def resize(self, follower: Follower, size: WinSize) -> None:
        follower.size = self.size = size
        self._shell.resize(size)

    @property
    def viewers(self) -> int:
        return len(self._followers)

    def tail(self, size: int) -> tuple[bytes, bool]:
        """The newest output, at most `size` bytes; and whether there was any before it."""
        begin = max(self._ring.oldest, self._ring.total - size)
        return self._ring.read(begin, size)[0], begin > 0

    def idle(self, now: float) -> float:
        """Seconds without a viewer; 0 while there is one, and before the first one came."""
        if self._followers or self._detached_at is None:
            return 0.0
        return now - self._detached_at

    async def stop(self) -> None:
        """End the shell; viewers see the end after the output that is kept. Idempotent."""
        self.receive_end(STOPPED)
        await self._shell.stop()
