"""Samples of load and traffic, and how they are answered."""

from uuid import UUID

import pytest

from skywire.hypervisor.history import History, columns
from skywire.stores.fleet import SLOTS, STEP, Sample
from skywire.visor.types import LoadStats, LogEntry, Overview, Summary, TransportSummary
from tests.hypervisor.harness import key

A, B = key("a"), key("b")
ONE, TWO = UUID(int=1), UUID(int=2)
NOW = 1000.0 * STEP


def summary(load: float | None = None, **counters: tuple[int, int]) -> Summary:
    transports = [
        TransportSummary(id={"one": ONE, "two": TWO}[name], log=LogEntry(*counts))
        for name, counts in counters.items()
    ]
    stats = None if load is None else LoadStats(load, 0, 0, 4, 10 * load, 20 * load)
    return Summary(overview=Overview(transports=transports), load=stats)


def test_polls_of_an_interval_are_one_sample() -> None:
    history = History()
    history.add(A, summary(1.0), NOW)
    history.add(A, summary(), NOW + 1)
    history.add(A, summary(2.0), NOW + 299)
    assert history.take(NOW + 299) == []
    assert history.unsaved(A) == [Sample(A, 1000, 3, 1.5, 15.0, 30.0, 0, 0)]
    history.add(A, summary(3.0), NOW + 300)
    assert history.take(NOW + 300) == [Sample(A, 1000, 3, 1.5, 15.0, 30.0, 0, 0)]
    assert history.unsaved(A) == [Sample(A, 1001, 1, 3.0, 30.0, 60.0, 0, 0)]
    assert history.take(NOW + 300, present=True) == [Sample(A, 1001, 1, 3.0, 30.0, 60.0, 0, 0)]
    assert history.take(NOW + 900, present=True) == []


def test_a_visor_that_tells_no_load_has_none() -> None:
    history = History()
    history.add(A, summary(), NOW)
    assert history.unsaved(A) == [Sample(A, 1000, 1, None, None, None, 0, 0)]


@pytest.mark.parametrize("load", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_load_that_cannot_be_is_none(load: float) -> None:
    history = History()
    history.add(A, summary(load), NOW)
    assert history.unsaved(A)[0].load is None


def test_traffic_is_the_difference_of_counters_that_may_begin_anew() -> None:
    history = History()
    history.add(A, summary(one=(1000, 2000)), NOW)  # what was before us does not count
    history.add(A, summary(one=(1100, 2500)), NOW)
    assert history.unsaved(A)[0][-2:] == (100, 500)
    history.add(A, summary(one=(50, 60), two=(7, 8)), NOW)  # restarted; and a new transport
    assert history.unsaved(A)[0][-2:] == (157, 568)
    history.add(A, summary(two=(7, 9)), NOW)  # one is gone
    assert history.unsaved(A)[0][-2:] == (157, 569)
    history.add(A, Summary(), NOW)
    history.add(A, summary(two=(2**64 - 1, 0)), NOW)
    assert history.unsaved(A)[0].received == 2**50


def test_what_was_not_saved_is_put_back_within_bounds() -> None:
    history = History()
    history.add(A, summary(1.0), NOW)
    samples = history.take(NOW + STEP)
    history.put_back(samples)
    assert history.unsaved(A) == samples
    history.put_back([samples[0]._replace(number=number) for number in range(100)])
    assert len(history.unsaved(A)) == 12
    history.forget(A)
    assert history.unsaved(A) == []


def test_columns_have_a_place_for_each_interval() -> None:
    samples = [
        Sample(A, 9, 5, 9.0, 9.0, 9.0, 9, 9),  # too old
        Sample(A, 10, 1, 1.0, None, 5.0, 10, 20),
        Sample(A, 12, 1, 1.0, 2.0, None, 1, 2),
        Sample(A, 12, 3, 2.0, None, 7.0, 1, 2),
        Sample(A, 13, 1, 1.0, 1.0, 1.0, 1, 1),  # too new
    ]
    assert columns(samples, 10, 12) == {
        "start": 10 * STEP,
        "step": STEP,
        "polls": [1, 0, 4],
        "load": [1.0, None, 1.75],
        "mem": [None, None, 2.0],
        "disk": [5.0, None, 7.0],
        "received": [10, None, 2],
        "sent": [20, None, 4],
    }
    assert len(columns([], 0, 10**9)["load"]) == SLOTS
    assert columns([], 5, 4)["load"] == []
