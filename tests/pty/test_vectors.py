"""Recorded sessions of real 2024 visors and clients, replayed against our host and our client."""

import asyncio
from typing import Any

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Refused
from skywire.pty.mux import request_service
from skywire.pty.types import (
    KEYS,
    NATURAL_END,
    PTY_URI,
    SIGNATURES,
    WHITELIST_URI,
    CommandReq,
    WinSize,
)
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Stream
from skywire.testing import vectors
from skywire.testing.stream_contract import read_exactly
from skywire.testing.streams import stream_pair
from skywire.wire import gob
from skywire.wire.gob_types import EMPTY, STRING
from skywire.wire.netrpc import Request, Response

from .kit import node

OWNER = key_pair()[0]
(GO_HOST,) = vectors.load("pty/go_host")
WEB, COMMAND_LINE = vectors.load("pty/go_client")
(WHITELIST,) = vectors.load("pty/whitelist")

Message = dict[str, Any]


def raw(message: Message) -> bytes:
    return bytes.fromhex(message["header_gob"] + message["body_gob"])


def size(fields: dict[str, int]) -> WinSize:
    return WinSize(**{name.lower(): value for name, value in fields.items()})


def argument(message: Message) -> tuple[Any, Any]:
    """Type and value of a recorded call's argument; two of them are wrong on purpose."""
    method, body = message["header"]["ServiceMethod"], message["body"]
    expected = SIGNATURES.get(method, (EMPTY, EMPTY))[0]
    if isinstance(body, str) and method in ("pty.Start", "pty.Read"):
        return STRING, body
    if expected is CommandReq:
        window = body.get("Size")
        return CommandReq, CommandReq(
            body["Name"], body.get("Arg") or [], size(window) if window else None
        )
    if expected is WinSize:
        return WinSize, size(body)
    if expected is KEYS:
        return KEYS, [PubKey.parse(key) for key in body]
    if method == "pty.Write":
        return expected, bytes.fromhex(body)
    return expected, None if body == {} else body


def reply(method: str, body: Any) -> Any:
    """A recorded reply as our client gives it."""
    if method == "pty.Read":
        return bytes.fromhex(body)
    if method == "whitelist.Whitelist":
        return [PubKey.parse(key) for key in body]
    return None if body == {} else body


def answers(vector: dict[str, Any]) -> dict[int, Message]:
    return {
        message["header"].get("Seq", 0): message
        for message in vector["messages"]
        if message["from"] == "server"
    }


class Peer:
    """Sends recorded bytes and decodes what comes back, one message at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = gob.Decoder()

    async def _next(self, kind: Any) -> Any:
        async with asyncio.timeout(10):
            while (value := self._decoder.next(kind)) is gob.NEED_DATA:
                data = await self._stream.read()
                assert data, "the host closed the connection"
                self._decoder.receive_data(data)
            return value

    async def hello(self, vector: dict[str, Any]) -> None:
        await self._stream.write(bytes.fromhex(vector["mux"]["client"]))
        assert (await self._stream.read(1)).hex() == vector["mux"]["server"]

    async def send(self, message: Message) -> None:
        await self._stream.write(raw(message))

    async def answer(self) -> tuple[Response, Any]:
        header = await self._next(Response)
        reply_type = SIGNATURES.get(header.service_method, (EMPTY, EMPTY))[1]
        return header, await self._next(EMPTY if header.error else reply_type)


def test_calls_are_what_our_types_say() -> None:
    """Every recorded call decodes to our types and back to the recorded value."""
    for vector in (GO_HOST, WEB, COMMAND_LINE, WHITELIST):
        decoder = gob.Decoder()
        for message in vector["messages"]:
            if message["from"] != "client":
                continue
            decoder.receive_data(raw(message))
            header = decoder.next(Request)
            assert header.service_method == message["header"]["ServiceMethod"]
            assert header.seq == message["header"].get("Seq", 0)
            kind, value = argument(message)
            assert decoder.next(kind) == value


async def test_our_host_answers_as_a_go_host_did() -> None:
    """The recorded client's bytes; we differ where we are newer (Ping) and word gob errors anew."""
    expected = answers(GO_HOST)
    async with node(OWNER, persistent=False) as here:
        peer = Peer(here.stream_from(OWNER))
        await peer.hello(GO_HOST)
        output, go_output = b"", b""
        for message in GO_HOST["messages"]:
            if message["from"] != "client":
                continue
            seq = message["header"].get("Seq", 0)
            method, recorded = message["header"]["ServiceMethod"], expected[seq]
            wanted = recorded["header"].get("Error", "")
            await peer.send(message)
            header, value = await peer.answer()
            while method == "pty.Read" and not wanted and not header.error and not value:
                header, value = await peer.answer()
            assert (header.service_method, header.seq) == (method, seq)
            if method == "pty.Ping":
                assert not header.error
            elif wanted.startswith("gob:"):
                assert header.error
            elif method == "pty.Read" and not wanted:
                output += b"" if header.error else value
                go_output += reply(method, recorded["body"])
                if header.error:  # the last output came together with the line before
                    assert header.error == NATURAL_END
            else:
                assert header.error == wanted
                if not wanted:
                    assert value == reply(method, recorded["body"])
        assert output == go_output


