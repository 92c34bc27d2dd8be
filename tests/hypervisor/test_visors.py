"""The visors of a hypervisor: connect, replace, go away, be slow, be hostile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import msgspec
import pytest

from skywire.dmsg.control import answer_pings
from skywire.errors import DialFailed, NotFound, StreamError, Unavailable
from skywire.hypervisor import fleet as fleet_module
from skywire.hypervisor.connection import ControlStream
from skywire.hypervisor.visors import Visors
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.visor.client import LocalVisor
from skywire.visor.types import Overview, Summary
from skywire.visor.visor import Visor
from skywire.wire import gob
from tests.hypervisor.harness import OWN, QUICK, FakeVisor, Network, key

A, B = key("a"), key("b")


@pytest.fixture
async def visors() -> AsyncIterator[Visors]:
    registry = Visors(timing=QUICK)
    registry.attach_own(OWN, LocalVisor(cast(Visor, FakeVisor(OWN))))
    yield registry
    await registry.close()


@pytest.fixture
async def network(visors: Visors) -> AsyncIterator[Network]:
    net = Network(visors)
    yield net
    await net.close()


async def write_until_cut(stream: Stream) -> None:
    """Return once the far end has ended `stream`."""
    with suppress(StreamError):
        while True:
            await stream.write(b"x")
            await asyncio.sleep(0.01)


async def test_a_visor_that_connects_is_listed_after_our_own(
    visors: Visors, network: Network
) -> None:
    await network.connect(FakeVisor(A))
    await eventually(lambda: len(visors._known) == 2)
    own, row = await visors.summaries()
    assert own["overview"]["local_pk"] == str(OWN)
    assert own["is_hypervisor"] is True
    assert row["overview"]["local_pk"] == str(A)
    assert "is_hypervisor" not in row
    assert row["online"] is True
    assert row["offline_since"] is None
    assert row["last_seen_at"].endswith("Z")
    assert 0 <= row["summary_age"] < 5
    assert row["uptime"] == 7.5
    assert row["load"]["cpu_cores"] >= 1
    assert visors.hostname(A) == f"node {str(A)[:4]}"


async def test_a_visor_that_goes_away_stays_listed_and_comes_back(
    visors: Visors, network: Network
) -> None:
    stream = await network.connect(FakeVisor(A))
    await eventually(lambda: A in visors._known and visors._known[A].row)
    await stream.close()
    await eventually(lambda: not visors._known[A].online)
    row = (await visors.summaries())[1]
    assert row["online"] is False
    assert row["offline_since"] >= row["last_seen_at"][:10]
    assert row["dmsg_stats"] is None
    assert row["uptime"] == 7.5  # the last summary is kept
    assert [
        one["local_pk"] for one in msgspec.json.decode(msgspec.json.encode(visors.overviews()))
    ] == [str(OWN)]
    with pytest.raises(Unavailable, match=r"currently disconnected \(last seen \d+s ago\) — retry"):
        visors.connected(A)
    await network.connect(FakeVisor(A))
    await eventually(lambda: visors._known[A].online)
    assert (await visors.summaries())[1]["offline_since"] is None


async def test_a_newer_connection_replaces_and_closes_the_older_one(
    visors: Visors, network: Network
) -> None:
    older, newer = FakeVisor(A), FakeVisor(A)
    stream = await network.connect(older)
    await eventually(lambda: A in visors._known and visors._known[A].row)
    first = visors._known[A].connection
    await network.connect(newer)
    await eventually(lambda: visors._known[A].connection is not first)
    await write_until_cut(stream)
    await visors.summaries()
    assert newer.asked > 0
    rows = await visors.summaries()
    assert [row["overview"]["local_pk"] for row in rows] == [str(OWN), str(A)]
    assert rows[1]["online"] is True


async def test_a_silent_visor_delays_nobody_and_is_dropped(
    visors: Visors, network: Network
) -> None:
    """hypervisor.md §10 no. 10."""
    silent = await network.raw(A)
    await eventually(lambda: A in visors._known)
    number = visors.changes.number
    for other in range(9):
        await network.connect(FakeVisor(key(f"visor {other}")))
    await eventually(lambda: len(visors._known) == 11)
    clock = asyncio.get_running_loop().time
    started = clock()
    await visors.summaries()  # from what is known
    assert clock() - started < QUICK.wait / 2
    await eventually(lambda: not visors._known[A].online)
    assert A in visors.changes.since(number).changed  # who follows is told
    await eventually(lambda: all(one.row for one in visors._known if one.pk != A))
    state = {row["overview"]["local_pk"]: row["online"] for row in await visors.summaries()}
    assert state.pop(str(A)) is False
    assert all(state.values())
    await eventually(lambda: visors._known[A].connection is None)
    while await silent.read():  # what it was asked, then the end
        pass


async def test_a_visor_without_summary_is_listed_by_its_key(
    visors: Visors, network: Network
) -> None:
    fake = FakeVisor(A)
    fake.trouble = "no visor available"
    await network.connect(fake)
    await eventually(lambda: A in visors._known)
    row = (await visors.summaries())[1]
    assert row["overview"]["local_pk"] == str(A)
    assert (row["health"], row["summary_age"], row["online"]) == (None, None, True)
    assert (row["uptime"], row["source"], row["stale"]) == (None, None, True)  # not 0
    await eventually(lambda: (visors.row(A) or {}).get("summary_error") == "no visor available")
    fake.trouble = ""
    assert msgspec.json.decode(await visors.summary(A))["uptime"] == 7.5
    assert "summary_error" not in (visors.row(A) or {})


class Impostor(FakeVisor):
    """Says it is another visor, or says no overview at all."""

    def overview(self) -> Overview:
        return Overview(local_pk=B)


async def test_the_key_is_that_of_the_stream(visors: Visors, network: Network) -> None:
    await network.connect(Impostor(A))
    await eventually(lambda: A in visors._known)
    assert (await visors.summaries())[1]["overview"]["local_pk"] == str(A)


class Bare(FakeVisor):
    def summary(self, load: object) -> Summary:
        return Summary()


async def test_a_summary_without_overview_harms_nobody(visors: Visors, network: Network) -> None:
    await network.connect(Bare(A))
    await eventually(lambda: A in visors._known)
    assert (await visors.summaries())[1]["overview"]["local_pk"] == str(A)
    assert visors.hostname(A) == ""


@pytest.mark.parametrize("data", [b"\x00" * 64, b"\xff" * 4096, gob.encode(Summary, Summary())])
async def test_garbage_costs_its_sender_the_connection(
    visors: Visors, network: Network, data: bytes
) -> None:
    good = FakeVisor(B)
    await network.connect(good)
    bad = await network.raw(A)
    await bad.write(data)
    await eventually(lambda: A in visors._known and not visors._known[A].online)
    assert {row["overview"]["local_pk"]: row["online"] for row in await visors.summaries()} == {
        str(OWN): True,
        str(A): False,
        str(B): True,
    }


async def test_too_large_a_summary_is_not_kept(
    visors: Visors, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "MAX_ROW", 100)
    await network.connect(FakeVisor(A))
    await eventually(lambda: A in visors._known and visors._known[A].last_seen)
    assert (await visors.summaries())[1]["uptime"] is None


async def test_the_visor_offline_the_longest_makes_room(
    visors: Visors, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "MAX_VISORS", 3)
    await (await network.connect(FakeVisor(A))).close()
    await eventually(lambda: A in visors._known and visors._known[A].offline_since)
    await (await network.connect(FakeVisor(B))).close()
    await eventually(lambda: B in visors._known and visors._known[B].offline_since)
    await network.connect(FakeVisor(key("c")))
    await eventually(lambda: key("c") in visors._known)
    assert {one.pk for one in visors._known} == {OWN, B, key("c")}
    await network.connect(FakeVisor(B))
    await eventually(lambda: visors._known[B].online)
    refused = await network.connect(FakeVisor(key("d")))
    await write_until_cut(refused)
    assert {one.pk for one in visors._known} == {OWN, B, key("c")}


async def test_nobody_takes_the_place_of_our_own_visor(visors: Visors, network: Network) -> None:
    await network.connect(FakeVisor(OWN))
    stream = await network.connect(FakeVisor(A))
    await eventually(lambda: A in visors._known)
    assert isinstance(visors.connected(OWN), LocalVisor)
    await stream.close()


async def test_our_hypervisors_keys_are_pushed_to_visors() -> None:
    visors = Visors(push=[B], timing=QUICK)
    network = Network(visors)
    fake = FakeVisor(A)
    await network.connect(fake)
    await eventually(lambda: fake.admitted)
    assert fake.admitted == [B]
    await network.close()
    await visors.close()


async def test_the_way_to_a_visor_is_measured() -> None:
    tasks, dials = Tasks("control"), 0

    async def dial(pk: object) -> ControlStream:
        nonlocal dials
        dials += 1
        if dials == 1:
            raise DialFailed("not yet")
        ours, theirs = stream_pair()
        tasks.spawn(answer_pings(theirs))
        return ControlStream(ours, B)

    visors = Visors(dial_control=dial, timing=QUICK._replace(ping=0.02))
    network = Network(visors)
    await network.connect(FakeVisor(A))
    await eventually(lambda: visors.stats() and visors.stats()[0]["round_trip"] > 0)
    (stats,) = visors.stats()
    assert (stats["public_key"], stats["server_public_key"]) == (str(A), str(B))
    assert msgspec.json.decode(await visors.summary(A))["dmsg_stats"]["server_public_key"] == str(B)
    await eventually(lambda: dials == 2)  # the stream is kept
    await network.close()
    await visors.close()
    await tasks.close()


async def test_an_unknown_visor_is_named(visors: Visors) -> None:
    with pytest.raises(NotFound, match=f"visor of pk '{A}' not found"):
        await visors.check_known(A)
    with pytest.raises(NotFound):
        await visors.summary(A)
