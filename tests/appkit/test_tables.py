"""Numbers of streams and listeners: Go's order, texts and limits."""

import pytest

from skywire.appkit.tables import LAST_ID, IdTable
from skywire.errors import NotFound, Unavailable


def test_numbers_go_up_and_round_past_those_in_use() -> None:
    table: IdTable[str] = IdTable("conn", 10)
    assert [table.reserve() for _ in range(3)] == [1, 2, 3]
    table.free(1)
    assert table.reserve() == 4
    table._last = LAST_ID - 1
    assert [table.reserve() for _ in range(3)] == [LAST_ID, 1, 5]


def test_reserved_ones_count_and_are_not_there_yet() -> None:
    table: IdTable[str] = IdTable("conn", 2)
    number = table.reserve()
    assert len(table) == 1
    with pytest.raises(NotFound, match=r"^no conn with key 1$"):
        table.get(number)
    with pytest.raises(NotFound, match=r"^no conn: no value with id 1$"):
        table.take(number)
    table.put(number, "x")
    assert table.get(number) == "x"
    assert list(table.values()) == ["x"]
    table.reserve()
    with pytest.raises(Unavailable, match="too many of conn"):
        table.reserve()
    assert table.take(number) == "x"
    assert len(table) == 1
    table.free(99)
