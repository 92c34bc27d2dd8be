from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError
from skywire.wire.socks5 import (
    MAX_EARLY,
    ClientState,
    Connect,
    Reply,
    Socks5Client,
    Socks5Server,
    State,
)

GREETING = b"\x05\x01\x00"
LOGIN_GREETING = b"\x05\x02\x00\x02"
SUCCESS = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def request(host: bytes, command: int = 1, port: int = 80) -> bytes:
    return b"\x05" + bytes([command]) + b"\x00" + host + port.to_bytes(2, "big")


NAME = request(b"\x03\x0bexample.com")


def feed(server: Socks5Server, data: bytes, cuts: Iterable[int] = ()) -> Connect | None:
    """Give `data` in pieces; the request, if one came."""
    found = None
    last = 0
    for cut in [*sorted(cuts), len(data)]:
        found = server.receive_data(data[last:cut]) or found
        last = cut
    return found


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (NAME, Connect("example.com", 80)),
        (request(b"\x01\x7f\x00\x00\x01", port=65535), Connect("127.0.0.1", 65535)),
        (request(b"\x04" + bytes(15) + b"\x01", port=1), Connect("::1", 1)),
    ],
)
def test_a_client_without_login(message: bytes, wanted: Connect) -> None:
    server = Socks5Server()
    assert feed(server, GREETING) is None
    assert server.data_to_send() == b"\x05\x00"
    assert feed(server, message) == wanted
    server.send_reply(Reply.SUCCEEDED)
    assert server.data_to_send() == SUCCESS
    assert server.state is State.DONE
    assert server.take_rest() == b""


def test_what_comes_behind_the_request_belongs_to_the_connection() -> None:
    server = Socks5Server()
    assert feed(server, GREETING + NAME + b"GET /") == Connect("example.com", 80)
    assert server.receive_data(b" HTTP") is None
    assert server.take_rest() == b"GET / HTTP"
    assert server.take_rest() == b""


@pytest.mark.parametrize(
    ("user", "password"), [(b"secret", b""), (b"", b"secret"), (b"anybody", b"secret")]
)
def test_a_passcode_counts_as_user_or_as_password(user: bytes, password: bytes) -> None:
    server = Socks5Server("secret")
    feed(server, LOGIN_GREETING)
    assert server.data_to_send() == b"\x05\x02"
    login = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
    assert feed(server, login + NAME) == Connect("example.com", 80)
    assert server.data_to_send() == b"\x01\x00"


@pytest.mark.parametrize(
    ("passcode", "sent", "told", "why"),
    [
        ("", b"\x04\x01\x00\x50", b"", "SOCKS4"),
        ("", b"GET / HTTP/1.1\r\n", b"", "version 71"),
        ("", b"\x05\x01\x02", b"\x05\xff", "insists on a login"),
        ("", b"\x05\x00", b"\x05\xff", "insists on a login"),
        ("secret", GREETING, b"\x05\xff", "no user and password"),
        ("secret", LOGIN_GREETING + b"\x01\x01a\x01b", b"\x05\x02\x01\x01", "wrong passcode"),
        ("secret", LOGIN_GREETING + b"\x05\x01a\x01b", b"\x05\x02", "version 5"),
        ("", GREETING + b"\x04\x01\x00\x01", b"\x05\x00", "version 4"),
        (
            "",
            GREETING + request(b"\x01\x00\x00\x00\x00", command=2),
            b"\x05\x00\x05\x07\x00\x01" + bytes(6),
            "command 2",
        ),
        (
            "",
            GREETING + request(b"\x01\x00\x00\x00\x00", command=3),
            b"\x05\x00\x05\x07\x00\x01" + bytes(6),
            "command 3",
        ),
        ("", GREETING + request(b"\x02xxxx"), b"\x05\x00\x05\x08\x00\x01" + bytes(6), "type 2"),
        ("", GREETING + request(b"\x03\x00"), b"\x05\x00\x05\x01\x00\x01" + bytes(6), "no host"),
        ("", GREETING + request(b"\x03\x02\xff\xff"), b"\x05\x00\x05\x01\x00\x01" + bytes(6), "no"),
        ("", GREETING + request(b"\x03\x03a b"), b"\x05\x00\x05\x01\x00\x01" + bytes(6), "no host"),
    ],
)
def test_what_the_server_refuses_and_what_it_tells(
    passcode: str, sent: bytes, told: bytes, why: str
) -> None:
    server = Socks5Server(passcode)
    with pytest.raises(RemoteProtocolError, match=why):
        server.receive_data(sent)
    assert server.data_to_send() == told
    assert server.state is State.BROKEN
    with pytest.raises(RemoteProtocolError, match="already failed"):
        server.receive_data(b"")


