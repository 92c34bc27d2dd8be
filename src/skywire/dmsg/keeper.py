"""Keeps our entry in the discovery true: posted when it changes and again every interval.

While the discovery cannot be asked, everything else goes on; the entry is posted when it returns.
Source: dmsg.md §10, §11.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from skywire.crypto.keys import SecKey
from skywire.dmsg.discovery import Directory, update_entry, withdraw_entry
from skywire.errors import SkywireError
from skywire.streams.supervise import Backoff
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)

PAUSE = 0.2  # seconds between two posts at least: many changes at once become one
POST_TIMEOUT = 30.0  # seconds for one update, its recoveries included
WITHDRAW_TIMEOUT = 3.0  # seconds we wait at the end for the discovery to forget us


class EntryKeeper:
    """`make(stored)` gives the unsigned entry to post; `run` belongs to one task of the owner."""

    def __init__(
        self,
        directory: Directory,
        secret: SecKey,
        make: Callable[[Entry | None], Entry],
        interval: float,
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._make = make
        self._interval = interval
        self._changed = asyncio.Event()
        self._changed.set()
        self.posted = asyncio.Event()  # the first post has succeeded
        self.error = ""  # why the last post failed; "" when it did not

    def changed(self) -> None:
        """What `make` gives is different now."""
        self._changed.set()

    async def run(self) -> None:
        """Post for ever; ends by cancellation only."""
        backoff = Backoff(0.5, 10.0, jitter=0.2)
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(POST_TIMEOUT):
                    await update_entry(self._directory, self._secret, self._make)
            except (SkywireError, TimeoutError) as error:
                if not self.error:
                    log.warning("entry not posted, will try again error=%s", error)
                self.error = str(error) or f"no answer within {POST_TIMEOUT:.0f} s"
                await asyncio.sleep(backoff.next())
                continue
            if self.error:
                log.info("entry posted again after failures")
            self.error = ""
            backoff.reset()
            self.posted.set()
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._changed.wait()

    async def withdraw(self) -> None:
        """Take our entry back; for at most WITHDRAW_TIMEOUT seconds, errors are only logged."""
        if not self.posted.is_set():
            return
        try:
            async with asyncio.timeout(WITHDRAW_TIMEOUT):
                await withdraw_entry(self._directory, self._secret)
        except (SkywireError, TimeoutError) as error:
            log.info("entry not withdrawn error=%s", error or "no answer")
