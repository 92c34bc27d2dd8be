"""The hello of an app: Go's bytes, any split, garbage, limits."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire.app_hello import MAX_HELLO, Hello, ProcKey, missing, receive_hello
from skywire.wire.buffer import Buffer

KEY = ProcKey(bytes(range(16)))


def read(raw: bytes) -> Hello | None:
    buffer = Buffer()
    buffer.append(raw)
    return receive_hello(buffer)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


@pytest.mark.parametrize(
    "case", vectors.load("apps/app_server_streams"), ids=lambda case: case["app"]
)
def test_same_bytes_as_gos_apps(case: dict[str, str]) -> None:
    raw = framed(case["hello_json"].encode())
    assert case["stream"][0][1].startswith(raw.hex())
    hello = read(raw)
    assert hello is not None
    assert str(hello.key) == case["proc_key"]
    assert hello.encode() == raw


def test_one_with_events_says_where_to_and_which() -> None:
    hello = Hello(KEY, "tcp", "127.0.0.1:5", frozenset({"tcp_dial"}))
    assert read(hello.encode()) == hello
    # a subscription without an address is none
    assert read(framed(b'{"proc_key":"%s","event_subs":{"x":true}}' % KEY.hex().encode())) == Hello(
        KEY
    )


def test_an_unwanted_event_is_no_subscription() -> None:
    body = {"proc_key": str(KEY), "egress_addr": "127.0.0.1:5", "event_subs": {"tcp_dial": False}}
    assert read(framed(msgspec.json.encode(body))) == Hello(KEY)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"\xff",
        b'{"proc_key":"00"}',
        b'{"proc_key":5}',
        b'{"proc_key":"%s","event_subs":5}' % KEY.hex().encode(),
        msgspec.json.encode(
            {
                "proc_key": str(KEY),
                "egress_addr": "a",
                "event_subs": {str(n): True for n in range(17)},
            }
        ),
    ],
)
def test_others_are_refused_and_the_key_is_not_told(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read(framed(body))
    assert KEY.hex() not in str(caught.value)


@pytest.mark.parametrize("size", [0, MAX_HELLO + 1, 65535])
def test_no_memory_is_taken_for_a_hello_that_is_too_long(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="expected 1 to 4096"):
        read(size.to_bytes(2, "big"))


def test_our_own_is_not_too_long_either() -> None:
    with pytest.raises(InvalidValue, match="4096"):
        Hello(KEY, "tcp", "a" * MAX_HELLO, frozenset({"tcp_dial"})).encode()


def test_keys_are_32_digits_and_hidden() -> None:
    assert ProcKey.parse(KEY.hex().upper()) == KEY
    assert KEY.hex() not in repr(KEY)
    for wrong in ("", "00", KEY.hex() + "0", "g" * 32):
        with pytest.raises(InvalidValue):
            ProcKey.parse(wrong)
    with pytest.raises(InvalidValue):
        ProcKey(b"short")


@given(st.binary(max_size=300), st.booleans(), st.data())
def test_any_bytes_in_any_split(raw: bytes, frame: bool, data: st.DataObject) -> None:
    raw = framed(raw) if frame else raw
    cut = data.draw(st.integers(0, len(raw)))
    buffer = Buffer()
    with suppress(RemoteProtocolError):
        buffer.append(raw[:cut])
        early = receive_hello(buffer)
        buffer.append(raw[cut:])
        assert read(raw) == (early or receive_hello(buffer))


def test_reading_asks_for_no_byte_of_what_follows() -> None:
    raw, buffer, taken = Hello(KEY).encode() + b"calls", Buffer(), 0
    while receive_hello(buffer) is None:
        size = missing(buffer)
        buffer.append(raw[taken : taken + size])
        taken += size
    assert raw[taken:] == b"calls"
