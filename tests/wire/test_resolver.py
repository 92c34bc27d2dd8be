"""What visors and the address resolver tell each other, and the session that binds a visor."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import NULL_KEY
from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import handshake
from skywire.wire.handshake import Initiator
from skywire.wire.resolver import (
    DELETE_BINDING,
    HEARTBEAT,
    MAX_MESSAGE,
    Binding,
    LocalAddresses,
    parse_addresses,
    parse_binding,
    parse_push,
)
from skywire.wire.resolver_session import (
    OPENING_LIMIT,
    SILENCE_LIMIT,
    Action,
    ResolverSession,
    State,
)

ALICE, ALICE_SK, _ = deterministic_key_pair(b"alice")
NONCE = bytes(range(16))
ADDRESSES = b'{"port":"30000","addresses":["192.0.2.1"]}'
RECORDED = {case["name"]: case["json"].encode() for case in vectors.load("routing/service_json")}


def test_same_json_as_go() -> None:
    bind = RECORDED["address resolver bind body (HTTP stcpr and UDP sudph)"]
    assert parse_addresses(bind) == LocalAddresses("7777", ("127.0.0.1", "192.0.2.1"))
    resolved = RECORDED["address resolver resolve response"]
    binding = parse_binding(resolved)
    assert binding == Binding("192.0.2.1", port="7777", addresses=("192.0.2.1",))
    assert binding.encode() == resolved
    pushed = RECORDED["address resolver UDP push (ask to dial)"]
    push = parse_push(pushed)
    assert push.encode() == pushed
    assert (str(push.key), push.address) == (push.pk, "192.0.2.1:41000")


def test_a_local_binding_says_so() -> None:
    assert b'"is_local":true' in Binding("192.0.2.1", is_local=True).encode()
    assert b"is_local" not in Binding("192.0.2.1").encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b'{"port":1,"addresses":[]}',
        b'{"port":"1","addresses":[%s]}' % b",".join([b'"a"'] * 65),
        b'{"port":"1","addresses":["%s"]}' % (b"a" * 65),
        b'{"port":"%s","addresses":[]}' % (b"1" * 65),
        b" " * (MAX_MESSAGE + 1),
    ],
)
def test_malformed_addresses_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_addresses(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"remote_addr":"%s"}' % (b"1" * 65),
        b'{"remote_addr":"192.0.2.1","port":"%s"}' % (b"1" * 65),
        b'{"remote_addr":"192.0.2.1","addresses":[%s]}' % b",".join([b'"a"'] * 65),
    ],
)
def test_bindings_with_more_than_a_visor_can_have_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_binding(text)


@given(st.binary())
def test_no_bytes_crash_a_parser(data: bytes) -> None:
    for parse in (parse_addresses, parse_binding, parse_push):
        with suppress(InvalidValue):
            parse(data)


def test_a_push_with_no_key_has_the_null_key() -> None:
    assert parse_push(b'{"PK":"x","Addr":"y"}').key == NULL_KEY


def opened() -> ResolverSession:
    """A session whose visor is proven to be Alice, at time 0."""
    session = ResolverSession(NONCE, 0.0)
    visor = Initiator(ALICE, ALICE_SK, NULL_KEY, source_port=0, port=0)
    message = visor.start()
    while visor.state is not handshake.State.DONE:
        assert session.receive_message(message, 0.0) is Action.SEND
        message = visor.receive_data(session.answer)
    assert (session.state, session.remote) == (State.ADDRESSES, ALICE)
    return session


def test_a_visor_is_bound_renewed_and_unbound() -> None:
    session = opened()
    assert session.receive_message(ADDRESSES, 5.0) is Action.BIND
    assert session.addresses == LocalAddresses("30000", ("192.0.2.1",))
    assert session.next_timer() == 5.0 + SILENCE_LIMIT
    assert session.receive_message(HEARTBEAT, 15.0) is Action.BIND
    assert session.next_timer() == 15.0 + SILENCE_LIMIT
    assert session.receive_message(DELETE_BINDING, 16.0) is Action.UNBIND
    assert session.state is State.OVER
    with pytest.raises(RemoteProtocolError):
        session.receive_message(HEARTBEAT, 17.0)


def test_addresses_may_come_in_pieces_but_not_for_ever() -> None:
    session = opened()
    assert session.next_timer() == OPENING_LIMIT
    assert session.receive_message(ADDRESSES[:20], 1.0) is Action.NOTHING
    assert session.next_timer() == OPENING_LIMIT
    assert session.receive_message(ADDRESSES[20:], 1.0) is Action.BIND
    endless = opened()
    for _ in range(MAX_MESSAGE // 1000):
        assert endless.receive_message(b" " * 1000, 1.0) is Action.NOTHING
    with pytest.raises(RemoteProtocolError):
        endless.receive_message(b" " * 1000, 1.0)


@pytest.mark.parametrize("message", [b"delbind", b"heartbeatheartbeat", b"{}", ADDRESSES])
def test_a_bound_visor_that_says_something_else_is_refused(message: bytes) -> None:
    session = opened()
    session.receive_message(ADDRESSES, 0.0)
    with pytest.raises(RemoteProtocolError, match="expected b'heartbeat'"):
        session.receive_message(message, 1.0)


def test_a_visor_with_another_target_port_is_refused() -> None:
    session = ResolverSession(NONCE, 0.0)
    visor = Initiator(ALICE, ALICE_SK, NULL_KEY)  # port 45, as for a transport
    session.receive_message(visor.start(), 0.0)
    with pytest.raises(RemoteProtocolError, match="not listening"):
        session.receive_message(visor.receive_data(session.answer), 0.0)


@given(st.lists(st.binary(max_size=600), max_size=6), st.booleans())
def test_no_messages_crash_a_session(messages: list[bytes], proven: bool) -> None:
    session = opened() if proven else ResolverSession(NONCE, 0.0)
    with suppress(RemoteProtocolError):
        for message in messages:
            session.receive_message(message, 0.0)
