"""The log of a visor that others may see."""

import json
import logging
from collections.abc import Iterator

import pytest

from skywire.visor.log_ring import MAX_ENTRIES, MAX_TEXT, RuntimeLog

log = logging.getLogger("skywire.visor.test")


@pytest.fixture
def ring() -> Iterator[RuntimeLog]:
    made = RuntimeLog()
    made.attach()
    log.setLevel(logging.DEBUG)
    yield made
    made.detach()
    log.setLevel(logging.NOTSET)


def test_entries_look_as_go_writes_them(ring: RuntimeLog) -> None:
    log.info("session up remote=%s", "02ab")
    log.warning("slow")
    first, second = json.loads(ring.text())
    assert first.pop("time").endswith("Z")
    assert first == {
        "_module": "visor.test",
        "level": "info",
        "log_line": 1,
        "msg": "session up remote=02ab",
    }
    assert (second["level"], second["log_line"]) == ("warning", 2)


def test_only_the_last_are_kept(ring: RuntimeLog) -> None:
    assert ring.text() == "[]"
    for number in range(MAX_ENTRIES + 5):
        log.debug("event number=%d", number)
    entries = json.loads(ring.text())
    assert [entries[0]["log_line"], entries[-1]["log_line"]] == [6, MAX_ENTRIES + 5]
    assert ring.entries(MAX_ENTRIES + 4) == [json.dumps(entries[-1])]
    assert len(ring.entries(2)) == MAX_ENTRIES
    assert ring.entries(10_000) == []


def test_a_long_message_is_cut_and_a_broken_call_kept(ring: RuntimeLog) -> None:
    log.info("%s", "x" * 3 * MAX_TEXT)
    ring.handle(logging.LogRecord("x", logging.INFO, "", 0, "two %s %s", ("one",), None))
    try:
        raise ValueError("oh")
    except ValueError:
        log.exception("broken")
    long, bad, failed = json.loads(ring.text())
    assert len(long["msg"]) == MAX_TEXT
    assert bad["msg"] == "two %s %s"
    assert failed["msg"] == "broken error=ValueError('oh')"


def test_after_its_end_it_hears_nothing(ring: RuntimeLog) -> None:
    ring.detach()
    log.info("hello")
    assert ring.text() == "[]"
