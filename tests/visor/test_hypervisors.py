"""Links to hypervisors: dialled for ever, at once after a long life. Source: hypervisor.md §1."""

import asyncio

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.ports import DMSG_HYPERVISOR
from skywire.streams.stream import Stream
from skywire.streams.supervise import Backoff
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.visor import hypervisors
from skywire.visor.hypervisors import HypervisorLinks
from skywire.visor.modules import Report, State

PK = deterministic_key_pair(b"hypervisor")[0]


class World:
    """A hypervisor that can be down; keeps the far ends of the streams it accepted."""

    def __init__(self) -> None:
        self.up = False
        self.dials: list[tuple[PubKey, int]] = []
        self.streams: list[Stream] = []

    async def dial(self, pk: PubKey, port: int) -> Stream:
        self.dials.append((pk, port))
        if not self.up:
            raise DialFailed("nobody there")
        ours, theirs = stream_pair()
        self.streams.append(theirs)
        return ours


async def read_all(stream: Stream) -> None:
    while await stream.read():
        pass


@pytest.fixture
def report() -> Report:
    return Report(asyncio.Event(), Backoff(1, 1))


async def test_a_hypervisor_is_dialled_until_it_answers_and_again_when_it_leaves(
    monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(hypervisors, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(hypervisors, "SHORT_LIFE", 0.0)
    world = World()
    links = HypervisorLinks(world.dial, read_all)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(links.keep(PK, report))
        await eventually(lambda: len(world.dials) > 2)
        assert world.dials[0] == (PK, DMSG_HYPERVISOR)
        assert (report.state, report.reason) == (State.FAILED, "nobody there")
        assert links.connected == []
        world.up = True
        await eventually(lambda: links.connected == [PK])
        assert report.state is State.RUNNING
        await world.streams[0].close()
        await eventually(lambda: len(world.streams) == 2 and links.connected == [PK])
        task.cancel()
    assert links.connected == []


async def test_a_stream_that_ends_at_once_is_not_dialled_in_a_loop(report: Report) -> None:
    world = World()
    world.up = True

    async def serve(stream: Stream) -> None:
        """The hypervisor hangs up."""

    links = HypervisorLinks(world.dial, serve)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(links.keep(PK, report))
        await eventually(lambda: report.state is State.FAILED)
        await asyncio.sleep(0.05)
        assert len(world.dials) == 1
        task.cancel()
