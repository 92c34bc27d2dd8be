"""One visor that answers us: polls its summary, measures the way to it. Source: hypervisor.md §1.

A poll is shared by everybody who wants fresh data; each visor has its own deadlines, so a slow one
delays nobody else's.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from skywire.crypto.keys import PubKey
from skywire.dmsg import control
from skywire.errors import SkywireError, StreamError
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff, Tasks
from skywire.visor import ops_info
from skywire.visor.client import VisorClient
from skywire.visor.types import DmsgStats, Summary

log = logging.getLogger(__name__)

MAX_ERROR = 200  # characters kept of why a visor told no summary


class Timing(NamedTuple):
    """Seconds."""

    poll: float = 30.0  # between polls nobody asked for, ±10 % so that they spread
    watched: float = 5.0  # the same while somebody looks on, if that is not too many polls
    fresh: float = 2.0  # a summary so young is not asked for again
    wait: float = 5.0  # a request waits for a summary
    give_up: float = 20.0  # a visor may take for a summary, then its stream is closed
    ping: float = 30.0  # between pings
    pong: float = 10.0  # a visor may take for one, the dial included
    retry: float = 1.0  # after a failed ping; then longer and longer, up to `ping`


class ControlStream(NamedTuple):
    stream: Stream
    server: PubKey  # the dmsg server that relays it


DialControl = Callable[[PubKey], Awaitable[ControlStream]]


class Connection:
    """`on_summary` gets each summary that arrives, `on_change` is called when the rest of what is
    seen here is another: whether it answers, how it is reached. `pause` tells how long to wait
    between polls. `close` before you let go of it.
    """

    def __init__(
        self,
        pk: PubKey,
        visor: VisorClient,
        on_summary: Callable[["Connection", Summary], None],
        on_change: Callable[["Connection"], None],
        timing: Timing,
        pause: Callable[[], float] | None = None,
    ) -> None:
        self.pk = pk
        self.visor = visor
        self.stats = DmsgStats()  # null keys until the first pong
        self.error = ""  # why there was no summary the last time; "" when there was one
        self._on_summary = on_summary
        self._on_change = on_change
        self._timing = timing
        self._clock = asyncio.get_running_loop().time
        self._tasks = Tasks(f"visor {pk}")
        self._polling: asyncio.Task[Any] | None = None
        self._poll_started = 0.0
        self._last_answer: float | None = None
        self._pause = pause or (lambda: timing.poll)
        self._patience = timing.wait  # more for one that is always slow
        self._wake = asyncio.Event()

    def start(self, dial_control: DialControl | None) -> None:
        """Poll and ping in the background."""
        self._tasks.spawn(self._keep_polling(), "polls")
        if dial_control is not None:
            self._tasks.spawn(self._keep_pinging(dial_control), "pings")

    async def close(self) -> None:
        """Idempotent. Ends the connection to the visor, which then dials again."""
        await self._tasks.close()
        await self.visor.close()

    @property
    def answers(self) -> bool:
        """False while a poll takes far longer than this visor's polls do."""
        return not self._busy or self._clock() - self._poll_started < self._patience

    @property
    def _busy(self) -> bool:
        return self._polling is not None and not self._polling.done()

    def poll_soon(self) -> None:
        """Something has been changed there: what was seen before is out of date."""
        self._last_answer = None
        self._wake.set()

    async def refresh(self) -> None:
        """Return once there is a fresh summary, or when it is not worth waiting any longer."""
        now = self._clock()
        if self._last_answer is not None and now - self._last_answer < self._timing.fresh:
            return
        task = self._poll()
        remaining = self._poll_started + self._timing.wait - now
        if remaining > 0:
            await asyncio.wait({task}, timeout=remaining)

    def _poll(self) -> "asyncio.Task[Any]":
        if self._polling is None or self._polling.done():
            self._poll_started = self._clock()
            self._polling = self._tasks.spawn(self._ask(), "poll")
        return self._polling

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(self._timing.give_up):
                summary = await self.visor.call(ops_info.summary)
        except TimeoutError:
            log.info("visor silent pk=%s seconds=%g", self.pk, self._timing.give_up)
            await self.visor.close()
        except StreamError as error:
            log.debug("visor gone pk=%s reason=%s", self.pk, error)
        except SkywireError as error:
            self._failed(error)
        else:
            now = self._clock()
            self.error = ""
            self._last_answer = now
            took = now - self._poll_started
            self._patience = max(self._timing.wait, min(2 * took, self._timing.give_up))
            self._on_summary(self, summary)

    def _failed(self, error: SkywireError) -> None:
        """Told once; the visor is asked again at the next poll."""
        text = str(error)[:MAX_ERROR]
        if text != self.error:
            self.error = text
            log.warning("visor without summary pk=%s reason=%s", self.pk, text)
            self._on_change(self)

    async def _keep_polling(self) -> None:
        while True:
            self._wake.clear()
            poll = self._poll()
            await asyncio.wait({poll}, timeout=self._patience)
            if not poll.done():
                self._on_change(self)  # it is silent
                await asyncio.wait({poll})
                self._on_change(self)
            spread = 0.9 + 0.2 * random.random()  # noqa: S311 - no secret
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause() * spread):
                    await self._wake.wait()

    async def _keep_pinging(self, dial: DialControl) -> None:
        reached: ControlStream | None = None
        backoff = Backoff(self._timing.retry, self._timing.ping, factor=2)
        try:
            while True:
                pause = self._timing.ping
                try:
                    async with asyncio.timeout(self._timing.pong):
                        reached = reached or await dial(self.pk)
                        seconds = await control.ping(reached.stream)
                    self.stats = DmsgStats(self.pk, reached.server, round(seconds * 1e9))
                    self._on_change(self)
                    backoff.reset()
                except (SkywireError, TimeoutError) as error:
                    log.debug("visor without pong pk=%s reason=%s", self.pk, error)
                    if reached is not None:
                        reached.stream.abort()
                    reached, self.stats = None, DmsgStats()
                    pause = backoff.next()
                await asyncio.sleep(pause)
        finally:
            if reached is not None:
                reached.stream.abort()
