"""Pings, loss, the window; by example and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import RemoteProtocolError
from skywire.wire.liveness import PING_EVERY, WINDOW, Liveness, State
from skywire.wire.packet import parse_ping, ping_payload, pong_payload


def run_out(liveness: Liveness) -> tuple[float, int, int]:
    """Until it is lost: when, how many pings, how many keep-alives."""
    pings = keep_alives = 0
    now = 0.0
    while (when := liveness.next_timer()) is not None:
        now = when
        ping, keep_alive = liveness.handle_timer(now)
        pings += ping is not None
        keep_alives += keep_alive
    return now, pings, keep_alives


def test_a_silent_peer_is_lost_within_ten_seconds() -> None:
    liveness = Liveness(now=0.0)
    assert run_out(liveness) == (9.0, 2, 0)
    assert liveness.state is State.LOST
    assert "nothing came for 9 s" in liveness.reason


def test_a_peer_that_stops_to_answer_pings_is_lost_later() -> None:
    """Its own packets still come: only our direction is dead, or it is very slow."""
    liveness, now = Liveness(now=0.0), 0.0
    liveness.receive_pong(parse_back(liveness.ping(0.0)), 0.0)
    while liveness.state is State.ALIVE:
        now += 1.0
        liveness.heard(now)
        liveness.handle_timer(now)
    assert 30.0 <= now <= 34.0
    assert "no ping was answered" in liveness.reason


def test_a_peer_that_never_answered_pings_is_not_lost_for_that() -> None:
    liveness, now = Liveness(now=0.0), 0.0
    while now < 100.0:
        now += 1.0
        liveness.heard(now)
        liveness.handle_timer(now)
    assert liveness.state is State.ALIVE
    assert liveness.room == WINDOW


def parse_back(ping: bytes) -> bytes:
    return pong_payload(parse_ping(ping).timestamp)


def test_pings_come_every_three_seconds_and_give_the_latency() -> None:
    liveness = Liveness(now=100.0, epoch=1_000.0)
    assert liveness.next_timer() == 103.0
    assert liveness.handle_timer(102.9) == (None, False)
    ping, _ = liveness.handle_timer(103.0)
    assert ping is not None
    assert parse_ping(ping) == (1_103_000, 0)
    liveness.receive_pong(parse_back(ping), 103.25)
    assert liveness.latency == (0.25, 103.25)


def test_throughput_is_told_and_heard() -> None:
    liveness = Liveness(now=0.0)
    liveness.data_received(3_000)
    ping, _ = liveness.handle_timer(3.0)
    assert ping is not None
    assert parse_ping(ping).throughput == 1_000
    assert liveness.download == (1_000.0, 3.0)
    liveness.receive_ping(ping_payload(1, 77), 4.0)
    assert liveness.upload == (77.0, 4.0)
    liveness.receive_ping(ping_payload(2, -5), 5.0)
    assert liveness.upload == (0.0, 5.0)


def test_keep_alives_only_while_no_data_is_sent() -> None:
    liveness = Liveness(now=0.0)
    liveness.heard(14.0)
    liveness.data_sent(1, 14.0)
    liveness.heard(28.0)
    assert liveness.handle_timer(28.9)[1] is False
    liveness.heard(29.0)
    assert liveness.handle_timer(29.0)[1] is True
    assert liveness.handle_timer(29.1)[1] is False


def test_the_window_closes_and_a_pong_opens_it() -> None:
    liveness = Liveness(now=0.0)
    pings = [ping for n in range(WINDOW) if (ping := liveness.data_sent(1, 0.0)) is not None]
    assert len(pings) == WINDOW // PING_EVERY
    assert liveness.room == 0
    liveness.receive_pong(parse_back(pings[1]), 0.1)  # answers the first one as well
    assert liveness.room == 2 * PING_EVERY
    liveness.receive_pong(parse_back(pings[0]), 0.2)  # late: says nothing new
    assert liveness.room == 2 * PING_EVERY


def test_a_peer_that_answers_nothing_is_sent_on_after_two_seconds() -> None:
    liveness = Liveness(now=0.0)
    liveness.data_sent(WINDOW, 0.0)
    assert liveness.room == 0
    assert liveness.next_timer() == 2.0
    liveness.heard(2.0)
    liveness.handle_timer(2.0)
    assert liveness.room == WINDOW
    liveness.receive_pong(parse_back(liveness.ping(3.0)), 4.0)  # it does answer, after all
    assert liveness.room == WINDOW


def test_a_slow_reader_owes_the_pong_and_repeats_an_older_one() -> None:
    ours, theirs = Liveness(now=0.0), Liveness(now=0.0)
    first, second = ours.ping(0.0), ours.ping(0.1)
    ours.receive_pong(theirs.receive_ping(first, 0.2), 0.2)
    ours.data_sent(WINDOW, 0.3)
    third = ours.ping(0.3)
    for ping in (second, third):
        pong = theirs.receive_ping(ping, 0.4, busy=True)
        assert pong == parse_back(first)
        ours.receive_pong(pong, 0.5)
    assert ours.room == 0
    owed = theirs.pay()
    assert owed == parse_back(third)
    assert theirs.pay() is None
    ours.receive_pong(owed, 5.0)
    assert ours.room == WINDOW
    assert ours.latency == (0.2, 0.2), "what a slow reader adds is no latency"


def test_the_first_ping_is_answered_even_when_busy() -> None:
    liveness = Liveness(now=0.0)
    assert liveness.receive_ping(ping_payload(5, 0), 0.0, busy=True) == pong_payload(5)


@pytest.mark.parametrize("size", [0, 15])
def test_short_pings_and_pongs_are_refused(size: int) -> None:
    liveness = Liveness(now=0.0)
    with pytest.raises(RemoteProtocolError):
        liveness.receive_ping(bytes(size), 0.0)
    with pytest.raises(RemoteProtocolError):
        liveness.receive_pong(bytes(size), 0.0)


@given(st.lists(st.integers(0, 5), max_size=60))
def test_the_window_is_never_exceeded_and_never_stuck(steps: list[int]) -> None:
    """Pongs come late, in order, some never; what is on the way stays within the window."""
    liveness, now = Liveness(now=0.0), 0.0
    pings: list[bytes] = []
    arrived = sent = 0
    counts: list[int] = []
    for step in steps:
        now += 0.01
        if step and pings:
            pong = pings.pop(0)
            arrived = counts.pop(0)
            if step > 1:
                liveness.receive_pong(parse_back(pong), now)
        for _ in range(min(liveness.room, 100 * step)):
            sent += 1
            if (ping := liveness.data_sent(1, now)) is not None:
                pings.append(ping)
                counts.append(sent)
        assert sent - arrived <= WINDOW
        assert liveness.room <= WINDOW
    liveness.receive_pong(parse_back(liveness.ping(now)), now)  # as the timer would
    assert liveness.room == WINDOW
