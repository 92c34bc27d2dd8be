"""Route groups against recorded Go conversations, against each other, and against garbage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import LocalProtocolError
from skywire.testing import vectors
from skywire.wire.packet import PacketReader, PacketType, parse_ping, ping_payload, pong_payload
from skywire.wire.route_group import MAX_MESSAGE, GroupEnd, State

LIVE = vectors.load("routing/live_route_setup")
SESSIONS = {case["name"][:40]: case for case in vectors.load("routing/route_group_session")}
A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")
H, D, P = PacketType.HANDSHAKE, PacketType.DATA, PacketType.PING


def end(*, initiator: bool, now: float = 0.0, plain_allowed: bool = True) -> GroupEnd:
    return GroupEnd(
        initiator=initiator,
        public=A if initiator else B,
        secret=A_SECRET if initiator else B_SECRET,
        ephemeral=deterministic_key_pair(b"ephemeral %d" % initiator)[1],
        remote=B if initiator else A,
        now=now,
        plain_allowed=plain_allowed,
    )


def take(machine: GroupEnd) -> list[tuple[int, bytes]]:
    output = [(int(kind), payload) for kind, payload in machine.output]
    machine.output.clear()
    return output


def exchange(*ends: GroupEnd, now: float = 0.0) -> None:
    """Until both have nothing to say."""
    a, b = ends
    while a.output or b.output:
        for here, there in ((a, b), (b, a)):
            for kind, payload in take(here):
                there.receive(kind, payload, now)


def opened() -> tuple[GroupEnd, GroupEnd]:
    a, b = end(initiator=True), end(initiator=False)
    a.start()
    b.start()
    exchange(a, b)
    assert (a.state, b.state) == (State.OPEN, State.OPEN)
    assert a.encrypted
    assert b.encrypted
    return a, b


def send(here: GroupEnd, data: bytes) -> list[tuple[int, bytes]]:
    raw, count = here.data_packets(memoryview(data), 7)
    packets = PacketReader().receive_data(raw)
    assert len(packets) == count
    assert all(packet.route_id == 7 for packet in packets)
    return [(packet.type, packet.payload) for packet in packets]


@pytest.mark.parametrize("case", LIVE, ids=lambda case: case["name"])
def test_the_same_packets_as_in_a_live_conversation_with_go(case: dict[str, Any]) -> None:
    """We are the node, with its keys; Go's packets are fed, ours must be those recorded."""
    first_ping = next((p for p in case["packets"] if p["type"] == P), None)
    epoch = 0.0
    if first_ping is not None:
        timestamp = parse_ping(bytes.fromhex(first_ping["payload"])).timestamp
        epoch = (timestamp - first_ping["t_ms"] + 0.5) / 1000
    initiator = case["noise_role_of_node"] == "initiator"
    machine = GroupEnd(
        initiator=initiator,
        public=PubKey.parse(case["node_pk"]),
        secret=SecKey.parse(case["node_sk"]),
        ephemeral=SecKey.parse(case["node_ephemeral_sk"]),
        remote=PubKey.parse(case["peer_pk"]),
        now=0.007,  # pings are 3 s after it opens
        epoch=epoch,
    )
    machine.start()
    texts = [bytes.fromhex(text) for way, _, text in case["plaintexts"] if way == "out"]
    got: list[bytes] = []
    for packet in case["packets"]:
        now, payload = packet["t_ms"] / 1000, bytes.fromhex(packet["payload"])
        if packet["dir"] == "peer->node":
            machine.receive(packet["type"], payload, now)
            got += machine.received
            machine.received.clear()
            continue
        if not machine.output:
            if packet["type"] == D:
                ((_, sealed),) = send(machine, texts.pop(0))
                assert sealed == payload
                continue
            if packet["type"] == P:
                machine.handle_timer(now)
            elif packet["type"] == PacketType.CLOSE:
                machine.close(now)
        kind, ours = machine.output.pop(0)
        if kind == P:  # our throughput is another one
            ours = ours[:8] + payload[8:]
        assert (kind, ours) == (packet["type"], payload)
    assert got == [bytes.fromhex(text) for way, _, text in case["plaintexts"] if way == "in"]
    assert machine.encrypted
    assert not texts


