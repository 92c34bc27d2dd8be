"""net/rpc as bytes: the texts, the numbers, what ends a connection. Source: gob.md §8."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import LocalProtocolError, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import gob
from skywire.wire.gob_types import BYTES, EMPTY, INT, STRING, GoTypes, Slice
from skywire.wire.netrpc import (
    MAX_ERROR_TEXT,
    MAX_STRAY,
    Call,
    ClientSide,
    Reply,
    Request,
    Response,
    ServerSide,
)

ARGUMENTS: dict[str, GoTypes] = {"pty.Write": BYTES, "pty.Stop": EMPTY, "a.b.Any": (STRING, INT)}


def ask(server: ServerSide, data: bytes) -> list[Call]:
    server.receive_data(data)
    calls = []
    while (call := server.next_call()) is not None:
        calls.append(call)
    return calls


def call(client: ClientSide, method: str = "pty.Write", argument: Any = b"ls\n") -> bytes:
    return client.call(method, BYTES, argument, INT)[1]


def test_the_first_number_is_not_on_the_wire() -> None:
    client = ClientSide()
    first, second = call(client), call(client)
    assert first.endswith(bytes.fromhex("0eff8001097074792e577269746500") + b"\x06\x0a\x00\x03ls\n")
    assert second == bytes.fromhex("10ff8001097074792e5772697465010100") + b"\x06\x0a\x00\x03ls\n"


def test_a_call_and_its_reply() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    (got,) = ask(server, call(client))
    assert got == Call("pty.Write", 0, b"ls\n")
    assert client.receive_data(server.reply(got, INT, 3)) == [Reply(0, 3)]


def test_replies_find_their_calls_in_any_order() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    one, two = ask(server, call(client) + call(client))
    data = server.reply(two, INT, 2) + server.refuse(one, "EOF")
    assert client.receive_data(data) == [Reply(1, 2), Reply(0, error="EOF")]


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("pty.Nope", "rpc: can't find method pty.Nope"),
        ("whitelist.Whitelist", "rpc: can't find service whitelist.Whitelist"),
        ("a.Any", "rpc: can't find service a.Any"),
        ("a.b.Nope", "rpc: can't find method a.b.Nope"),
        ("Write", "rpc: service/method request ill-formed: Write"),
        ("", "rpc: service/method request ill-formed: "),
    ],
)
def test_calls_that_nobody_answers(method: str, text: str) -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    refused, good = ask(server, call(client, method) + call(client))
    assert (refused.refusal, refused.argument) == (text, None)
    assert good == Call("pty.Write", 1, b"ls\n")
    assert client.receive_data(server.refuse(refused, refused.refusal)) == [Reply(0, error=text)]


def test_an_argument_of_another_kind_costs_only_the_call() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    data = client.call("pty.Write", STRING, "ls\n", INT)[1] + call(client)
    refused, good = ask(server, data)
    assert refused.refusal == "gob: decoding into local type *[]uint8, received remote type string"
    assert good.argument == b"ls\n"


def test_an_argument_may_have_alternatives() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    data = client.call("a.b.Any", INT, 5, EMPTY)[1] + client.call("a.b.Any", STRING, "5", EMPTY)[1]
    assert [got.argument for got in ask(server, data)] == [5, "5"]


def test_a_reply_of_another_kind_costs_only_the_call() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    one, two = ask(server, call(client) + call(client))
    broken, good = client.receive_data(server.reply(one, STRING, "3") + server.reply(two, INT, 3))
    assert broken.broken == "gob: decoding into local type *int, received remote type string"
    assert good == Reply(1, 3)


def test_replies_to_unknown_or_forgotten_calls_are_dropped() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    one, two = ask(server, call(client) + call(client))
    client.forget(0)
    data = server.reply(Call("pty.Write", 77), Slice(STRING), ["a"]) + server.reply(one, INT, 1)
    assert client.receive_data(data + server.reply(two, INT, 2)) == [Reply(1, 2)]
    assert client.receive_data(server.reply(two, INT, 2)) == []  # answered once


def test_a_flood_of_replies_to_no_call_ends_the_connection() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    (one,) = ask(server, call(client))
    client.forget(0)  # this one may come late
    for _ in range(MAX_STRAY + 1):
        assert client.receive_data(server.reply(one, INT, 1)) == []
    with pytest.raises(RemoteProtocolError, match="calls nobody made"):
        client.receive_data(server.reply(one, INT, 1))


def test_an_undecodable_header_ends_the_connection() -> None:
    server, client = ServerSide(ARGUMENTS), ClientSide()
    server.receive_data(gob.encode(INT, 5))
    with pytest.raises(RemoteProtocolError):
        server.next_call()
    with pytest.raises(RemoteProtocolError):
        client.receive_data(gob.encode(INT, 5))


def test_a_message_over_the_limit_ends_the_connection() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS, max_message=1000)
    assert len(ask(server, call(client, argument=bytes(900)))) == 1
    with pytest.raises(RemoteProtocolError, match="message of 1"):
        ask(server, call(client, argument=bytes(1000)))


def test_a_failed_call_or_reply_leaves_no_trace() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    with pytest.raises(LocalProtocolError):
        call(client, argument="text")
    (got,) = ask(server, call(client))
    assert got.seq == 0
    with pytest.raises(LocalProtocolError):
        server.reply(got, INT, "text")
    assert client.receive_data(server.reply(got, INT, 3)) == [Reply(0, 3)]


def test_error_texts_are_never_empty_and_not_endless() -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    one, two = ask(server, call(client) + call(client))
    replies = client.receive_data(server.refuse(one, "") + server.refuse(two, "x" * 10_000))
    assert [reply.error for reply in replies] == ["unknown error", "x" * MAX_ERROR_TEXT]


# --- against recorded connections ----------------------------------------------------------------

TYPES: dict[str, tuple[Any, Any]] = {
    "pty.Stop": (EMPTY, EMPTY),
    "pty.Ping": (EMPTY, EMPTY),
    "pty.Read": (INT, BYTES),
    "pty.Write": (BYTES, INT),
    "whitelist.Nope": (EMPTY, EMPTY),
}


@pytest.mark.parametrize("case", vectors.load("pty/go_client"), ids=lambda case: str(case["name"]))
def test_the_same_bytes_answer_a_real_go_client(case: dict[str, Any]) -> None:
    """The recorded host is an independent codec whose ids start at 64, as ours do."""
    arguments: dict[str, GoTypes] = {name: argument for name, (argument, _) in TYPES.items()}
    server = ServerSide({**arguments, "pty.Start": EMPTY, "pty.SetPtySize": EMPTY})
    calls: dict[int, Call] = {}
    for message in case["messages"]:
        data = bytes.fromhex(message["header_gob"] + message["body_gob"])
        header, body = message["header"], message["body"]
        seq = header.get("Seq", 0)
        if message["from"] == "client":
            (calls[seq],) = ask(server, data)
            assert calls[seq].method == header["ServiceMethod"]
        elif header.get("Error"):
            assert server.refuse(calls[seq], header["Error"]) == data
        else:
            _, t = TYPES.get(header["ServiceMethod"], (EMPTY, EMPTY))
            value = bytes.fromhex(body) if t == BYTES else body
            assert server.reply(calls[seq], t, value) == data


def test_every_go_response_is_understood() -> None:
    for case in vectors.load("pty/go_host"):
        client = ClientSide()
        for message in case["messages"]:
            header, body = message["header"], message["body"]
            if message["from"] == "client":
                _, reply_type = TYPES.get(header["ServiceMethod"], (EMPTY, EMPTY))
                seq, _ = client.call(header["ServiceMethod"], EMPTY, None, reply_type)
                assert seq == header.get("Seq", 0)
                continue
            data = bytes.fromhex(message["header_gob"] + message["body_gob"])
            (reply,) = client.receive_data(data)
            assert reply.seq == header.get("Seq", 0)
            assert reply.error == header.get("Error", "")
            value = reply.value.hex() if isinstance(reply.value, bytes) else reply.value
            assert value == (body or None)


# --- properties ----------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.integers(1, 50))
def test_chunk_borders_do_not_matter(arguments: list[bytes], chunk: int) -> None:
    client, server = ClientSide(), ServerSide(ARGUMENTS)
    data = b"".join(call(client, argument=argument) for argument in arguments)
    pieces = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    calls = [got for piece in pieces for got in ask(server, piece)]
    assert [got.argument for got in calls] == arguments
    data = b"".join(server.reply(got, INT, got.seq) for got in calls)
    pieces = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    replies = [reply for piece in pieces for reply in client.receive_data(piece)]
    assert replies == [Reply(n, n) for n in range(len(arguments))]


headers = st.one_of(
    st.builds(Request, st.sampled_from([*ARGUMENTS, "x"]), st.integers(0, 3)),
    st.builds(Response, st.just("pty.Write"), st.integers(0, 3), st.sampled_from(["", "EOF"])),
)


@given(st.lists(st.tuples(headers, st.binary(max_size=20))), st.binary(max_size=20))
def test_any_bytes_are_understood_or_refused(items: list[tuple[Any, bytes]], tail: bytes) -> None:
    encoder = gob.Encoder()
    data = b"".join(encoder.encode(type(h), h) + encoder.encode(BYTES, b) for h, b in items) + tail
    client = ClientSide()
    call(client)
    with suppress(RemoteProtocolError):
        client.receive_data(data)
    with suppress(RemoteProtocolError):
        ask(ServerSide(ARGUMENTS), data)
