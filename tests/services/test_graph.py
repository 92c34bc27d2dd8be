"""The route finder's graph follows its store."""

import asyncio
from uuid import UUID

import pytest

from skywire.crypto.generate import key_pair
from skywire.services import graph
from skywire.services.graph import FRESH, LiveGraph
from skywire.stores.contracts import TransportStore
from skywire.wire.routes import Bounds
from skywire.wire.transport import Entry
from tests.services.serving import ALICE, BOB, CAROL


class Store:
    """A TransportStore in memory; reading all of it takes `costs` seconds of the clock."""

    def __init__(self) -> None:
        self.entries: dict[UUID, Entry] = {}
        self.changes: int | None = 0
        self.now = 0.0
        self.costs = 0.0
        self.asked = 0
        self.late = False  # the next answer of `all` is as it was when it was asked for

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def add(self, entry: Entry, lifetime: float | None = None) -> None:
        self.entries[entry.id] = entry
        self._changed()

    async def delete(self, id: UUID) -> bool:
        self._changed()
        return self.entries.pop(id, None) is not None

    def _changed(self) -> None:
        if self.changes is not None:
            self.changes += 1

    async def all(self) -> list[Entry]:
        entries = list(self.entries.values())
        for _ in range(5):
            await asyncio.sleep(0)
        self.now += self.costs
        late, self.late = self.late, False
        return entries if late else list(self.entries.values())

    async def version(self) -> object:
        self.asked += 1
        return self.changes

    async def by_id(self, id: UUID) -> Entry | None:
        return self.entries.get(id)

    async def by_edge(self, key: object) -> list[Entry]:
        return []

    async def count(self) -> int:
        return len(self.entries)

    async def sweep(self) -> int:
        return 0

    async def close(self) -> None: ...


FIRST, SECOND = Entry.of(ALICE, BOB, "stcpr"), Entry.of(BOB, CAROL, "dmsg")


def live_graph() -> tuple[LiveGraph, Store]:
    store = Store()
    contract: TransportStore = store
    return LiveGraph(contract, clock=store.clock, sleep=store.sleep), store


async def test_takes_over_what_changed() -> None:
    live, store = live_graph()
    await store.add(FIRST)
    assert await live.refresh()
    assert ALICE in live.graph
    await store.add(SECOND)
    await store.delete(FIRST.id)
    assert await live.refresh(at_once=True)
    assert (ALICE in live.graph, CAROL in live.graph) == (False, True)
    assert not await live.refresh(at_once=True)


async def test_an_unchanged_store_is_not_read() -> None:
    live, store = live_graph()
    await store.add(FIRST)
    await live.refresh()
    for _ in range(5):
        store.now += FRESH
        assert not await live.refresh()
    assert live.reads == 1


async def test_a_store_asked_just_now_is_not_asked_again() -> None:
    live, store = live_graph()
    await live.refresh()
    await store.add(FIRST)
    assert not await live.refresh()
    assert store.asked == 1
    store.now += FRESH
    assert await live.refresh()


async def test_a_store_that_is_behind_is_read_for_what_was_not_found() -> None:
    live, store = live_graph()
    await live.refresh()
    store.entries[FIRST.id] = FIRST  # by another program: the store does not know yet
    store.now += FRESH
    assert not await live.refresh()
    assert await live.refresh(at_once=True)
    assert ALICE in live.graph


async def test_a_store_that_cannot_tell_is_read_each_time() -> None:
    live, store = live_graph()
    store.changes = None
    await live.refresh()
    await store.add(FIRST)
    assert await live.refresh(at_once=True)
    assert not await live.refresh(at_once=True)
    assert live.reads == 3


async def test_a_slow_store_is_read_seldom() -> None:
    live, store = live_graph()
    store.costs = 0.1
    await live.refresh()
    await store.add(FIRST)
    store.now += 0.85
    assert not await live.refresh()
    store.now += 0.1
    assert await live.refresh()


async def test_what_was_not_found_waits_for_the_next_reading() -> None:
    live, store = live_graph()
    store.costs = 0.1
    await live.refresh()
    assert not await live.refresh(at_once=True)  # nothing has changed: no need to wait
    await store.add(FIRST)
    before = store.now
    assert await live.refresh(at_once=True)
    assert store.now - before == pytest.approx(0.9 + 0.1)
    store.costs = 1.0
    store.now += 1.0
    await store.add(SECOND)
    assert await live.refresh(at_once=True)
    await store.delete(SECOND.id)
    assert not await live.refresh(at_once=True)  # in nine seconds: too long


async def test_a_change_during_a_reading_is_not_missed() -> None:
    live, store = live_graph()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live.refresh(at_once=True))
        await asyncio.sleep(0)
        assert live.reads == 1
        await store.add(FIRST)
        store.late = True  # the reading under way does not see it any more
        tasks.create_task(live.refresh(at_once=True))
    assert ALICE in live.graph


async def test_requests_at_the_same_time_share_a_reading() -> None:
    live, store = live_graph()
    await store.add(FIRST)
    assert all(await asyncio.gather(*(live.refresh(at_once=True) for _ in range(10))))
    assert live.reads == 2  # the one under way, and one for all that came later


async def test_visors_that_have_gone_are_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "MAX_FORGOTTEN", 20)
    live, store = live_graph()
    await store.add(FIRST)
    for number in range(200):
        entry = Entry.of(key_pair()[0], key_pair()[0], "dmsg")
        await store.add(entry)
        await live.refresh(at_once=True)
        await store.delete(entry.id)
        await live.refresh(at_once=True)
        assert live.graph.forgotten <= 20, number
    assert [edge.id for edge in live.graph] == [FIRST.id]
    assert live.graph.paths(ALICE, BOB, Bounds())