@pytest.mark.parametrize(
    ("name", "initiator"),
    [
        ("reference initiates, both encrypt, reference closes", True),
        ("peer initiates, both encrypt, reference closes with", False),
    ],
)
def test_the_same_conversation_as_the_reference_had(name: str, initiator: bool) -> None:
    """Types and sizes in order; the noise in it is our own, its ephemeral keys are not recorded."""
    case = SESSIONS[name[:40]]
    ours, peer = end(initiator=initiator), end(initiator=not initiator)
    ours.start()
    peer.start()
    to_send = [b"x" * 5000] if initiator else []
    skipped = 2 if not initiator else 0  # an early handshake, before there were rules
    for event in case["events"][skipped:]:
        now = event["t_ms"] / 1000
        if "dir" not in event:
            continue
        here, there = (ours, peer) if event["dir"].startswith("reference") else (peer, ours)
        if not here.output:
            if event["type"] == P:
                here.handle_timer(now)
            elif event["type"] == D:
                text = to_send.pop() if here is ours else b"hello"
                here.output += [(D, payload) for _, payload in send(here, text)]
            elif event["type"] == PacketType.ERROR:
                here.close(now, bytes.fromhex(event["packet"])[7:].decode())
            elif event["type"] == PacketType.CLOSE:
                here.close(now)
        kind, payload = here.output.pop(0)
        assert (kind, len(payload)) == (event["type"], event["size"])
        if kind in (PacketType.CLOSE, PacketType.ERROR, H):
            assert payload == bytes.fromhex(event["packet"])[7:]
        there.receive(kind, payload, now)
    assert (ours.state, peer.state) == (State.CLOSED, State.CLOSED)
    if initiator:
        assert peer.received == [b"x" * 4070, b"x" * 930]
        assert ours.received == [b"hello"]
    else:
        assert peer.error == "no listener on port 44, vpn-server offline"


def test_a_plain_peer_with_data_an_error_and_a_close_as_recorded() -> None:
    case = next(case for name, case in SESSIONS.items() if name.startswith("peer initiates plain"))
    machine = end(initiator=False)
    machine.start()
    for event in case["events"]:
        if "dir" in event:
            payload = bytes.fromhex(event["packet"])[7:]
            if event["dir"] == "peer->reference":
                machine.receive(event["type"], payload, event["t_ms"] / 1000)
            else:
                assert machine.output.pop(0) == (event["type"], payload)
    assert (machine.received, machine.encrypted) == ([b"abc"], False)
    assert (machine.state, machine.error) == (State.CLOSED, "bye")


def test_a_peer_that_never_speaks_is_asked_every_half_second_and_given_up_after_ten() -> None:
    """The reference asks once and goes on in plain text after 2 s; ours does not."""
    machine, now, asked = end(initiator=True), 0.0, 0
    machine.start()
    while (when := machine.next_timer()) is not None:
        asked += take(machine) == [(H, b"\x01")]
        now = when
        machine.handle_timer(now)
    assert (now, asked) == (10.0, 20)
    assert take(machine) == [(PacketType.CLOSE, b"\0")]
    assert "no handshake came within 10 s" in machine.error


def test_a_responder_speaks_after_two_seconds_and_gives_up_after_ten() -> None:
    machine = end(initiator=False)
    machine.start()
    assert machine.next_timer() == 2.0
    machine.handle_timer(2.0)
    assert take(machine) == [(H, b"\x01")]
    assert machine.next_timer() == 10.0
    machine.receive(H, b"\x01", 3.0)
    assert (machine.state, take(machine)) == (State.NOISE, [])
    late = end(initiator=False)
    late.handle_timer(10.0)
    assert late.state is State.CLOSED


def test_noise_that_is_not_finished_ends_after_five_seconds() -> None:
    machine = end(initiator=False)
    machine.receive(H, b"\x01\x07\x00", 1.0)  # three bytes: a peer of 2026
    assert machine.next_timer() == 6.0
    machine.handle_timer(6.0)
    assert machine.state is State.CLOSED
    assert "noise handshake was not finished" in machine.error


@pytest.mark.parametrize("early", [(P, ping_payload(5, 0)), (PacketType.ERROR, b"x")])
def test_pings_and_errors_do_not_decide_but_pings_are_answered(early: tuple[int, bytes]) -> None:
    machine = end(initiator=True)
    machine.start()
    take(machine)
    machine.receive(*early, 0.1)
    assert machine.state is State.WAITING
    assert take(machine) == ([(PacketType.PONG, pong_payload(5))] if early[0] == P else [])


