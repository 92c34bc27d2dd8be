"""sudph's addresses, and the visor's side of a binding."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import key_pair
from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError, SkywireError
from skywire.testing import vectors
from skywire.wire.handshake import Responder
from skywire.wire.resolver import DELETE_BINDING, HEARTBEAT, Binding, LocalAddresses, Push
from skywire.wire.sudph import (
    HEARTBEAT_INTERVAL,
    HOLE_PUNCH,
    MAX_PUSHES,
    RESOLVER_PORT,
    BindingSession,
    State,
    endpoints,
    parse_endpoint,
    resolver_endpoint,
)

LOCAL = LocalAddresses("4711", ("192.0.2.5", "::1"))


@pytest.mark.parametrize(
    ("name", "ours"),
    [("hole punch", HOLE_PUNCH), ("heartbeat", HEARTBEAT), ("unbind", DELETE_BINDING)],
)
def test_the_same_words_as_the_reference(name: str, ours: bytes) -> None:
    cases: list[dict[str, Any]] = vectors.load("routing/kcp_datagrams")
    (case,) = (case for case in cases if name in case["name"] and "hex" in case)
    assert ours.hex() == case["hex"]


def test_an_endpoint_is_an_ipv4_address_and_a_port() -> None:
    assert parse_endpoint("192.0.2.1:4711") == ("192.0.2.1", 4711)


@pytest.mark.parametrize(
    "text",
    [
        *("", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[::1]:80", "host:80"),
        *("192.0.2.1:-1", "192.0.2.1:٣", "192.0.2.256:1", ":80", "1:2:3"),
    ],
)
def test_other_endpoints_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_endpoint(text)


def test_the_resolver_is_asked_at_the_port_of_its_url() -> None:
    assert resolver_endpoint("http://ar.example.org") == ("ar.example.org", RESOLVER_PORT)
    assert resolver_endpoint("http://127.0.0.1:9093/") == ("127.0.0.1", 9093)


@pytest.mark.parametrize("url", ["", "ar.example.org", "dmsg://02ab:80", "http://", "http://a:b"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        resolver_endpoint(url)


def test_behind_the_same_nat_the_own_addresses_are_tried_first() -> None:
    far = Binding("203.0.113.1:9", port="4711", addresses=("192.0.2.5",))
    assert endpoints(far) == [("203.0.113.1", 9)]
    near = Binding("203.0.113.1:9", True, "4711", ("192.0.2.5", "::1", "fe80::1", "192.0.2.6"))
    assert endpoints(near) == [("192.0.2.5", 4711), ("192.0.2.6", 4711), ("203.0.113.1", 9)]


def test_a_bare_address_has_the_bound_port() -> None:
    assert endpoints(Binding("203.0.113.1", port="4711")) == [("203.0.113.1", 4711)]


@given(st.text(max_size=30), st.booleans(), st.text(max_size=5), st.lists(st.text(max_size=9)))
def test_any_binding_is_read_or_refused(
    remote: str, local: bool, port: str, addresses: list[str]
) -> None:
    try:
        found = endpoints(Binding(remote, local, port, tuple(addresses)))
    except InvalidValue:
        return
    assert all(0 < port <= 65535 for _, port in found)


def bound(now: int = 0) -> BindingSession:
    session = BindingSession(*key_pair(), LOCAL)
    resolver = Responder(bytes(16), ports=(0,))
    while session.state is State.HANDSHAKE:
        for message in session.messages_to_send():
            session.receive_message(resolver.receive_data(message), now)
    assert resolver.target.is_null
    assert resolver.remote_port == 0
    return session


def test_the_addresses_follow_the_handshake_and_then_a_heartbeat() -> None:
    session = bound(now=7)
    first, second = session.messages_to_send()
    assert first == b'{"port":"4711","addresses":["192.0.2.5","::1"]}'
    assert second == HEARTBEAT
    assert session.next_timer() == 7 + HEARTBEAT_INTERVAL


def test_heartbeats_come_every_ten_seconds() -> None:
    session = bound()
    session.messages_to_send()
    session.handle_timer(HEARTBEAT_INTERVAL - 1)
    assert session.messages_to_send() == []
    session.handle_timer(HEARTBEAT_INTERVAL)
    assert session.messages_to_send() == [HEARTBEAT]
    assert session.next_timer() == 2 * HEARTBEAT_INTERVAL


def test_a_push_is_handed_on_once() -> None:
    session = bound()
    pk, _ = key_pair()
    push = Push(str(pk), "192.0.2.1:4711")
    session.receive_message(push.encode(), 0)
    session.receive_message(push.encode() + b"\n", 0)
    assert session.pushes() == [push, push]
    assert session.pushes() == []


def test_pushes_nobody_takes_fill_no_memory() -> None:
    session = bound()
    for port in range(1, 2 * MAX_PUSHES):
        session.receive_message(Push("", f"192.0.2.1:{port}").encode(), 0)
    pushes = session.pushes()
    assert len(pushes) == MAX_PUSHES
    assert pushes[-1].address == f"192.0.2.1:{2 * MAX_PUSHES - 1}"


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b"x",
        b'{"PK":"","Addr":"localhost:80"}',
        b'{"PK":"","Addr":"192.0.2.1:0"}',
        b'{"PK":"","Addr":"192.0.2.1:80"}' + b" " * 5000,
    ],
)
def test_other_messages_of_a_resolver_are_refused(message: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        bound().receive_message(message, 0)


def test_giving_up_unbinds_what_was_bound() -> None:
    session = bound()
    session.messages_to_send()
    session.finish()
    assert session.messages_to_send() == [DELETE_BINDING]
    assert session.next_timer() is None
    session.receive_message(b"late", 0)
    with pytest.raises(LocalProtocolError):
        session.finish()
    early = BindingSession(*key_pair(), LOCAL)
    early.messages_to_send()
    early.finish()
    assert early.messages_to_send() == []


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_garbage_is_a_protocol_error(messages: list[bytes]) -> None:
    for session in (BindingSession(*key_pair(), LOCAL), bound()):
        try:
            for message in messages:
                session.receive_message(message, 0)
        except SkywireError:
            continue
