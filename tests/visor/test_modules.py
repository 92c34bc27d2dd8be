"""Parts of a visor: independent, reported, started again."""

import asyncio

import pytest

from skywire.errors import LocalProtocolError, Unavailable
from skywire.testing.wait import eventually
from skywire.visor import modules
from skywire.visor.modules import Module, Modules, Report, State


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


async def test_a_module_waits_for_those_it_needs() -> None:
    parts, order = Modules("test"), []
    gate = asyncio.Event()

    async def first(report: Report) -> None:
        await gate.wait()
        order.append("first")
        await serving(report)

    async def second(report: Report) -> None:
        order.append("second")
        await serving(report)

    parts.start_all([Module("second", second, after=("first", "absent")), Module("first", first)])
    await eventually(lambda: parts["second"].state is State.WAITING)
    assert parts["second"].reason == "needs first, which has not come up"
    gate.set()
    async with asyncio.timeout(5):
        await parts.settled()
    assert order == ["first", "second"]
    assert parts["second"].state is State.RUNNING
    await parts.close()


async def test_what_waits_for_a_failing_module_holds_nobody_up() -> None:
    parts, works = Modules("test"), asyncio.Event()

    async def failing(report: Report) -> None:
        if not works.is_set():
            raise Unavailable("nobody there")
        await serving(report)

    parts.start_all([Module("needs it", serving, after=("bad",)), Module("bad", failing)])
    async with asyncio.timeout(5):
        await parts.settled()
    assert parts["needs it"].state is State.WAITING
    works.set()
    await eventually(lambda: parts["needs it"].state is State.RUNNING, 5)
    await parts.close()


async def test_modules_in_a_circle_are_a_bug_that_is_named() -> None:
    parts = Modules("test")
    with pytest.raises(LocalProtocolError, match="need each other"):
        parts.start_all([Module("a", serving, ("b",)), Module("b", serving, ("a",))])
    assert parts.reports() == {}


async def test_a_report_knows_since_when() -> None:
    parts = Modules("test")
    parts.start("one", serving)
    await parts.settled()
    report = parts["one"]
    since, age = report.since, report.age
    report.up()  # nothing new
    assert report.since == since
    assert 0 <= age <= report.age < 5
    report.down("it broke")
    assert (report.reason, report.ran.is_set()) == ("it broke", True)
    assert report.since >= since
    await parts.close()


async def test_one_module_can_be_stopped_and_started_again() -> None:
    parts = Modules("test")
    parts.start("one", serving)
    parts.start("two", serving)
    await parts.settled()
    await parts.stop("one")
    await parts.stop("never started")
    assert list(parts.reports()) == ["two"]
    parts.start("one", serving)
    await parts.settled()
    assert parts["one"].state is State.RUNNING
    await parts.close()