def test_data_first_means_an_old_peer_and_counts() -> None:
    machine = end(initiator=False)
    machine.receive(D, b"old", 0.1)
    assert (machine.state, machine.received, machine.encrypted) == (State.OPEN, [b"old"], False)
    assert take(machine) == [(H, b"\x01")]


def test_a_handshake_that_was_lost_does_not_make_the_route_plain() -> None:
    """The reference takes the first noise message for data then."""
    a, b = end(initiator=True), end(initiator=False)
    a.start()
    take(a)  # lost
    b.handle_timer(2.0)
    exchange(a, b, now=2.0)
    assert (a.state, b.state) == (State.OPEN, State.OPEN)
    assert (a.encrypted, b.encrypted, b.received) == (True, True, [])


@pytest.mark.parametrize("packet", [(H, b"\0"), (D, b"old")])
def test_plain_text_is_refused_where_it_is_not_allowed(packet: tuple[int, bytes]) -> None:
    machine = end(initiator=False, plain_allowed=False)
    machine.receive(*packet, 0.1)
    assert machine.state is State.CLOSED
    assert "does not encrypt" in machine.error
    assert machine.received == []


def test_repeated_handshakes_change_nothing() -> None:
    a, _ = opened()
    for payload in (b"\x01", b"\0", b"\x01\x02\x03"):
        a.receive(H, payload, 1.0)
    assert (a.state, a.encrypted, take(a)) == (State.OPEN, True, [])


def test_a_peer_that_spoke_before_we_were_registered_hears_our_handshake_first() -> None:
    machine = end(initiator=True)
    machine.receive(H, b"\x01", 0.0)  # parked, delivered before `start`
    machine.start()
    assert [kind for kind, _ in take(machine)] == [H, D]


