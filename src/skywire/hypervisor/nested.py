"""What hypervisors among our visors tell about the visors behind them. Source: hypervisor.md §7.

    A → B → C → D: D is connected to C, C to B, B to A. B tells A its own list, and what C told it.

Everybody answers from what was told last, and asks those whose answer is old: each once at a time,
with a deadline of its own, and nobody waits longer than a moment. So a dead one delays nobody, and
hypervisors that control each other in a circle never wait for themselves. A section names the
hypervisors on the way to it; when ours is among them it went round, and it is left out.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import SkywireError, StreamError, Unavailable
from skywire.streams.supervise import Tasks
from skywire.visor import ops_hv
from skywire.visor.client import VisorClient
from skywire.visor.managed import SUB_LIMIT, is_no_hypervisor
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree

log = logging.getLogger(__name__)

FRESH = 0.5  # seconds; a list so young is not asked for again
LOOK_WAIT = 1.0  # seconds a list waits for those it has asked
FIND_WAIT = 5.0  # seconds whoever looks for one visor waits for them …
FIND_AGE = 3.0  # … and then nobody is asked again for other keys
AGAIN = 600.0  # seconds until one that is no hypervisor is asked whether it has become one
MAX_DEPTH = 8  # hypervisors on the way to a section
MAX_SECTIONS = 64  # of one hypervisor
MAX_ENTRIES = 2048  # visors in all sections of one hypervisor
MAX_PASSED = 32  # requests for one visor that are under way through us


class Sub:
    """One of our visors, which may be a hypervisor. `sections` are its own, then deeper ones."""

    __slots__ = (
        "asked_at",
        "client",
        "depths",
        "error",
        "is_hypervisor",
        "left_at",
        "pk",
        "sections",
        "slow",
        "task",
        "told_at",
    )

    def __init__(self, pk: PubKey) -> None:
        self.pk = pk
        self.client: VisorClient | None = None  # None: it is not connected
        self.left_at: datetime | None = None
        self.is_hypervisor = False  # it says so, or has told its visors
        self.sections: list[HVSection] = []
        self.depths: dict[PubKey, int] = {}  # hypervisors from it to each visor, itself included
        self.error = ""  # why it told nothing when it was asked last
        self.asked_at: float | None = None  # of the event loop's clock
        self.told_at: float | None = None  # likewise; None: nothing since it connected
        self.slow = False  # nobody waited for its last answer to the end
        self.task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def reaches(self) -> bool:
        """Whether requests may go through it."""
        return self.client is not None and not self.error

    def take(self, own: PubKey | None, told: HVVisorTree) -> None:
        """Keep what it told, within bounds, and without what went through `own`."""
        self.sections, self.depths = [], {}
        room = MAX_ENTRIES
        for section in told.sections[:MAX_SECTIONS]:
            key = section.hypervisor_pk if section.via_chain else self.pk  # that one is proven
            way = [self.pk, *section.via_chain[1:]] if section.via_chain else []
            if own in (key, *way) or len(way) >= MAX_DEPTH:
                continue
            visors = [entry for entry in section.visors[:room] if entry.pk != NULL_KEY]
            room -= len(visors)
            self.sections.append(HVSection(key, way, visors, section.sub_error))
            for entry in visors:
                self.depths.setdefault(entry.pk, len(way) + 1)


class Nested:
    """`own` is the key of our visor, as soon as it is known."""

    def __init__(self) -> None:
        self.own: PubKey | None = None
        self._clock = asyncio.get_running_loop().time
        self._tasks = Tasks("nested")
        self._subs: dict[PubKey, Sub] = {}
        self._ways: dict[PubKey, PubKey] = {}  # as chosen: another one does not take it over
        self._looking = asyncio.Lock()
        self._look_again = 0.0
        self._passed: Counter[PubKey] = Counter()

    async def close(self) -> None:
        await self._tasks.close()

    # Who is there.

    def joined(self, pk: PubKey, client: VisorClient) -> None:
        """`pk` is connected, or connected anew."""
        sub = self._subs.setdefault(pk, Sub(pk))
        self._stop(sub)
        sub.client, sub.error, sub.told_at = client, "", None
        self._ask(sub)

    def left(self, pk: PubKey) -> None:
        """`pk` is no longer connected. What it told is remembered, for whoever looks for it."""
        sub = self._subs.get(pk)
        if sub is None:
            return
        self._stop(sub)
        sub.client, sub.left_at = None, datetime.now(UTC)
        if not sub.sections:
            del self._subs[pk]

    def forget(self, pk: PubKey) -> None:
        self.left(pk)
        self._subs.pop(pk, None)

    def says_it_is_one(self, pk: PubKey) -> None:
        """As its summary tells; it may have become a hypervisor after it connected."""
        sub = self._subs.get(pk)
        if sub is not None and sub.client is not None and not sub.is_hypervisor and not sub.busy:
            sub.is_hypervisor = True
            self._ask(sub)

    def _stop(self, sub: Sub) -> None:
        if sub.task is not None:
            sub.task.cancel()
            sub.task = None

    # Asking them.

    def _ask(self, sub: Sub) -> "asyncio.Task[None]":
        sub.asked_at = self._clock()
        sub.task = self._tasks.spawn(self._ask_one(sub), str(sub.pk))
        return sub.task

    async def _ask_one(self, sub: Sub) -> None:
        client, started = sub.client, self._clock()
        if client is None:
            return
        try:
            async with asyncio.timeout(SUB_LIMIT):
                tree = await _tree_of(client)
        except (TimeoutError, StreamError) as error:
            # any visor may be silent; of one that is no hypervisor that is told elsewhere
            if sub.is_hypervisor:
                sub.error = str(error) or f"no answer within {SUB_LIMIT:g} s"
        except SkywireError as error:
            sub.sections, sub.depths = [], {}
            sub.error = "" if is_no_hypervisor(error) else str(error)
            sub.is_hypervisor = bool(sub.error)
        else:
            sub.take(self.own, tree)
            sub.error, sub.is_hypervisor, sub.told_at = "", True, self._clock()
        sub.slow = self._clock() - started > LOOK_WAIT

    def _due(self, sub: Sub, fresh: float) -> bool:
        if sub.client is None or sub.busy:
            return False
        age = AGAIN if sub.asked_at is None else self._clock() - sub.asked_at
        return age >= (fresh if sub.is_hypervisor else AGAIN)

    async def look(self) -> None:
        """Ask those whose answer is old, and wait a little for those that are quick."""
        asked = [self._ask(sub) for sub in list(self._subs.values()) if self._due(sub, FRESH)]
        quick = [sub.task for sub in self._subs.values() if sub.task in asked and not sub.slow]
        if tasks := [task for task in quick if task is not None]:
            await asyncio.wait(tasks, timeout=LOOK_WAIT)

    # What they told.

    async def below(self) -> list[HVSection]:
        """The sections of those that are connected, in the order of the tree."""
        await self.look()
        return self.sections()

    def sections(self) -> list[HVSection]:
        """The same as they are known now: each hypervisor once, on the shortest way to it."""
        found: list[HVSection] = []
        for sub in self._subs.values():
            if sub.client is None:
                continue
            if sub.error:
                found.append(HVSection(sub.pk, self._via([]), [], sub.error))
            found += [
                HVSection(one.hypervisor_pk, self._via(one.via_chain), one.visors, one.sub_error)
                for one in ([] if sub.error else sub.sections)
            ]
        found.sort(key=lambda one: (len(one.via_chain), one.hypervisor_pk))
        first: dict[PubKey, HVSection] = {}
        for section in found:
            first.setdefault(section.hypervisor_pk, section)
        return sorted(first.values(), key=lambda one: [*one.via_chain, one.hypervisor_pk])

    def _via(self, chain: list[PubKey]) -> list[PubKey]:
        return chain if self.own is None else [self.own, *chain]

    def gone(self) -> list[Sub]:
        """Those that told something and are not connected now."""
        return [sub for sub in self._subs.values() if sub.client is None]

    def age(self, pk: PubKey) -> float | None:
        """Seconds since the hypervisor `pk`, which is connected to us, told its visors."""
        sub = self._subs.get(pk)
        return None if sub is None or sub.told_at is None else self._clock() - sub.told_at

    def hostname(self, pk: PubKey) -> str:
        """As it was told; "" when nobody has told it."""
        told = (
            entry.hostname
            for sub in self._subs.values()
            if pk in sub.depths
            for section in sub.sections
            for entry in section.visors
            if entry.pk == pk
        )
        return next(filter(None, told), "")

    def __contains__(self, pk: PubKey) -> bool:
        """Whether one of them has told of `pk`, be it connected or not."""
        return any(pk in sub.depths for sub in self._subs.values())

    # The way to a visor.

    async def through(self, pk: PubKey) -> PubKey | None:
        """The hypervisor among our visors that `pk` is behind; None when nobody knows it.

        Raises Unavailable when one does that is not connected, or does not answer.
        """
        found = self._way(pk)
        if found is None:
            async with self._looking:
                if self._clock() >= self._look_again:
                    await self._look_for_one()
                    self._look_again = self._clock() + FIND_AGE
            found = self._way(pk)
        if found is None and (lost := self._lost(pk)) is not None:
            raise Unavailable(lost)
        return found

    async def _look_for_one(self) -> None:
        """Unlike a list it wants the latest, and waits for whoever is being asked already."""
        for sub in list(self._subs.values()):
            if self._due(sub, fresh=0):
                self._ask(sub)
        if tasks := [sub.task for sub in self._subs.values() if sub.task is not None and sub.busy]:
            await asyncio.wait(tasks, timeout=FIND_WAIT)

    def _way(self, pk: PubKey) -> PubKey | None:
        kept = self._subs.get(self._ways.get(pk, NULL_KEY))
        if kept is not None and kept.reaches and pk in kept.depths:
            return kept.pk
        able = [sub for sub in self._subs.values() if sub.reaches and pk in sub.depths]
        if not able:
            self._ways.pop(pk, None)
            return None
        best = min(able, key=lambda sub: (sub.depths[pk], sub.pk))
        self._ways[pk] = best.pk
        return best.pk

    def _lost(self, pk: PubKey) -> str | None:
        for sub in self._subs.values():
            if pk in sub.depths:
                why = sub.error or "it is disconnected" + _ago(sub.left_at)
                return (
                    f"visor '{pk}' is currently disconnected: it is behind the hypervisor "
                    f"'{sub.pk}', and {why} — retrying"
                )
        return None

    @contextmanager
    def passing(self, pk: PubKey) -> Iterator[None]:
        """A request for `pk` goes through us. Raises Unavailable when they go in a circle.

        That happens for a moment when a visor has left two hypervisors that control each other.
        """
        if self._passed[pk] >= MAX_PASSED:
            raise Unavailable(
                f"visor {pk} not reachable: {MAX_PASSED} requests for it are under way; "
                "the hypervisors may send them around in a circle"
            )
        self._passed[pk] += 1
        try:
            yield
        finally:
            self._passed[pk] -= 1
            if not self._passed[pk]:
                del self._passed[pk]


async def _tree_of(client: VisorClient) -> HVVisorTree:
    """One that knows no trees tells its own visors."""
    try:
        return await client.call(ops_hv.list_visors_tree)
    except SkywireError as error:
        if not is_no_hypervisor(error) or "HVListVisorsTree" not in str(error):
            raise
        direct: list[HVVisorEntry] = await client.call(ops_hv.list_direct_visors)
        return HVVisorTree([HVSection(visors=direct)])


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f" (last seen {(datetime.now(UTC) - moment).total_seconds():.0f}s ago)"