def test_a_client_may_not_flood_before_the_answer() -> None:
    server = Socks5Server()
    feed(server, GREETING + NAME)
    server.receive_data(bytes(MAX_EARLY))
    with pytest.raises(RemoteProtocolError, match="before it had an answer"):
        server.receive_data(b"x")


def test_a_reply_needs_a_request() -> None:
    server = Socks5Server()
    with pytest.raises(LocalProtocolError):
        server.send_reply(Reply.SUCCEEDED)
    feed(server, GREETING + NAME)
    server.send_reply(Reply.CONNECTION_REFUSED, "::1", 7)
    assert server.data_to_send()[2:] == b"\x05\x05\x00\x04" + bytes(15) + b"\x01\x00\x07"
    with pytest.raises(LocalProtocolError):
        server.send_reply(Reply.SUCCEEDED)


@given(st.data())
def test_chunk_borders_do_not_matter(data: st.DataObject) -> None:
    login = b"\x01\x04user\x06secret"
    whole = LOGIN_GREETING + login + NAME + b"rest of it"
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=6))
    server = Socks5Server("secret")
    assert feed(server, whole, cuts) == Connect("example.com", 80)
    assert server.data_to_send() == b"\x05\x02\x01\x00"
    assert server.take_rest() == b"rest of it"


@given(st.lists(st.binary(max_size=40)), st.sampled_from(["", "secret"]))
def test_any_bytes_are_read_or_refused(pieces: list[bytes], passcode: str) -> None:
    server, client = Socks5Server(passcode), Socks5Client("example.com", 80)
    with suppress(RemoteProtocolError):
        for piece in pieces:
            server.receive_data(piece)
    with suppress(RemoteProtocolError):
        for piece in pieces:
            client.receive_data(piece)


@given(
    st.one_of(
        st.ip_addresses().map(str),
        st.from_regex(r"[a-z0-9-]{1,60}(\.[a-z]{2,10}){0,3}", fullmatch=True),
    ),
    st.integers(0, 65535),
    st.sampled_from(list(Reply)),
    st.integers(1, 7),
)
def test_our_client_and_our_server_understand_each_other(
    host: str, port: int, reply: Reply, chunk: int
) -> None:
    client, server = Socks5Client(host, port), Socks5Server()
    asked = None
    while asked is None:
        sent = client.data_to_send()
        for start in range(0, len(sent), chunk):
            asked = server.receive_data(sent[start : start + chunk])
        if asked is None:
            assert not client.receive_data(server.data_to_send())
    assert asked == Connect(host, port)
    server.send_reply(reply, "127.0.0.1", 1080)
    answer = server.data_to_send() + b"hello"
    assert client.receive_data(answer)
    assert client.reply is reply
    assert client.take_rest() == b"hello"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400", "version 72"),
        (b"\x05\xff", "wants a login"),
        (b"\x05\x00\x04\x00\x00\x01", "version 4"),
        (b"\x05\x00\x05\x63\x00\x01" + bytes(6), "reply 99"),
        (b"\x05\x00\x05\x00\x00\x09" + bytes(6), "cannot be read"),
    ],
)
def test_a_proxy_that_answers_nonsense(answer: bytes, why: str) -> None:
    client = Socks5Client("example.com", 80)
    with pytest.raises(RemoteProtocolError, match=why):
        client.receive_data(answer)
    assert client.state is ClientState.BROKEN
    with pytest.raises(RemoteProtocolError, match="already failed"):
        client.receive_data(b"")


def test_a_proxy_that_floods_and_names_that_cannot_be_sent() -> None:
    client = Socks5Client("example.com", 80)
    with pytest.raises(RemoteProtocolError, match="before its answer ended"):
        client.receive_data(bytes(MAX_EARLY + 1))
    for host in ("", "x" * 256, "bücher.example"):
        with pytest.raises(InvalidValue):
            Socks5Client(host, 80)
