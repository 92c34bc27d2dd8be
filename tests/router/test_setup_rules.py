"""Which rules make a route. Source: routing.md §5.2."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.router import setup_rules
from skywire.router.setup_types import (
    INVALID_ROUTE,
    NO_FORWARD_HOPS,
    NO_REVERSE_HOPS,
    BidirectionalRoute,
)
from skywire.testing import vectors
from skywire.wire.routes import Hop, Path
from skywire.wire.rule import DEFAULT_KEEP_ALIVE, Rule, RuleType
from tests.router.setup_kit import key, path, route

A, B, C, D = (key(name) for name in "abcd")


def as_route(case: dict[str, Any]) -> BidirectionalRoute:
    """The route of a vector."""
    forward, reverse = (
        [
            Hop(uuid.UUID(hop["TpID"]), PubKey.parse(hop["From"]), PubKey.parse(hop["To"]))
            for hop in case[name] or []
        ]
        for name in ("Forward", "Reverse")
    )
    return BidirectionalRoute(bytes.fromhex(case["Desc"]), case["KeepAlive"], forward, reverse)


@pytest.mark.parametrize("case", vectors.load("routing/generated_rules"), ids=lambda c: c["name"])
def test_same_rules_as_go(case: dict[str, Any]) -> None:
    asked = as_route(case["route"])
    descriptor = setup_rules.check(asked)
    ids = {PubKey.parse(pk): numbers for pk, numbers in case["reserved_ids"].items()}
    assert setup_rules.id_counts(asked) == {pk: len(numbers) for pk, numbers in ids.items()}

    plan = setup_rules.plan(asked, descriptor, ids)

    source = f"{descriptor.src_pk}:{descriptor.src_port}"
    target = f"{descriptor.dst_pk}:{descriptor.dst_port}"

    def only(kind: str, place: str) -> str:
        (rule,) = case[kind][place]
        assert str(Rule.parse(bytes.fromhex(rule["hex"]))) == rule["string"]
        text: str = rule["hex"]
        return text

    assert plan.initiator.forward.hex() == only("forward_rules", source)
    assert plan.initiator.reverse.hex() == only("consume_rules", source)
    assert plan.responder.forward.hex() == only("forward_rules", target)
    assert plan.responder.reverse.hex() == only("consume_rules", target)
    assert plan.initiator.desc.hex() == case["initiator_edge_desc"]
    assert plan.responder.desc.hex() == case["responder_edge_desc"]
    assert {f"{pk}:0": [r.hex() for r in rules] for pk, rules in plan.intermediaries.items()} == {
        place: [rule["hex"] for rule in rules]
        for place, rules in (case["intermediary_rules"] or {}).items()
    }


def test_a_route_to_oneself_gets_rules_of_its_own_for_each_end() -> None:
    there = path(A, B, A)
    asked = replace(route(A, B, A), forward=there, reverse=there)
    descriptor = setup_rules.check(asked)
    counts = setup_rules.id_counts(asked)
    assert counts == {A: 4, B: 2}
    plan = setup_rules.plan(asked, descriptor, {A: [1, 2, 3, 4], B: [1, 2]})
    edges = [Rule.parse(r) for r in (plan.initiator.forward, plan.responder.reverse)]
    edges += [Rule.parse(r) for r in (plan.responder.forward, plan.initiator.reverse)]
    assert [rule.key_route_id for rule in edges] == [1, 2, 3, 4]
    assert len(plan.intermediaries[B]) == 2


def test_withdrawn_rules_have_the_same_keys_and_no_life() -> None:
    asked = route(A, B, C)
    ids = {A: [1, 2], B: [21, 22], C: [1, 2]}
    plan = setup_rules.plan(asked, setup_rules.check(asked), ids)
    dead = [Rule.parse(raw) for raw in plan.undo(B)]
    assert [rule.key_route_id for rule in dead] == [21, 22]
    assert {(rule.type, rule.keep_alive) for rule in dead} == {(RuleType.INTERMEDIARY, 0)}


GOOD = route(A, B, C)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (replace(GOOD, forward=[]), NO_FORWARD_HOPS),
        (replace(GOOD, reverse=[]), NO_REVERSE_HOPS),
        (replace(GOOD, forward=path(B, C)), INVALID_ROUTE),
        (replace(GOOD, forward=path(A, B)), INVALID_ROUTE),
        (replace(GOOD, reverse=path(B, A)), INVALID_ROUTE),
        (replace(GOOD, reverse=path(C, B)), INVALID_ROUTE),
        (replace(GOOD, forward=[*path(A, B), *path(D, C)]), INVALID_ROUTE),
        (replace(GOOD, keep_alive=-1), "keep-alive"),
        (replace(GOOD, forward=path(*[A, B] * 51, C)), "at most 100"),
        (replace(GOOD, forward=path(*[A, B] * 50, C), reverse=path(C, *[B, A] * 50)), None),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(
    asked: BidirectionalRoute, text: str | None
) -> None:
    if text is None:
        setup_rules.check(asked)
        return
    with pytest.raises(InvalidValue, match=text):
        setup_rules.check(asked)


def test_a_descriptor_with_null_keys_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="descriptor"):
        setup_rules.check(replace(GOOD, desc=bytes(70)))


def test_a_visor_is_not_asked_for_more_ids_than_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    limit: Callable[[int], None] = lambda n: monkeypatch.setattr(setup_rules, "MAX_IDS", n)  # noqa: E731
    limit(2)
    setup_rules.check(GOOD)
    limit(1)
    with pytest.raises(InvalidValue, match="2 times"):
        setup_rules.check(GOOD)


KEYS = st.sampled_from([A, B, C, NULL_KEY])
HOPS = st.lists(st.builds(Hop, st.just(uuid.UUID(int=7)), KEYS, KEYS), max_size=5)


@given(st.binary(min_size=70, max_size=70) | st.just(GOOD.desc), HOPS, HOPS)
def test_any_route_is_refused_or_has_its_rules(desc: bytes, there: Path, back: Path) -> None:
    _refused_or_planned(BidirectionalRoute(desc, DEFAULT_KEEP_ALIVE, there, back))


@given(st.lists(st.sampled_from([A, B, C, D]), max_size=6))
def test_any_joined_route_has_its_rules(between: list[PubKey]) -> None:
    assert _refused_or_planned(route(A, *between, C))


def _refused_or_planned(asked: BidirectionalRoute) -> bool:
    try:
        descriptor = setup_rules.check(asked)
    except (InvalidValue, RemoteProtocolError):
        return False
    counts = setup_rules.id_counts(asked)
    ids = {pk: list(range(1, count + 1)) for pk, count in counts.items()}
    plan = setup_rules.plan(asked, descriptor, ids)
    rules = [plan.initiator.forward, plan.initiator.reverse]
    rules += [plan.responder.forward, plan.responder.reverse]
    rules += [rule for told in plan.intermediaries.values() for rule in told]
    assert len(rules) == sum(counts.values())
    for raw in rules:
        Rule.parse(raw)
    return True