@pytest.mark.parametrize("size", [1, 100, MAX_MESSAGE, MAX_MESSAGE + 1, 5000, 3 * MAX_MESSAGE])
def test_message_borders_are_kept(size: int) -> None:
    a, b = opened()
    packets = send(a, b"x" * size)
    assert len(packets) == -(-size // MAX_MESSAGE)
    for kind, payload in packets:
        b.receive(kind, payload, 0.0)
    assert [len(text) for text in b.received[:-1]] == [MAX_MESSAGE] * (len(packets) - 1)
    assert b"".join(b.received) == b"x" * size


def test_payloads_are_a_byte_stream_to_the_receiver() -> None:
    a, b = opened()
    ((_, one),) = send(a, b"first")
    ((_, two),) = send(a, b"second")
    for piece in (one[:3], one[3:] + two[:5], two[5:]):
        b.receive(D, piece, 0.0)
    assert b.received == [b"first", b"second"]


@pytest.mark.parametrize("encrypted", [True, False])
def test_many_packets_at_once_are_as_many_messages(encrypted: bool) -> None:
    texts = [bytes([size % 256]) * size for size in (1, 4070, 2, 300)]
    if encrypted:
        a, b = opened()
        payloads = [send(a, text)[0][1] for text in texts]
    else:
        b, payloads = end(initiator=False), texts
    b.receive_data(payloads[:3], 0.0)
    b.receive_data(payloads[3:], 0.0)
    assert b.received == texts


def test_many_packets_at_once_may_hold_the_handshake() -> None:
    a, b = end(initiator=True), end(initiator=False)
    a.start()
    exchange_until_noise(a, b)
    noise = [payload for kind, payload in take(a) if kind == D]
    b.receive_data(noise, 0.0)
    (answer,) = [payload for kind, payload in take(b) if kind == D]
    ((_, frame),) = send(b, b"at once")
    a.receive_data([answer, frame], 0.0)
    assert (a.state, a.received) == (State.OPEN, [b"at once"])


def exchange_until_noise(a: GroupEnd, b: GroupEnd) -> None:
    for here, there in ((a, b), (b, a)):
        for kind, payload in take(here):
            there.receive(kind, payload, 0.0)


def test_data_behind_the_last_noise_message_is_not_lost() -> None:
    a, b = end(initiator=True), end(initiator=False)
    a.start()
    for kind, payload in take(a):
        b.receive(kind, payload, 0.0)
    for kind, payload in take(b):
        a.receive(kind, payload, 0.0)
    for kind, payload in take(a):
        b.receive(kind, payload, 0.0)
    ((_, noise),) = take(b)
    ((_, frame),) = send(b, b"at once")
    for byte in noise + frame:
        a.receive(D, bytes([byte]), 0.0)
    assert (a.state, a.received) == (State.OPEN, [b"at once"])


def test_a_frame_that_was_tampered_with_ends_the_group() -> None:
    a, b = opened()
    ((_, frame),) = send(a, b"text")
    b.receive(D, frame[:-1] + bytes([frame[-1] ^ 1]), 0.0)
    assert (b.state, b.received) == (State.CLOSED, [])
    assert [kind for kind, _ in take(b)] == [PacketType.ERROR, PacketType.CLOSE]


def test_a_replayed_frame_ends_the_group() -> None:
    a, b = opened()
    ((_, frame),) = send(a, b"text")
    b.receive(D, frame, 0.0)
    b.receive(D, frame, 0.0)
    assert (b.state, b.received) == (State.CLOSED, [b"text"])


def test_a_frame_lost_on_the_way_ends_the_group() -> None:
    """The reference goes on with a hole in the stream."""
    a, b = opened()
    send(a, b"lost")
    ((_, frame),) = send(a, b"after it")
    b.receive(D, frame, 0.0)
    assert (b.state, b.received) == (State.CLOSED, [])
    assert "noise frame 1 was lost" in b.error


def test_another_key_is_not_the_peer() -> None:
    a = end(initiator=True)
    stranger = GroupEnd(
        initiator=False,
        public=B,
        secret=deterministic_key_pair(b"stranger")[1],
        ephemeral=deterministic_key_pair(b"e")[1],
        remote=A,
        now=0.0,
    )
    a.start()
    stranger.start()
    exchange(a, stranger)
    assert (a.state, stranger.state) == (State.CLOSED, State.CLOSED)


def test_closing_is_answered_or_over_after_two_seconds() -> None:
    a, b = opened()
    a.close(1.0)
    assert (a.state, a.next_timer()) == (State.CLOSING, 3.0)
    exchange(a, b, now=1.1)
    assert (a.state, b.state) == (State.CLOSED, State.CLOSED)
    assert (a.ended_by_peer, b.ended_by_peer) == (False, True)
    assert not a.error + b.error
    a, b = opened()
    a.close(1.0)
    a.handle_timer(3.0)
    assert a.state is State.CLOSED


def test_an_error_text_is_the_reason_and_harmless_to_print() -> None:
    a, b = opened()
    a.close(1.0, "no\x1b[31m listener\n" + "x" * 5000)
    exchange(a, b)
    assert b.error.startswith("no [31m listener x")
    assert len(b.error) == 1024


def test_a_close_while_set_up_is_told() -> None:
    a = end(initiator=True)
    a.start()
    a.receive(PacketType.CLOSE, b"\0", 0.1)
    assert a.state is State.CLOSED
    assert "while it was set up" in a.error
    assert take(a)[-1] == (PacketType.CLOSE, b"\0")


def test_data_is_sent_only_while_open() -> None:
    with pytest.raises(LocalProtocolError, match="waiting"):
        end(initiator=True).data_packets(memoryview(b"x"), 1)


def test_a_lost_peer_is_told_why() -> None:
    a, _ = opened()
    a.handle_timer(9.0)
    assert (a.state, a.error) == (State.CLOSED, "nothing came for 9 s")
    assert [kind for kind, _ in take(a)] == [PacketType.ERROR, PacketType.CLOSE]


PACKETS = st.tuples(st.integers(0, 6), st.binary(min_size=16, max_size=80))


@given(st.booleans(), st.booleans(), st.lists(PACKETS, max_size=20))
def test_any_packets_are_taken_or_end_the_group(
    initiator: bool, after: bool, packets: list[tuple[int, bytes]]
) -> None:
    machine = opened()[0] if after else end(initiator=initiator)
    for number, (kind, payload) in enumerate(packets):
        machine.receive(kind, payload, number / 10)
        machine.handle_timer(number / 10)
    if machine.state is State.CLOSED:
        assert machine.next_timer() is None