async def served(vector: dict[str, Any], stream: Stream) -> None:
    """A host that says what was recorded, each answer when its call has come."""
    uri = bytes.fromhex(vector["mux"]["client"])
    assert await read_exactly(stream, len(uri)) == uri
    await stream.write(bytes.fromhex(vector["mux"]["server"]))
    decoder = gob.Decoder()
    for message in vector["messages"]:
        if message["from"] == "server":
            await stream.write(raw(message))
            continue
        for kind in (Request, argument(message)[0]):
            while (value := decoder.next(kind)) is gob.NEED_DATA:
                data = await stream.read()
                assert data, "our client left"
                decoder.receive_data(data)
            if kind is Request:
                assert value.service_method == message["header"]["ServiceMethod"]
                assert value.seq == message["header"].get("Seq", 0)
            else:
                assert value == argument(message)[1]


@pytest.mark.parametrize(
    ("vector", "uri"), [(GO_HOST, PTY_URI), (WHITELIST, WHITELIST_URI)], ids=["pty", "whitelist"]
)
async def test_our_client_understands_a_go_host(vector: dict[str, Any], uri: str) -> None:
    ours, theirs = stream_pair(chunk=7)
    expected = answers(vector)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(served(vector, theirs))
        await request_service(ours, uri)
        async with RpcClient(ours) as rpc:
            for message in vector["messages"]:
                if message["from"] != "client":
                    continue
                method = message["header"]["ServiceMethod"]
                recorded = expected[message["header"].get("Seq", 0)]
                reply_type = SIGNATURES.get(method, (EMPTY, EMPTY))[1]
                call = rpc.call(method, *argument(message), reply_type)
                if error := recorded["header"].get("Error"):
                    with pytest.raises(Refused) as caught:
                        await call
                    assert caught.value.reason == error
                else:
                    assert await call == reply(method, recorded["body"])


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize(
    ("vector", "size_line"),
    [(WEB, b"30 100\r\n"), (COMMAND_LINE, b"33 111\r\n")],
    ids=["web terminal", "command line"],
)
async def test_go_clients_on_our_host(
    vector: dict[str, Any], size_line: bytes, persistent: bool
) -> None:
    """A real shell prints in other pieces, so the recorded Reads are left out until the end."""
    expected = answers(vector)
    calls = [message for message in vector["messages"] if message["from"] == "client"]
    reads = [call for call in calls if call["header"]["ServiceMethod"] == "pty.Read"]
    stops = [call for call in calls if call["header"]["ServiceMethod"] == "pty.Stop"]
    async with node(OWNER, persistent=persistent) as here:
        peer = Peer(here.stream_from(OWNER))
        await peer.hello(vector)

        async def call(message: Message) -> None:
            await peer.send(message)
            header, value = await peer.answer()
            method = message["header"]["ServiceMethod"]
            recorded = expected[message["header"].get("Seq", 0)]
            assert (header.service_method, header.error) == (method, "")
            assert value == reply(method, recorded["body"])

        for message in calls:
            if message not in reads + stops:
                await call(message)
        output, end = b"", ""
        while not end:
            await peer.send(reads[-1])
            header, value = await peer.answer()
            end = header.error
            output += b"" if end else value
        assert end == NATURAL_END
        assert size_line in output
        for message in stops:
            await call(message)
