"""What hypervisors tell about the visors behind them: kept, ordered, bounded; ways to a visor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Refused, SkywireError, StreamReset, Unavailable
from skywire.hypervisor import nested as module
from skywire.hypervisor.nested import Nested
from skywire.testing.wait import eventually
from skywire.visor import ops_hv
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree
from tests.hypervisor.harness import key

A, B, C, D, E = map(key, "abcde")
NONE = Refused("hypervisor not running")


class Told:
    """A visor that answers with what it is set to: a tree, an error, or never (None)."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def call(self, function: Callable[..., Awaitable[Any]], *request: Any) -> Any:
        self.asked.append(function)
        answer = self.answer(function) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        return answer

    async def close(self) -> None:
        """Nothing to close."""


def section(pk: PubKey, *visors: PubKey, via: tuple[PubKey, ...] = (), error: str = "") -> Any:
    return HVSection(pk, list(via), [HVVisorEntry(one, online=True) for one in visors], error)


def shown(sections: list[HVSection]) -> list[Any]:
    return [
        (one.hypervisor_pk, one.via_chain, [entry.pk for entry in one.visors], one.sub_error)
        for one in sections
    ]


async def join(nested: Nested, pk: PubKey, visor: Told) -> None:
    """Connect it, and wait for what it tells first."""
    nested.joined(pk, visor)
    with suppress(TimeoutError):
        await eventually(lambda: not nested._subs[pk].busy, 0.5)


@pytest.fixture
async def nested(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nested]:
    monkeypatch.setattr(module, "FRESH", 0.0)
    monkeypatch.setattr(module, "FIND_AGE", 0.0)
    made = Nested()
    made.own = A
    yield made
    await made.close()


async def test_a_tree_of_three(nested: Nested) -> None:
    """A → B → C → D, and E beside B."""
    await join(nested, E, Told(HVVisorTree([section(E, E)])))
    await join(nested, B, Told(HVVisorTree([section(B, B, C), section(C, C, D, via=(B,))])))
    assert shown(await nested.below()) == sorted(
        [
            (B, [A], [B, C], ""),
            (C, [A, B], [C, D], ""),
            (E, [A], [E], ""),
        ],
        key=lambda one: [*one[1], one[0]],
    )
    assert [await nested.through(pk) for pk in (C, D, E)] == [B, B, E]
    assert D in nested
    assert key("nobody") not in nested
    assert (nested.hostname(D), nested.hostname(key("nobody"))) == ("", "")
    assert await nested.through(key("nobody")) is None


async def test_names_are_those_that_were_told(nested: Nested) -> None:
    below = section(B, B, C)
    below.visors[1].hostname = "oslo-1"
    await join(nested, B, Told(HVVisorTree([below])))
    assert (nested.hostname(B), nested.hostname(C)) == ("", "oslo-1")


async def test_what_went_round_is_left_out(nested: Nested) -> None:
    """A → B → A, and A → B → C → A."""
    told = HVVisorTree(
        [
            section(B, B, A, C),
            section(A, A, B, via=(B,)),
            section(C, C, A, via=(B,)),
            section(D, D, via=(B, A)),
        ]
    )
    await join(nested, B, Told(told))
    assert [one[:2] for one in shown(await nested.below())] == [(B, [A]), (C, [A, B])]


async def test_a_hypervisor_is_there_once_on_the_shortest_way(nested: Nested) -> None:
    await join(nested, B, Told(HVVisorTree([section(B, B, C), section(C, C, D, via=(B,))])))
    await join(nested, C, Told(HVVisorTree([section(C, C, D)])))
    assert [one[:2] for one in shown(await nested.below())] == [(pk, [A]) for pk in sorted([B, C])]
    assert await nested.through(D) == C


async def test_a_way_is_kept_while_it_is_one(nested: Nested) -> None:
    """Nobody takes a visor over by saying that it is nearer."""
    await join(nested, B, Told(HVVisorTree([section(B, B, C), section(C, C, D, via=(B,))])))
    assert await nested.through(D) == B
    thief = Told(HVVisorTree([section(E, D)]))
    await join(nested, E, thief)
    await nested.below()
    assert await nested.through(D) == B
    nested.left(B)
    assert await nested.through(D) == E


