"""Frames and objects: limits, replays, splits."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire.noise_frames import (
    MAX_FRAME,
    MAX_OBJECT,
    MAX_PLAIN,
    OVERHEAD,
    REPLAY_WINDOW,
    ObjectCipher,
    Opener,
    Sealer,
)

KEY, OTHER = bytes(range(32)), bytes(32)


def _frames(*plains: bytes) -> list[bytes]:
    sealer = Sealer(KEY)
    return [bytes(sealer.seal(plain)) for plain in plains]


@given(st.lists(st.binary(max_size=3 * MAX_PLAIN), max_size=4), st.data())
def test_any_split_opens_the_same(writes: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(_frames(*writes))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    opener, got = Opener(KEY), []
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += opener.receive_data(raw[begin:end])
    assert b"".join(got) == b"".join(writes)
    assert opener.unfinished == 0


def test_one_write_is_one_frame_up_to_4070_bytes() -> None:
    assert len(Sealer(KEY).seal(bytes(MAX_PLAIN))) == 4096
    assert len(Sealer(KEY).seal(bytes(MAX_PLAIN + 1))) == 4096 + OVERHEAD + 1
    assert Sealer(KEY).seal(b"") == b""
    assert Sealer(KEY).seal(b"x", room=12)[:12] == bytes(12)


@pytest.mark.parametrize("head", [b"\x0f\xff", b"\xff\xff", b"\x00\x00", b"\x00\x17"])
def test_a_length_out_of_range_is_refused_before_the_body_arrives(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="noise frame of"):
        Opener(KEY).receive_data(head)


def test_stream_nonces_may_skip_but_never_go_back() -> None:
    one, two, three = _frames(b"1", b"2", b"3")
    opener = Opener(KEY)
    assert opener.receive_data(one) == [b"1"]
    assert opener.receive_data(three) == [b"3"]
    with pytest.raises(RemoteProtocolError, match=r"\(2\) is not larger than previous \(3\)"):
        opener.receive_data(two)
    with pytest.raises(RemoteProtocolError, match=r"\(0\) is not larger than previous \(0\)"):
        Opener(KEY).receive_data(one[:2] + bytes(8) + one[10:])


def test_a_forged_nonce_is_remembered_as_in_the_reference() -> None:
    one, two = _frames(b"1", b"2")
    opener = Opener(KEY)
    with pytest.raises(AuthenticationFailed):
        opener.receive_data(one[:2] + (1 << 63).to_bytes(8, "big") + one[10:])
    with pytest.raises(RemoteProtocolError, match=r"previous \(9223372036854775808\)"):
        opener.receive_data(two)


def test_every_irregular_case_of_the_reference_is_covered_here_or_in_test_noise() -> None:
    assert len(vectors.load("dmsg/noise_negative")) == 11


def test_a_flipped_bit_and_a_wrong_key_are_refused() -> None:
    (frame,) = _frames(b"hello")
    with pytest.raises(AuthenticationFailed):
        Opener(KEY).receive_data(frame[:-1] + bytes([frame[-1] ^ 1]))
    with pytest.raises(AuthenticationFailed):
        Opener(OTHER).receive_data(frame)


@given(st.binary(max_size=300))
def test_any_bytes_wait_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert Opener(KEY).receive_data(raw) == []


def _pair() -> tuple[ObjectCipher, ObjectCipher]:
    return ObjectCipher(KEY, OTHER), ObjectCipher(OTHER, KEY)


def test_objects_open_in_any_order_but_only_once() -> None:
    ours, theirs = _pair()
    messages = [ours.seal(bytes([i])) for i in range(40)]
    assert [int.from_bytes(m[:2], "big") for m in messages] == [25] * 40
    for i in reversed(range(40)):
        assert theirs.open(messages[i][2:]) == bytes([i])
    for message in messages:
        with pytest.raises(RemoteProtocolError, match="repeats nonce"):
            theirs.open(message[2:])


def test_objects_far_behind_or_with_nonce_0_are_refused() -> None:
    ours, theirs = _pair()
    messages = [ours.seal(b"x") for _ in range(REPLAY_WINDOW + 1)]
    theirs.open(messages[-1][2:])
    with pytest.raises(RemoteProtocolError, match=r"repeats nonce 1$"):
        theirs.open(messages[0][2:])
    assert theirs.open(messages[1][2:]) == b"x"
    with pytest.raises(RemoteProtocolError, match="nonce 0"):
        theirs.open(bytes(8) + messages[2][10:])


def test_a_forged_object_does_not_use_up_its_nonce() -> None:
    ours, theirs = _pair()
    message = ours.seal(b"x")[2:]
    with pytest.raises(AuthenticationFailed):
        theirs.open(message[:-1] + bytes([message[-1] ^ 1]))
    assert theirs.open(message) == b"x"


def test_object_sizes_have_limits() -> None:
    ours, theirs = _pair()
    assert len(theirs.open(ours.seal(bytes(MAX_OBJECT))[2:])) == MAX_OBJECT
    with pytest.raises(LocalProtocolError):
        ours.seal(bytes(MAX_OBJECT + 1))
    with pytest.raises(RemoteProtocolError, match="too short"):
        theirs.open(bytes(23))


def test_gaps_before_each_frame_are_free_for_headers() -> None:
    sealed = Sealer(bytes(32)).seal(bytes(5000), room=3, gap=7)
    plain = Sealer(bytes(32)).seal(bytes(5000))
    assert sealed[:10] == bytes(10)
    assert sealed[10 : 10 + MAX_FRAME] == plain[:MAX_FRAME]
    assert sealed[10 + MAX_FRAME : 17 + MAX_FRAME] == bytes(7)
    assert sealed[17 + MAX_FRAME :] == plain[MAX_FRAME:]


def test_a_missing_frame_is_refused_where_there_are_to_be_no_gaps() -> None:
    sealer = Sealer(bytes(32))
    sealer.seal(b"lost")
    frame = bytes(sealer.seal(b"second"))
    assert Opener(bytes(32)).receive_data(frame) == [b"second"]
    with pytest.raises(RemoteProtocolError, match="frame 1 was lost: 2 came"):
        Opener(bytes(32), gaps=False).receive_data(frame)
