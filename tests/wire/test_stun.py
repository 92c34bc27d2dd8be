"""The STUN client against simulated NATs, and its parser under abuse."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.wire.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_RESPONSE,
    CHANGE_IP,
    CHANGE_PORT,
    COOKIE,
    HEADER,
    MAPPED_ADDRESS,
    RANDOM_SIZE,
    SENDS,
    XOR_MAPPED_ADDRESS,
    Endpoint,
    Message,
    Nat,
    NatProbe,
    NatType,
    parse,
)

SERVER, OTHER = ("192.0.2.1", 3478), ("192.0.2.2", 3479)
LOCAL, PUBLIC = ("10.0.0.5", 5000), ("203.0.113.9", 40000)
RANDOM = bytes(range(RANDOM_SIZE))

Passes = Callable[[Endpoint, set[Endpoint]], bool]  # from where, where we have sent to


def everything(source: Endpoint, sent: set[Endpoint]) -> bool:
    return True


def nothing(source: Endpoint, sent: set[Endpoint]) -> bool:
    return False


def known_hosts(source: Endpoint, sent: set[Endpoint]) -> bool:
    return source[0] in {host for host, _ in sent}


def known_ports(source: Endpoint, sent: set[Endpoint]) -> bool:
    return source in sent


def probe_behind(
    passes: Passes, *, public: Endpoint = PUBLIC, symmetric: bool = False, changes: bool = True
) -> tuple[Nat, int, int]:
    """The result, milliseconds and questions it took."""
    probe = NatProbe(SERVER, LOCAL, RANDOM, 0)
    sent: set[Endpoint] = set()
    now = questions = 0
    while probe.result is None:
        for datagram, to in probe.data_to_send(now):
            questions += 1
            sent.add(to)
            request = parse(datagram)
            assert request.type == BINDING_REQUEST
            mapped = (public[0], public[1] + len(sent)) if symmetric else public
            ip = to[0]
            port = to[1]
            if changes and request.change & CHANGE_IP:
                ip = OTHER[0] if ip == SERVER[0] else SERVER[0]
            if changes and request.change & CHANGE_PORT:
                port = OTHER[1] if port == SERVER[1] else SERVER[1]
            answer = Message(BINDING_RESPONSE, request.transaction, 0, mapped, OTHER)
            if passes((ip, port), sent):
                probe.receive_datagram(answer.encode(), (ip, port), now + 1)
        when = probe.next_timer()
        if when is not None:
            now = max(now, when)
            probe.handle_timer(now)
    assert probe.data_to_send(now) == []
    return probe.result, now, questions


@pytest.mark.parametrize(
    ("passes", "public", "symmetric", "kind"),
    [
        (everything, LOCAL, False, NatType.NONE),
        (known_ports, LOCAL, False, NatType.SYMMETRIC_FIREWALL),
        (everything, PUBLIC, False, NatType.FULL_CONE),
        (known_hosts, PUBLIC, False, NatType.RESTRICTED),
        (known_ports, PUBLIC, False, NatType.PORT_RESTRICTED),
        (known_ports, PUBLIC, True, NatType.SYMMETRIC),
    ],
    ids=lambda value: value.name if isinstance(value, NatType) else None,
)
def test_each_nat_is_told_from_the_others(
    passes: Passes, public: Endpoint, symmetric: bool, kind: NatType
) -> None:
    nat, took, _ = probe_behind(passes, public=public, symmetric=symmetric)
    assert nat.type is kind
    assert nat.public is not None
    assert nat.public_ip == nat.public[0] == public[0]
    assert took < 10_000


def test_no_answer_means_blocked() -> None:
    nat, took, questions = probe_behind(nothing)
    assert nat == Nat(NatType.BLOCKED, None)
    assert questions == SENDS
    assert 3000 <= took <= 3200
    assert nat.public_ip == "UDP is blocked"


def test_a_server_that_does_not_change_its_address_is_unexpected() -> None:
    nat, _, _ = probe_behind(everything, changes=False)
    assert nat.type is NatType.UNKNOWN
    assert nat.public == PUBLIC


def test_symmetric_ones_rule_out_hole_punching() -> None:
    hopeless = {kind for kind in NatType if kind.is_symmetric}
    assert hopeless == {NatType.SYMMETRIC, NatType.SYMMETRIC_FIREWALL}
    unknown = {kind for kind in NatType if not kind.is_known}
    assert unknown == {NatType.ERROR, NatType.UNKNOWN, NatType.BLOCKED}


def first_answer(message: Message) -> Nat | None:
    probe = NatProbe(SERVER, LOCAL, RANDOM, 0)
    ((request, _),) = probe.data_to_send(0)
    transaction = parse(request).transaction
    answer = message._replace(transaction=message.transaction or transaction)
    probe.receive_datagram(answer.encode(), SERVER, 1)
    return probe.result


def test_an_error_or_an_answer_without_address_ends_the_probe() -> None:
    for message in (
        Message(BINDING_ERROR, b""),
        Message(BINDING_RESPONSE, b""),
        Message(BINDING_RESPONSE, b"", mapped=PUBLIC),
    ):
        nat = first_answer(message)
        assert nat is not None
        assert nat.type is NatType.UNKNOWN


def test_answers_to_other_questions_are_ignored() -> None:
    assert first_answer(Message(BINDING_RESPONSE, bytes(16), mapped=PUBLIC, other=OTHER)) is None
    assert first_answer(Message(BINDING_REQUEST, b"")) is None


def test_the_xored_address_is_preferred() -> None:
    transaction = COOKIE.to_bytes(4, "big") + bytes(12)
    xored = bytes(a ^ b for a, b in zip(bytes([192, 0, 2, 7]), transaction, strict=False))
    port = (1234 ^ COOKIE >> 16).to_bytes(2, "big")
    attributes = (HEADER.pack(MAPPED_ADDRESS, 8) + b"\0\1" + (99).to_bytes(2, "big") + bytes(4)) + (
        HEADER.pack(XOR_MAPPED_ADDRESS, 8) + b"\0\1" + port + xored
    )
    message = parse(HEADER.pack(BINDING_RESPONSE, len(attributes)) + transaction + attributes)
    assert message.mapped == ("192.0.2.7", 1234)


def test_messages_are_read_as_written() -> None:
    message = Message(BINDING_RESPONSE, bytes(range(16)), 0, PUBLIC, OTHER)
    assert parse(message.encode()) == message
    request = Message(BINDING_REQUEST, bytes(range(16)), CHANGE_IP | CHANGE_PORT)
    assert parse(request.encode()) == request


@pytest.mark.parametrize("size", [1, 20, 21, 24, 27, 31, 35])
def test_cut_messages_are_refused(size: int) -> None:
    whole = Message(BINDING_RESPONSE, bytes(16), 0, PUBLIC, OTHER).encode()
    with pytest.raises(RemoteProtocolError):
        parse(whole[:size])
    if size >= 20:
        relabelled = whole[:2] + (size - 20).to_bytes(2, "big") + whole[4:size]
        with suppress(RemoteProtocolError):
            assert parse(relabelled).other is None


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(InvalidValue):
        NatProbe(SERVER, LOCAL, b"", 0)


@given(st.binary(max_size=80), st.booleans())
def test_garbage_never_raises(data: bytes, dressed: bool) -> None:
    probe = NatProbe(SERVER, LOCAL, RANDOM, 0)
    ((request, _),) = probe.data_to_send(0)
    if dressed:  # a header that fits
        data = HEADER.pack(BINDING_RESPONSE, len(data)) + request[4:20] + data
    probe.receive_datagram(data, SERVER, 1)
    probe.data_to_send(1)


def through(passes: Callable[[Message, Endpoint], bool]) -> Nat:
    """The result when the server's answers to questions that `passes` refuses are lost."""
    probe = NatProbe(SERVER, LOCAL, RANDOM, 0)
    now = 0
    while probe.result is None:
        for datagram, to in probe.data_to_send(now):
            request = parse(datagram)
            if passes(request, to):
                reply = Message(BINDING_RESPONSE, request.transaction, 0, PUBLIC, OTHER)
                probe.receive_datagram(reply.encode(), to, now)  # never from another port
        now = max(now, probe.next_timer() or now)
        probe.handle_timer(now)
    probe.receive_datagram(b"", SERVER, now)
    probe.handle_timer(now)
    return probe.result


def test_a_second_address_that_is_silent_fails_the_test() -> None:
    assert through(lambda request, to: to == SERVER and not request.change).type is NatType.ERROR


def test_a_server_that_does_not_change_its_port_is_unexpected() -> None:
    assert through(lambda request, to: request.change != CHANGE_IP | CHANGE_PORT) == Nat(
        NatType.UNKNOWN, PUBLIC
    )


def test_ipv6_addresses_and_odd_requests_are_read_as_absent() -> None:
    attributes = (
        HEADER.pack(MAPPED_ADDRESS, 20) + b"\0\2" + bytes(18) + HEADER.pack(3, 2) + bytes(4)
    )
    message = parse(HEADER.pack(BINDING_RESPONSE, len(attributes)) + bytes(16) + attributes)
    assert (message.mapped, message.change) == (None, 0)
