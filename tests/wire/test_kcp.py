"""KCP against the reference's datagrams, over a bad link, and under abuse."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skywire.errors import LocalProtocolError
from skywire.testing import vectors
from skywire.testing.pair import Link, Pair
from skywire.wire import kcp
from skywire.wire.kcp import (
    ACK,
    ASK,
    DEAD_LINK,
    HEADER,
    HEADER_SIZE,
    MSS,
    MTU,
    PUSH,
    RESET,
    SILENCE_LIMIT,
    TELL,
    WINDOW,
    Kcp,
)

CASES = {case["name"]: case for case in vectors.load("routing/kcp_datagrams")}
(SESSION,) = (case for case in CASES.values() if "datagrams" in case)


def segment(
    cmd: int,
    number: int = 0,
    data: bytes = b"",
    *,
    conv: int = 1,
    frg: int = 0,
    window: int = WINDOW,
    ts: int = 0,
    una: int = 0,
) -> bytes:
    return HEADER.pack(conv, cmd, frg, window, ts, number, una, len(data)) + data


def fields(datagram: bytes) -> tuple[int, ...]:
    """conv, cmd, frg, wnd, ts, sn, una, len of the only segment."""
    found: tuple[int, ...] = struct.unpack_from("<IBBHIIII", datagram)
    assert HEADER_SIZE + found[-1] == len(datagram)
    return found


def messages(end: Kcp) -> list[bytes]:
    found = []
    while (message := end.read_message()) is not None:
        found.append(message)
    return found


def one_by_one(count: int, size: int = 20) -> list[bytes]:
    return [f"{i:06d}".encode().ljust(size, b".") for i in range(count)]


# Recorded


def test_the_same_datagrams_as_the_reference() -> None:
    first, answer, push, last = (bytes.fromhex(one["hex"]) for one in SESSION["datagrams"])
    start, later = 521, 522
    dialler, listener = Kcp(SESSION["conv"]), Kcp(SESSION["conv"])
    dialler.send(b"get_nonce")
    assert dialler.data_to_send(start) == [first]
    listener.receive_datagram(first, start)
    assert listener.read_message() == b"get_nonce"
    assert listener.data_to_send(start) == [answer]
    listener.send(b"re:get_nonce")
    assert listener.data_to_send(later) == [push]
    dialler.receive_datagram(answer, start)
    dialler.receive_datagram(push, later)
    assert dialler.read_message() == b"re:get_nonce"
    assert dialler.data_to_send(later) == [last]
    listener.receive_datagram(last, later)
    assert dialler.delivered
    assert listener.delivered


@pytest.mark.parametrize("case", [c for c in CASES.values() if "hex" in c], ids=lambda c: c["name"])
def test_short_datagrams_are_no_kcp(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    assert kcp.conversation(data) is None
    end = Kcp(1)
    end.receive_datagram(data, 0)
    assert (end.dropped, end.read_message(), end.data_to_send(0)) == (1, None, [])


def test_a_datagram_names_its_conversation() -> None:
    for one in SESSION["datagrams"]:
        assert kcp.conversation(bytes.fromhex(one["hex"])) == SESSION["conv"]
    opening = [kcp.is_opening(bytes.fromhex(one["hex"])) for one in SESSION["datagrams"]]
    assert opening == [True, False, True, False]  # both directions count from 0


# Messages


@pytest.mark.parametrize("size", [1, MSS, MSS + 1, 3 * MSS])
def test_a_write_becomes_messages_of_at_most_one_segment(size: int) -> None:
    a, b = Kcp(1), Kcp(1)
    a.send(bytes(size))
    for datagram in a.data_to_send(0):
        assert len(datagram) <= MTU
        b.receive_datagram(datagram, 0)
    assert [len(m) for m in messages(b)] == [MSS] * (size // MSS) + [size % MSS] * (size % MSS > 0)


def test_small_messages_share_a_datagram_and_stay_apart() -> None:
    a, b = Kcp(1), Kcp(1)
    for text in (b"one", b"two", b"three"):
        a.send(text)
    (datagram,) = a.data_to_send(0)
    b.receive_datagram(datagram, 0)
    assert messages(b) == [b"one", b"two", b"three"]


def test_fragments_of_another_implementation_are_joined() -> None:
    end = Kcp(1)
    end.receive_datagram(segment(PUSH, 0, b"he", frg=2) + segment(PUSH, 1, b"l", frg=1), 0)
    assert end.read_message() is None
    end.receive_datagram(segment(PUSH, 2, b"lo", frg=0) + segment(PUSH, 3, b"x"), 0)
    assert messages(end) == [b"hello", b"x"]


def test_a_message_larger_than_the_window_ends_the_session() -> None:
    end = Kcp(1)
    for number in range(WINDOW):
        end.receive_datagram(segment(PUSH, number, b"x", frg=1), 0)
    assert end.read_message() is None
    assert end.lost is not None
    assert "larger than the window" in end.lost


def test_the_end_comes_behind_the_data() -> None:
    a, b = Kcp(1), Kcp(1)
    a.send(b"last")
    a.finish()
    a.finish()
    with pytest.raises(LocalProtocolError):
        a.send(b"more")
    Pair(a, b, Link(delay=5, loss=0.3, seed=3)).run(lambda: a.delivered)
    assert messages(b) == [b"last", b""]


def test_an_empty_write_is_no_end() -> None:
    a = Kcp(1)
    a.send(b"")
    assert a.data_to_send(0) == []
    assert a.delivered


# Acknowledgements and windows


def test_a_batch_is_acknowledged_once() -> None:
    a, b = Kcp(1), Kcp(1)
    for text in one_by_one(5, MSS):
        a.send(text)
    for datagram in a.data_to_send(7):
        b.receive_datagram(datagram, 8)
    (answer,) = b.data_to_send(8)
    conv, cmd, _, window, ts, number, una, _ = fields(answer)
    assert (conv, cmd, window, ts, number, una) == (1, ACK, WINDOW - 5, 7, 4, 5)
    a.receive_datagram(answer, 9)
    assert a.delivered
    assert a.rtt == 2


def test_a_gap_is_shown_by_acknowledging_what_lies_beyond() -> None:
    b = Kcp(1)
    for number in (0, 2, 3):
        b.receive_datagram(segment(PUSH, number, b"x", ts=number), 0)
    (answer,) = b.data_to_send(0)
    parts = [answer[at : at + HEADER_SIZE] for at in range(0, len(answer), HEADER_SIZE)]
    assert [fields(part)[5] for part in parts] == [2, 3]
    assert {fields(part)[6] for part in parts} == {1}


def test_no_more_than_the_window_is_on_its_way() -> None:
    a = Kcp(1)
    a.send(bytes(100 * MSS))
    first = len(a.data_to_send(0))
    assert first <= WINDOW
    assert a.data_to_send(0) == []
    assert a.waiting == 100 - first


def test_an_overtaken_segment_is_sent_again_at_once() -> None:
    a, b = Kcp(1), Kcp(1)
    a.send(bytes(5 * MSS))
    lost, *arrived = a.data_to_send(0)
    for datagram in arrived:
        b.receive_datagram(datagram, 10)
    for datagram in b.data_to_send(10):
        a.receive_datagram(datagram, 20)
    (again,) = a.data_to_send(20)
    assert fields(again)[5] == fields(lost)[5] == 0
    assert a.resent == 1
    assert a.data_to_send(21) == []


def test_a_silent_link_is_tried_after_the_time_out() -> None:
    a = Kcp(1)
    a.send(b"x")
    a.data_to_send(0)
    when = a.next_timer()
    assert when is not None
    assert 200 <= when <= 300
    assert a.data_to_send(when - 1) == []
    a.handle_timer(when)
    assert len(a.data_to_send(when)) == 1


def test_a_closed_window_stops_the_sender_and_a_reader_opens_it() -> None:
    a, b = Kcp(1), Kcp(1)
    pair = Pair(a, b, Link(delay=1))
    a.send(bytes(200 * MSS))
    with pytest.raises(AssertionError, match="not done"):
        pair.run(lambda: False, limit=400)  # b reads nothing
    assert a.waiting >= 200 - 2 * WINDOW
    assert len(b._ready) == WINDOW
    assert len(b._early) <= WINDOW
    got = 0

    def read() -> bool:
        nonlocal got
        got += len(messages(b))
        return got == 200

    pair.run(read)


def test_a_lost_window_tell_is_found_by_asking() -> None:
    a, b = Kcp(1), Kcp(1)
    pair = Pair(a, b, Link(delay=1))
    a.send(bytes(100 * MSS))
    pair.run(lambda: a._peer_window == 0 and a.waiting and not a._flight)
    assert len(messages(b)) == WINDOW
    assert fields(b.data_to_send(int(pair.now))[0])[1] == TELL  # and it is lost
    took = pair.run(lambda: (messages(b), a.delivered)[1])
    assert took >= kcp.PROBE_FIRST / 2


def test_an_ask_is_answered() -> None:
    end = Kcp(1)
    end.receive_datagram(segment(ASK), 0)
    (answer,) = end.data_to_send(0)
    assert fields(answer)[1] == TELL
    assert fields(answer)[3] == WINDOW


# The end of a session


def test_a_dead_peer_is_noticed() -> None:
    a, b = Kcp(1), Kcp(1)
    pair = Pair(a, b, Link(delay=5))
    a.send(b"x")
    pair.run(lambda: a.delivered)
    assert pair.run(limit=60_000) == 0, "an idle session needs no timer"
    pair.cut = True
    a.send(b"y")
    took = pair.run(lambda: a.lost is not None)
    assert SILENCE_LIMIT <= took <= SILENCE_LIMIT + 500
    assert a.lost is not None
    assert "nothing heard" in a.lost
    assert (a.next_timer(), a.data_to_send(int(pair.now))) == (None, [])


def test_a_peer_that_never_acknowledges_one_segment_is_given_up() -> None:
    a = Kcp(1)
    a.send(b"x")
    sent = 0
    for now in range(0, 120_000, 50):
        a.receive_datagram(segment(TELL), now)  # it talks, so there is no silence
        a.handle_timer(now)
        sent += len(a.data_to_send(now))
    assert sent == DEAD_LINK
    assert a.lost is not None
    assert "no acknowledgement" in a.lost


def test_a_reset_ends_the_session_and_only_with_the_right_conversation() -> None:
    a = Kcp(1)
    a.send(b"x")
    a.receive_datagram(kcp.reset_datagram(2), 0)
    assert a.lost is None
    a.receive_datagram(kcp.reset_datagram(1), 0)
    assert a.reset_by_peer
    assert a.lost is not None
    a.receive_datagram(segment(PUSH, 0, b"late"), 1)
    assert a.read_message() is None


# Abuse


@pytest.mark.parametrize(
    "datagram",
    [
        segment(PUSH, 0, b"x", conv=2),
        segment(PUSH, 0, b"x", una=5),  # we have sent nothing
        segment(80, 0, b"x"),
        segment(RESET + 1),
        segment(PUSH, WINDOW, b"x"),
        segment(PUSH, 0, b"x", frg=WINDOW),
        segment(PUSH, 0, b"xy")[:-1],
    ],
    ids=["other session", "una", "command", "command 91", "number", "fragments", "length"],
)
def test_what_makes_no_sense_is_dropped(datagram: bytes) -> None:
    end = Kcp(1)
    end.receive_datagram(datagram, 0)
    assert end.dropped == 1
    assert end.read_message() is None
    assert end.data_to_send(0) == []


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_garbage_never_raises(datagrams: list[bytes]) -> None:
    end = Kcp(1)
    end.send(b"x" * 5000)
    for now, datagram in enumerate(datagrams):
        end.receive_datagram(datagram, now)
        end.data_to_send(now)
        messages(end)


numbers = st.sampled_from([0, 1, 2, 31, 32, 2**31 - 1, 2**31, 2**32 - 1])


@given(
    st.lists(
        st.builds(
            segment,
            st.sampled_from([PUSH, PUSH, ACK, ASK, TELL]),
            numbers,
            st.binary(max_size=3),
            frg=st.sampled_from([0, 0, 1, 31, 32, 255]),
            window=st.sampled_from([0, 1, 32, 65535]),
            ts=numbers,
            una=numbers,
        ),
        max_size=200,
    ),
    st.booleans(),
)
def test_forged_segments_fill_no_memory(datagrams: list[bytes], reading: bool) -> None:
    end = Kcp(1)
    end.send(b"x" * 100_000)
    for now, datagram in enumerate(datagrams):
        end.receive_datagram(datagram, now * 100)
        end.handle_timer(now * 100)
        if reading:
            messages(end)
            end.data_to_send(now * 100)
        assert len(end._ready) <= WINDOW
        assert len(end._early) <= WINDOW
        assert len(end._flight) <= WINDOW
        assert len(end._acks) <= 4 * WINDOW


# Bad links


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Link,
        delay=st.integers(0, 100),
        jitter=st.sampled_from([0, 5, 60]),
        loss=st.sampled_from([0, 0.02, 0.2]),
        duplicate=st.sampled_from([0, 0.3]),
        rate=st.sampled_from([None, 1.0]),
        seed=st.integers(0, 1000),
    ),
    st.sampled_from([0, 2**32 - 20]),
    st.integers(1, 150),
    st.integers(1, 150),
)
def test_everything_arrives_once_and_in_order(
    link: Link, first: int, there: int, back: int
) -> None:
    a, b = Kcp(7, first=first), Kcp(7, first=first)
    pair = Pair(a, b, link, now=2**32 - 500)  # the clock on the wire wraps as well
    to_b, to_a = one_by_one(there, 700), one_by_one(back, MSS)
    for text in to_b:
        a.send(text)
    for text in to_a:
        b.send(text)
    at_a: list[bytes] = []
    at_b: list[bytes] = []

    def done() -> bool:
        at_a.extend(messages(a))
        at_b.extend(messages(b))
        assert a.lost is None, a.lost
        assert b.lost is None, b.lost
        assert len(a._flight) <= WINDOW
        assert len(a._early) <= WINDOW
        return a.delivered and b.delivered and len(at_a) == back and len(at_b) == there

    pair.run(done)
    assert at_a == to_a
    assert at_b == to_b


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("loss", "share"), [(0.0, 0.9), (0.02, 0.5), (0.1, 0.15)])
def test_loss_costs_speed_within_limits(seed: int, loss: float, share: float) -> None:
    delay, size = 40, 2_000_000
    a, b = Kcp(1), Kcp(1)
    a.send(bytes(size))
    left = size

    def done() -> bool:
        nonlocal left
        left -= sum(map(len, messages(b)))
        return left == 0

    took = Pair(a, b, Link(delay=delay, loss=loss, seed=seed)).run(done)
    assert size / took >= share * WINDOW * MSS / (2 * delay)
    assert a.resent <= size / MSS * (2 * loss)


def test_a_narrow_link_is_shared_without_flooding_it() -> None:
    size = 2_000_000
    a, b = Kcp(1), Kcp(1)
    a.send(bytes(size))
    left = size

    def done() -> bool:
        nonlocal left
        left -= sum(map(len, messages(b)))
        return left == 0

    took = Pair(a, b, Link(delay=10, rate=0.5, queue=8)).run(done)
    assert size / MSS / took >= 0.8 * 0.5, "the link is used"
    assert a.resent <= size / MSS * 0.15


def test_reordering_costs_few_repetitions() -> None:
    a, b = Kcp(1), Kcp(1)
    a.send(bytes(500 * MSS))
    left = 500

    def done() -> bool:
        nonlocal left
        left -= len(messages(b))
        return left == 0

    Pair(a, b, Link(delay=20, jitter=2, seed=1)).run(done)
    assert a.resent < 250


def test_acknowledgements_nobody_fetches_are_bounded() -> None:
    end = Kcp(1)
    for _ in range(1000):
        end.receive_datagram(segment(PUSH, 0, b"x"), 0)
    assert len(end._acks) == 4 * WINDOW
    assert len(end.data_to_send(0)) == 1
