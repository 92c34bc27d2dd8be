"""Go's apps on our app server, by their recorded bytes; a Go visor's answers, read by us."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from skywire.appkit.client import AppClient
from skywire.appkit.ingress import EOF, TIMEOUT
from skywire.appkit.types import AcceptResp, DialResp, Event, ReadResp, WriteResp
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.testing import vectors
from skywire.testing.wait import eventually
from skywire.wire import gob
from skywire.wire.app_hello import ProcKey, receive_hello
from skywire.wire.buffer import Buffer
from skywire.wire.gob_types import ANY, EMPTY, UINT16, GoType
from skywire.wire.netrpc import ClientSide
from tests.appkit.kit import SOON, Bench, bench

APPS = vectors.load("apps/app_server_streams")


def values(decoder: gob.Decoder, data: bytes) -> list[Any]:
    decoder.receive_data(data)
    found = []
    while (value := decoder.next(ANY)) is not gob.NEED_DATA:
        found.append(value)
    return found


class Replay:
    """Sends what the app sent, and makes the far ends do what they did when it was recorded."""

    def __init__(self, case: dict[str, Any], bench: Bench, stream: Stream) -> None:
        self.bench = bench
        self.stream = stream
        self.recorded = gob.Decoder()  # of the visor that was there
        self.ours = gob.Decoder()
        self.asked = gob.Decoder()
        self.calls: dict[int, tuple[str, Any]] = {}
        self.answers: dict[int, tuple[Any, Any]] = {}
        self.first = True
        self.far: dict[int, Stream] = {}
        self.case = case
        self.numbers: dict[int, int] = {}  # of streams, by the call that made them
        recorded = gob.Decoder()
        for side, data in case["stream"]:
            if side == "visor->app":
                found = values(recorded, bytes.fromhex(data))
                for header, body in zip(found[::2], found[1::2], strict=True):
                    if isinstance(body, dict) and "ConnID" in body:
                        self.numbers[header["Seq"]] = body["ConnID"]

    async def app_sends(self, data: bytes) -> None:
        calls = data
        if self.first:
            self.first = False
            buffer = Buffer()
            buffer.append(data)
            hello = receive_hello(buffer)
            assert hello is not None
            assert str(hello.key) == self.case["proc_key"]
            calls = buffer.take(len(buffer)) or b""
        read = values(self.asked, calls)
        for header, argument in zip(read[::2], read[1::2], strict=True):
            method = header["ServiceMethod"].rpartition(".")[2]
            self.calls[header.get("Seq", 0)] = method, argument
            if number := self.numbers.get(header.get("Seq", 0)):
                self.bench.proc.connections._last = number - 1  # it had one counter for all
        await self.stream.write(data)

    async def visor_answered(self, data: bytes) -> None:
        expected = values(self.recorded, data)
        for header, body in zip(expected[::2], expected[1::2], strict=True):
            await self.prepare(*self.calls[header.get("Seq", 0)], body)
        for header, body in zip(expected[::2], expected[1::2], strict=True):
            number = header.get("Seq", 0)
            while number not in self.answers:  # others may be answered before it
                got = values(self.ours, await self.stream.read())
                self.answers |= {
                    told.get("Seq", 0): (told, value)
                    for told, value in zip(got[::2], got[1::2], strict=True)
                }
            if isinstance(body, dict) and body.get("Err") == {"Text": "EOF"}:
                body["Err"]["IsNetErr"] = (
                    True  # the recording server was no Go visor, which says so
                )
            assert self.answers.pop(number) == (header, body)

    async def prepare(self, method: str, argument: Any, body: Any) -> None:
        skynet = self.bench.skynet
        if method == "Accept":
            remote = body["Remote"]
            port = next(iter(skynet.ports._listeners))
            self.far[body["ConnID"]] = skynet.connect(
                port, PubKey(remote["PubKey"]), remote["Port"]
            )
        elif method == "Dial":
            await eventually(lambda: skynet.far)
            self.far[body["ConnID"]] = skynet.far.popleft()
        elif method == "Read":
            far = self.far[argument["ConnID"]]
            if body.get("B"):
                await far.write(body["B"])
            if "Err" in body:
                await far.close()


@pytest.mark.parametrize("case", APPS, ids=lambda case: case["app"])
async def test_go_apps_get_the_answers_that_they_got(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)  # their deadlines have passed since
    async with bench(ProcKey.parse(case["proc_key"])) as made:
        address = HostPort(made.config.app_server_addr)
        async with asyncio.timeout(SOON):
            stream = await dial_tcp(address.host, address.port)
        replay = Replay(case, made, stream)
        for side, data in case["stream"]:
            step: Callable[[bytes], Any] = (
                replay.app_sends if side == "app->visor" else replay.visor_answered
            )
            await step(bytes.fromhex(data))
        await stream.close()
        await eventually(lambda: made.proc.ended)
        assert len(made.proc.connections) == 0


REPLIES: dict[str, GoType] = {
    "Dial": DialResp,
    "Accept": AcceptResp,
    "Read": ReadResp,
    "Write": WriteResp,
    "Listen": UINT16,
}


def test_a_go_visors_answers_are_read() -> None:
    (case,) = vectors.load("apps/app_server_of_go_visor")
    ours, asked, client = gob.Decoder(), Buffer(), ClientSide()
    texts, reads, methods = set(), [], []
    hello = None
    for side, data in case["stream"]:
        raw = bytes.fromhex(data)
        if side == "app->visor":
            if hello is None:
                asked.append(raw)
                hello = receive_hello(asked)
                raw = asked.take(len(asked)) or b""
            for header in values(ours, raw)[::2]:
                methods.append(header["ServiceMethod"].rpartition(".")[2])
                client.call(header["ServiceMethod"], EMPTY, None, REPLIES.get(methods[-1], EMPTY))
            continue
        for reply in client.receive_data(raw):
            assert reply.broken == ""
            texts.add(reply.error)
            if isinstance(reply.value, ReadResp):
                reads.append(reply.value)
    assert hello is not None
    assert {
        "port already bound",
        "no conn with key 77",
        "no conn: no value with id 77",
        "no listener: no value with id 77",
        "no listener with key 77",
    } <= texts
    ends = {read.error.text: read.error for read in reads if read.error is not None}
    assert ends["EOF"] == EOF
    assert ends["timeout"] == TIMEOUT
    assert ends["no listener on port 99, service offline"].is_net is False
    assert [read.size for read in reads[-5:]] == [4070, 10, 920, 0, 0]


async def test_an_event_of_a_go_visor_reaches_the_app() -> None:
    (case,) = vectors.load("apps/events")
    (_, sent), (_, answered) = case["stream"]
    header, event = values(gob.Decoder(), bytes.fromhex(sent))
    key = ProcKey.parse(header["ServiceMethod"].partition(".")[0])
    seen: list[tuple[str, str, str]] = []
    async with bench(key) as made, AppClient(made.config, lambda *event: seen.append(event)):
        await eventually(lambda: made.events._subscribers)
        address = HostPort(made.events._subscribers[0]._address)
        async with asyncio.timeout(SOON):
            stream = await dial_tcp(address.host, address.port)
        await stream.write(bytes.fromhex(sent))
        expected = values(gob.Decoder(), bytes.fromhex(answered))
        assert values(gob.Decoder(), await stream.read()) == expected
        assert seen == [("tcp_dial", "stcp", "127.0.0.1:19345")]
        await made.events.tell("tcp_dial", "stcp", "127.0.0.1:19345")
        assert seen[1:] == seen[:1]
        await stream.close()
    assert Event(event["Type"], event["Data"]).data.startswith(b'{"remote_net":"stcp"')
