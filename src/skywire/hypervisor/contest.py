"""Two nodes with one key: each dials again at once when the other takes its place, without end.

So a newer connection replaces the older one at once (hypervisor.md §1 no. 6), but not over and
over: then it waits, and is turned away if the older one still answers.
"""

import asyncio
import logging

from skywire.hypervisor.fleet import Fleet, Known

log = logging.getLogger(__name__)

PERIOD = 60.0  # seconds
REPLACED = 3  # times in a period that are no contest yet
HOLD = 10.0  # seconds a newer connection waits in a contest: more than a silent visor has
MAX_WAITING = 4  # newer connections of one key; more are turned away at once


class Contest:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._clock = asyncio.get_running_loop().time

    async def may_connect(self, known: Known) -> bool:
        """Whether a newer connection of this visor may take the place of the present one."""
        now = self._clock()
        known.replaced = [when for when in known.replaced if now - when < PERIOD]
        if known.connection is None:
            return True
        if now >= known.contested_until and len(known.replaced) < REPLACED:
            known.replaced.append(now)
            return True
        if now >= known.contested_until:
            log.warning("visor key is used by two nodes, it seems pk=%s", known.pk)
        known.contested_until = now + PERIOD
        self._fleet.touch(known)
        if known.waiting >= MAX_WAITING:
            return False
        known.connection.poll_soon()
        known.waiting += 1
        try:
            await asyncio.sleep(HOLD)
        finally:
            known.waiting -= 1
        return known.connection is None or not known.connection.answers