async def test_the_first_section_is_of_whoever_tells_it(nested: Nested) -> None:
    await join(nested, B, Told(HVVisorTree([section(E, C, NULL_KEY)])))
    assert shown(await nested.below()) == [(B, [A], [C], "")]


@pytest.mark.parametrize(
    "error",
    [
        Refused("hypervisor not running"),
        Refused("hypervisor not enabled"),
        Refused("rpc: can't find method app-visor.HVListVisorsTree"),
        Refused("rpc: can't find service app-visor.HVListVisorsTree"),
    ],
)
async def test_visors_that_are_no_hypervisors_are_passed_over(
    nested: Nested, error: SkywireError
) -> None:
    visor = Told(error)
    await join(nested, B, visor)
    assert await nested.below() == []
    count = len(visor.asked)
    assert await nested.below() == []
    assert len(visor.asked) == count, "it is not asked again and again"
    visor.answer = HVVisorTree([section(B, B, C)])
    nested.says_it_is_one(B)
    await eventually(lambda: nested.sections() != [])


async def test_other_failures_are_shown(nested: Nested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUB_LIMIT", 0.05)
    await join(nested, B, Told(Unavailable("busy")))
    await join(nested, C, Told(None))
    nested.says_it_is_one(C)
    await join(nested, D, Told(None))
    await join(nested, E, Told(StreamReset("unexpected EOF")))
    await eventually(lambda: len(nested.sections()) == 2)
    assert sorted(shown(nested.sections())) == sorted(
        [(B, [A], [], "busy"), (C, [A], [], "no answer within 0.05 s")]
    )


async def test_one_that_knows_no_trees_tells_its_own_visors(nested: Nested) -> None:
    def answer(function: Any) -> Any:
        if function is ops_hv.list_visors_tree:
            return Refused("rpc: can't find method app-visor.HVListVisorsTree")
        return [HVVisorEntry(B), HVVisorEntry(C)]

    await join(nested, B, Told(answer))
    assert shown(await nested.below()) == [(B, [A], [B, C], "")]


async def test_a_slow_one_delays_a_list_once_and_then_no_more(
    nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_WAIT", 0.2)
    slow, quick = Told(HVVisorTree([section(B, B, D)])), Told(HVVisorTree([section(C, C)]))
    await join(nested, B, slow)
    await join(nested, C, quick)
    await eventually(lambda: len(nested.sections()) == 2)
    slow.answer = None
    started = monotonic()
    assert len(await nested.below()) == 2, "what it told before"
    for _ in range(20):
        await nested.below()
    assert monotonic() - started < 0.4
    assert len(quick.asked) > 20
    assert len([one for one in slow.asked if one is ops_hv.list_visors_tree]) == 2


async def test_one_that_left_is_no_way_and_says_why(nested: Nested) -> None:
    await join(nested, B, Told(HVVisorTree([section(B, B, C)])))
    assert await nested.through(C) == B
    nested.left(B)
    assert await nested.below() == []
    with pytest.raises(Unavailable, match=rf"visor '{C}' is currently disconnected: .*{B}"):
        await nested.through(C)
    assert [sub.pk for sub in nested.gone()] == [B]
    await join(nested, B, Told(HVVisorTree([section(B, B, C)])))
    assert await nested.through(C) == B
    nested.forget(B)
    assert C not in nested
    nested.left(B)
    nested.says_it_is_one(B)
    assert nested.age(B) is None


async def test_what_one_tells_is_bounded(nested: Nested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    monkeypatch.setattr(module, "MAX_SECTIONS", 4)
    far = tuple(key(f"far {number}") for number in range(module.MAX_DEPTH))
    told = [
        section(B, B, C),
        section(C, C, D, E, via=(B,)),
        section(far[-1], far[-1], via=(B, *far)),
        section(E, E, via=(B,)),
        section(D, D, via=(B,)),
    ]
    await join(nested, B, Told(HVVisorTree(told)))
    assert [(one[0], len(one[2])) for one in shown(await nested.below())] == [
        (B, 2),
        *sorted([(C, 1), (E, 0)]),
    ]


async def test_a_request_that_goes_in_a_circle_is_refused(nested: Nested) -> None:
    async def around(times: int) -> int:
        if times > 1000:
            return times
        with nested.passing(D):
            return await around(times + 1)

    with pytest.raises(Unavailable, match="in a circle"):
        await around(0)
    with nested.passing(D):
        """They are over."""
