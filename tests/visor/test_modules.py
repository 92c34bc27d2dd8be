"""Parts of a visor: independent, reported, started again."""

import asyncio

import pytest

from skywire.errors import Unavailable
from skywire.testing.wait import eventually
from skywire.visor import modules
from skywire.visor.modules import Modules, Report, State


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(modules, "LONGEST_PAUSE", 0.05)


async def serving(report: Report) -> None:
    report.up(port=7)
    await asyncio.Event().wait()


async def test_a_failing_part_leaves_the_others_running() -> None:
    parts = Modules("test")

    async def failing(report: Report) -> None:
        raise Unavailable("port 7 is taken")

    parts.start("good", serving)
    parts.start("bad", failing)
    async with asyncio.timeout(5):
        await parts.settled()
    assert (parts["good"].state, parts["good"].facts) == (State.RUNNING, {"port": 7})
    assert (parts["bad"].state, parts["bad"].reason) == (State.FAILED, "port 7 is taken")
    await parts.close()


async def test_a_part_that_ends_is_started_again() -> None:
    parts, starts = Modules("test"), 0

    async def fragile(report: Report) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise RuntimeError("a bug")
        report.up()
        await asyncio.Event().wait()

    parts.start("fragile", fragile)
    await eventually(lambda: parts["fragile"].state is State.RUNNING, 5)
    assert starts == 3
    assert parts["fragile"].reason == ""
    await parts.close()


async def test_a_part_that_is_not_awaited_holds_nobody_up() -> None:
    parts = Modules("test")

    async def slow(report: Report) -> None:
        await asyncio.Event().wait()

    parts.start("slow", slow, awaited=False)
    async with asyncio.timeout(5):
        await parts.settled()
    assert parts.reports()["slow"].state is State.STARTING
    await parts.close()


async def test_closing_ends_every_part() -> None:
    parts, ended = Modules("test"), []

    async def tidy(report: Report) -> None:
        try:
            await serving(report)
        finally:
            ended.append(report)

    parts.start("one", tidy)
    parts.start("two", tidy)
    await parts.settled()
    await parts.close()
    assert len(ended) == 2
