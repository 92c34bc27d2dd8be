"""What is known of the fleet: across restarts, with many visors, with hostile ones."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any, cast

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, NotFound, Unavailable
from skywire.hypervisor import contest, keeper
from skywire.hypervisor import fleet as fleet_module
from skywire.hypervisor.visors import Visors
from skywire.stores.fleet import STEP, FleetStore, Label, SavedVisor
from skywire.streams.stream import Stream
from skywire.testing.wait import eventually
from skywire.visor import ops_info
from skywire.visor.client import LocalVisor
from skywire.visor.rpc import rpc_server
from skywire.visor.visor import Visor
from skywire.wire import gob
from skywire.wire.gob_types import STRING
from skywire.wire.netrpc import Response
from tests.hypervisor.harness import OWN, QUICK, FakeVisor, Network, key

A, B = key("a"), key("b")


def hypervisor_visors(store: FleetStore | None = None, **timing: float) -> Visors:
    visors = Visors(timing=QUICK._replace(**timing), store=store)
    visors.attach_own(OWN, LocalVisor(cast(Visor, FakeVisor(OWN))))
    return visors


@pytest.fixture
async def visors() -> AsyncIterator[Visors]:
    registry = hypervisor_visors()
    yield registry
    await registry.close()


@pytest.fixture
async def network(visors: Visors) -> AsyncIterator[Network]:
    net = Network(visors)
    yield net
    await net.close()


def row_of(visors: Visors, pk: object) -> dict[str, Any]:
    return next(
        row
        for row in map(visors.row, [one.pk for one in visors._known])
        if row is not None and row["overview"]["local_pk"] == str(pk)
    )


async def test_a_restart_keeps_what_was_known_marked_as_old(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    visors = hypervisor_visors(FleetStore(path))
    await visors.restore()
    network = Network(visors)
    stream = await network.connect(FakeVisor(A))
    await network.connect(FakeVisor(B))
    await eventually(lambda: all(one.row for one in visors._known) and len(visors) == 3)
    await stream.close()
    await eventually(lambda: not visors._known[A].online)
    before = row_of(visors, A)
    await visors.keeper.set_label(Label(str(B), "visor", "attic"))
    await network.close()
    await visors.close()

    again = hypervisor_visors(FleetStore(path))
    await again.restore()
    row = row_of(again, A)
    assert (row["online"], row["stale"], row["source"]) == (False, True, "saved")
    for part in ("uptime", "overview", "offline_since", "last_seen_at"):
        assert row[part] == before[part]
    assert 0 <= row["summary_age"] < 60
    row = row_of(again, B)
    assert (row["online"], row["stale"], row["label"]) == (False, True, "attic")
    assert row["offline_since"] is not None
    assert again.hostname(A) == f"node {str(A)[:4]}"
    with pytest.raises(Unavailable, match="currently disconnected"):
        again.connected(A)
    network = Network(again)
    await network.connect(FakeVisor(A))
    await eventually(lambda: row_of(again, A)["source"] == "visor")
    assert row_of(again, A)["stale"] is False
    await network.close()
    await again.close()


async def test_rows_are_saved_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SAVE_EVERY", 0.02)
    store = FleetStore(tmp_path / "fleet.db")
    visors = hypervisor_visors(store)
    await visors.restore()
    network = Network(visors)
    await network.connect(FakeVisor(A))
    saved: set[PubKey] = set()
    async with asyncio.timeout(10):
        while saved != {OWN, A}:
            await asyncio.sleep(0.02)
            saved = {one.pk for one in await store.visors() if one.row}
    await network.close()
    await visors.close()


async def test_a_removed_visor_stays_away_until_it_connects(tmp_path: Path) -> None:
    store = FleetStore(tmp_path / "fleet.db")
    await store.save([SavedVisor(A, b"", None, None, 5.0)], [])
    visors = hypervisor_visors(store)
    await visors.restore()
    await visors.remove(A)
    assert await store.visors() == []
    with pytest.raises(NotFound):
        await visors.remove(A)
    with pytest.raises(Conflict, match="own visor"):
        await visors.remove(OWN)
    network = Network(visors)
    await network.connect(FakeVisor(A))
    await eventually(lambda: A in visors._known and visors._known[A].online)
    with pytest.raises(Conflict, match="is connected"):
        await visors.remove(A)
    await network.close()
    await visors.close()


@pytest.mark.parametrize("row", [b"{", b"[]", b"\xff", b'{"overview":{"hostname":5}}', b"[" * 9999])
async def test_what_is_no_row_is_not_restored(tmp_path: Path, row: bytes) -> None:
    store = FleetStore(tmp_path / "fleet.db")
    await store.save([SavedVisor(A, row, 1.0, 1e300, float("nan"))], [])
    visors = hypervisor_visors(store)
    await visors.restore()
    found = row_of(visors, A)
    assert (found["source"], found["uptime"], found["online"]) == (None, None, False)
    await visors.close()


async def test_a_full_disk_costs_the_memory_of_the_fleet_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "SAVE_EVERY", 0.01)
    (tmp_path / "fleet.db").mkdir()  # cannot be opened
    visors = hypervisor_visors(FleetStore(tmp_path / "fleet.db"))
    await visors.restore()
    await eventually(lambda: "fleet not saved" in caplog.text)
    await asyncio.sleep(0.1)
    assert [r.levelno for r in caplog.records if "not saved" in r.message].count(
        logging.WARNING
    ) == 1
    assert row_of(visors, OWN)["online"] is True
    with pytest.raises(Unavailable):
        await visors.keeper.set_label(Label(str(A), "visor", "x"))
    assert visors.keeper.labels() == []
    await visors.close()


async def test_a_key_that_two_nodes_use_is_told_and_does_not_flap(
    visors: Visors, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "HOLD", 0.05)
    dials = 0

    async def keep_dialling(fake: FakeVisor) -> None:
        nonlocal dials
        while True:
            stream = await network.raw(A)
            dials += 1
            await rpc_server(cast(Visor, fake)).serve(stream)

    one, two = FakeVisor(A), FakeVisor(A)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(keep_dialling(fake)) for fake in (one, two)]
        await eventually(lambda: dials > 8)
        known = visors._known[A]
        assert len(known.replaced) <= contest.REPLACED
        assert row_of(visors, A)["contested"] is True
        assert row_of(visors, A)["online"] is True
        connection = known.connection
        before = dials
        await eventually(lambda: dials > before + 3)
        assert known.connection is connection
        for task in running:
            task.cancel()


async def test_a_newer_stream_wins_over_one_that_does_not_answer_even_in_a_contest(
    visors: Visors, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "HOLD", QUICK.wait + 0.3)
    monkeypatch.setattr(contest, "REPLACED", 1)
    await network.raw(A)
    await eventually(lambda: A in visors._known and visors._known[A].connection)
    await network.raw(A)
    await eventually(lambda: visors._known[A].replaced)
    await network.connect(FakeVisor(A))  # is held
    await eventually(lambda: visors._known[A].row)
    assert visors._known[A].online


async def test_a_visor_that_is_always_slow_is_online(visors: Visors) -> None:
    class Slow(LocalVisor):
        async def call(self, function: Any, *request: Any) -> Any:
            await asyncio.sleep(0.2)
            return await super().call(function, *request)

    registry = hypervisor_visors(wait=0.1, poll=0.01)
    known = registry._known.admit(A)
    assert known is not None
    connection = registry._connection(A, Slow(cast(Visor, FakeVisor(A))), registry._pause)
    known.connection = connection
    connection.start(None)
    await eventually(lambda: known.row)  # a late answer counts
    number = registry.changes.number
    states = set()
    while registry.changes.number < number + 6:
        await registry.changes.wait(registry.changes.number)
        states.add(known.online)
    assert states == {True}
    await connection.close()
    await registry.close()


async def feed(stream: Stream, data: bytes, count: int) -> int:
    """How many of them were taken before we were cut off."""
    for number in range(count):
        try:
            await stream.write(data)
        except Exception:  # noqa: BLE001 - cut off, however
            return number
    return count


async def test_a_summary_of_100_mb_is_not_read(visors: Visors, network: Network) -> None:
    await network.connect(FakeVisor(B))
    stream = await network.raw(A)
    head = gob.encode(Response, Response("app-visor.Summary", 0))
    await stream.write(head + b"\xfc" + (100_000_000).to_bytes(4, "big"))  # the length of a value
    assert await feed(stream, bytes(65536), 1600) < 64
    await eventually(lambda: A in visors._known and visors._known[A].offline_since)
    await eventually(lambda: visors._known[B].row)
    assert row_of(visors, A)["uptime"] is None
    assert row_of(visors, B)["online"] is True


@pytest.mark.parametrize("number", [0, 7])
async def test_answers_that_nobody_asked_for_end_the_connection(
    visors: Visors, network: Network, number: int
) -> None:
    """The first is answered over and over, or one that never was a question."""
    stream = await network.raw(A)
    encoder = gob.Encoder()
    head = Response("app-visor.Summary", number)
    first = encoder.encode(Response, head) + encoder.encode(STRING, "x")
    again = encoder.encode(Response, head) + encoder.encode(STRING, "x")
    await eventually(lambda: A in visors._known and visors._known[A].connection)
    assert await feed(stream, first + again * 500, 1) == 1
    await feed(stream, again * 500, 10_000)
    await eventually(lambda: visors._known[A].connection is None)


async def test_more_than_1024_visors_are_listed(visors: Visors) -> None:
    store_rows = [
        SavedVisor(key(f"visor {number}"), b'{"overview":{"hostname":""}}', time(), time(), time())
        for number in range(1100)
    ]
    visors._known.restore(store_rows)
    assert len(visors) == 1101
    assert len(visors.rows()) == 1101
    assert fleet_module.MAX_VISORS >= 1024


async def test_a_change_is_seen_at_once(visors: Visors) -> None:
    registry = hypervisor_visors(poll=60.0)
    network = Network(registry)
    fake = FakeVisor(A)
    await network.connect(fake)
    await eventually(lambda: A in registry._known and registry._known[A].row)
    asked = fake.asked
    await registry.call(A, ops_info.uptime)
    await registry.call(A, ops_info.add_pty_whitelist, [B])
    await eventually(lambda: fake.asked > asked)
    assert fake.asked == asked + 1
    await network.close()
    await registry.close()


async def test_polls_are_more_frequent_while_somebody_looks(visors: Visors) -> None:
    registry = hypervisor_visors(poll=30.0, watched=5.0)
    assert registry._pause() == 30.0
    with registry.watched():
        assert registry._pause() == 5.0
        registry._known.restore(
            [SavedVisor(key(f"visor {number}"), b"", None, None, 1.0) for number in range(600)]
        )
        assert registry._pause() == pytest.approx(601 / 30)
    assert registry._pause() == 30.0
    await registry.close()


async def test_history_has_what_is_saved_and_what_is_not(tmp_path: Path) -> None:
    visors = hypervisor_visors(FleetStore(tmp_path / "fleet.db"))
    await eventually(lambda: visors._known[OWN].row)
    last = int(time() // STEP)
    (sample,) = await visors.keeper.samples([OWN], last - 1)
    assert sample.polls >= 1
    assert sample.load is not None
    await visors.keeper._save([], visors.history.take(time(), present=True))
    (saved,) = (await visors.keeper.samples([OWN], last - 1))[:1]
    assert saved.load is not None
    await visors.close()
