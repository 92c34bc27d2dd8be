"""The rule table: ids, life time, look-up."""

from uuid import UUID

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import NotFound, Unavailable
from skywire.router import rules as rules_module
from skywire.router.rules import MAX_ID, RuleTable
from skywire.testing import vectors
from skywire.wire.rule import RouteDescriptor, Rule

SECOND = 1_000_000_000
X, Y = UUID(int=1), UUID(int=2)
D = RouteDescriptor(deterministic_key_pair(b"a")[0], deterministic_key_pair(b"b")[0], 1, 2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> RuleTable:
    return RuleTable(clock)


def test_ids_as_go_gives_them_out(table: RuleTable) -> None:
    for case in vectors.load("routing/route_table"):
        assert table.reserve(case["reserve"]) == case["ids"]


def test_ids_run_out(table: RuleTable) -> None:
    table._next = MAX_ID - 5
    assert table.reserve(4) == [MAX_ID - 5, MAX_ID - 4, MAX_ID - 3, MAX_ID - 2]
    with pytest.raises(Unavailable, match="no available routeIDs"):
        table.reserve(1)


def test_an_id_that_an_operator_took_is_not_given_out(table: RuleTable) -> None:
    table.save([Rule.consume(2, 30 * SECOND, D)])
    assert table.reserve(2) == [1, 3]


def test_a_rule_lives_as_long_as_it_is_used(table: RuleTable, clock: Clock) -> None:
    table.save([Rule.consume(1, 30 * SECOND, D)])
    clock.now += 30
    table.refresh(1)
    clock.now += 30
    assert table.get(1).rule.descriptor == D
    assert table.collect() == []
    clock.now += 0.001
    with pytest.raises(NotFound, match="rule keep-alive timeout exceeded"):
        table.get(1)
    assert [rule.key_route_id for rule in table.collect()] == [1]
    with pytest.raises(NotFound, match="rule not found"):
        table.get(1)


def test_a_rule_replaces_the_one_with_its_id(table: RuleTable, clock: Clock) -> None:
    table.save([Rule.intermediary(1, SECOND, 5, X)])
    clock.now += 0.9
    table.save([Rule.intermediary(1, SECOND, 6, Y)])
    clock.now += 0.9
    assert table.get(1).next_id == 6
    assert [entry.next_id for entry in table.through(Y)] == [6]
    assert table.through(X) == []
    assert table.remove(1) is not None
    assert table.remove(1) is None


def test_rules_that_came_together_know_each_other(table: RuleTable) -> None:
    table.save([Rule.intermediary(1, SECOND, 5, X), Rule.intermediary(2, SECOND, 6, Y)])
    table.save([Rule.intermediary(3, SECOND, 7, X)])
    assert [table.get(id).partners for id in (1, 2, 3)] == [(2,), (1,), ()]


def test_a_full_table_takes_all_rules_of_a_route_or_none(
    table: RuleTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_module, "MAX_RULES", 3)
    table.save([Rule.intermediary(id, SECOND, 5, X) for id in (1, 2)])
    with pytest.raises(Unavailable, match="full"):
        table.save([Rule.intermediary(id, SECOND, 5, X) for id in (3, 4)])
    assert len(table) == 2
    table.save([Rule.intermediary(id, SECOND, 9, X) for id in (2, 3)])
    assert len(table) == 3


def test_ten_thousand_rules(table: RuleTable, clock: Clock) -> None:
    ids = table.reserve(10_000)
    for id in ids:
        table.save([Rule.intermediary(id, (1 + id % 2) * SECOND, id, UUID(int=id % 7))])
    assert len({id_of.target for id_of in table.entries.values()}) == 7
    clock.now += 1.5
    assert len(table.collect()) == 5_000
    assert len(table) == 5_000
    clock.now += 1
    table.collect()
    assert len(table) == 0
    assert table._transports == {}
