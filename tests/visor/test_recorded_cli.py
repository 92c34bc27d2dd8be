"""Eight commands of the Go program as recorded: their bytes are answered, in a form they know."""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skywire.config.load import ConfigFile
from skywire.operations import operations
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.testing import vectors
from skywire.testing.streams import stream_pair
from skywire.visor.client import RemoteVisor
from skywire.visor.go_types import go_type
from skywire.wire import gob
from skywire.wire.gob_decode import Compiler
from skywire.wire.gob_types import ANY
from skywire.wire.gob_wire import (
    WireArray,
    WireMap,
    WireMarshaller,
    WireSlice,
    WireStruct,
    WireTypes,
    read_block,
    read_int,
)
from tests.visor.test_visor import PK, SK, Running

CASES = {case["name"]: case for case in vectors.load("apps/visor_rpc")}
SERVED = {f"app-visor.{known.rpc}": known for known in operations()}
CHAT = {"name": "skychat", "binary": "skywire", "args": ["app", "skychat"], "port": 1}


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.visor.dmsg_parts.PATIENCE", 0.1)


class Messages(NamedTuple):
    """A whole direction of a connection: the types it describes, and those of its values."""

    types: WireTypes
    values: list[int]  # type ids, header and body in turn


def messages(stream: bytes) -> Messages:
    compiler, values, pos = Compiler(), [], 0
    while pos < len(stream):
        message, pos = read_block(stream, pos)
        wire_id, _ = read_int(message, 0)
        if wire_id < 0:
            compiler.define_from(message)
        else:
            values.append(wire_id)
    return Messages(compiler.types, values)


def shape(types: WireTypes, wire_id: int) -> Any:
    """Fields by name; a basic type by its id."""
    match types.get(wire_id):
        case None:
            return wire_id
        case WireStruct(fields=fields):
            return {name: shape(types, each) for name, each in fields}
        case WireSlice(elem=elem):
            return ["slice", shape(types, elem)]
        case WireArray(elem=elem, length=length):
            return ["array", length, shape(types, elem)]
        case WireMap(key=key, elem=elem):
            return ["map", shape(types, key), shape(types, elem)]
        case WireMarshaller(kind=kind):
            return ["marshaller", kind]


def lacks(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """What a receiver of `theirs` knows and `ours` has not, or has in another form."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            fault
            for name, part in theirs.items()
            for fault in (
                lacks(ours[name], part, f"{where}.{name}") if name in ours else [f"{where}.{name}"]
            )
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        pairs = zip(ours, theirs, strict=True)
        return [fault for mine, other in pairs for fault in lacks(mine, other, where)]
    return [] if ours == theirs else [f"{where}: {ours} for {theirs}"]


async def answered(tmp_path: Path, request: bytes) -> bytes:
    """All that a visor of ours answers to the bytes of a client."""
    document = {
        "sk": SK.hex(),
        "cli_addr": "127.0.0.1:0",
        "dmsg": {"discovery": ""},
        "pty": {"cli_address": str(tmp_path / "pty.sock")},
        "transport": {"log_store": {"type": "memory"}},
        "local_path": str(tmp_path),
        "launcher": {"apps": [CHAT], "server_addr": "127.0.0.1:0", "bin_path": str(tmp_path)},
    }
    async with Running(ConfigFile(json.dumps(document), "test")) as visor:
        host, _, port = str(visor.modules["rpc"].facts["rpc"]).rpartition(":")
        async with asyncio.timeout(10):
            stream = await dial_tcp(host, int(port))
            await stream.write(request)
            await stream.write_eof()
            answer = b""
            while data := await stream.read():
                answer += data
        await stream.close()
        return answer


@pytest.mark.parametrize("name", CASES)
async def test_a_command_is_answered_in_a_form_that_it_knows(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    answer = await answered(tmp_path, bytes.fromhex(case["client_to_server"]))
    ours, theirs = messages(answer), messages(bytes.fromhex(case["server_to_client"]))
    assert len(ours.values) == len(theirs.values)
    for mine, other in zip(ours.values, theirs.values, strict=True):
        assert lacks(shape(ours.types, mine), shape(theirs.types, other)) == []
    decoder = gob.Decoder()
    decoder.receive_data(answer)
    while (header := decoder.next(ANY)) is not gob.NEED_DATA:
        assert header.get("Error", "") == ""
        decoder.next(go_type(SERVED[header["ServiceMethod"]].answer))


async def test_the_answers_say_what_is_so(tmp_path: Path) -> None:
    request = bytes.fromhex(CASES["app ls"]["client_to_server"])
    decoder = gob.Decoder()
    decoder.receive_data(await answered(tmp_path, request))
    header = decoder.next(ANY)
    (state,) = decoder.next(go_type(SERVED[header["ServiceMethod"]].answer))
    assert (state.app_config.name, state.app_config.args, state.app_config.port) == (
        "skychat",
        ["app", "skychat"],
        1,
    )
    decoder = gob.Decoder()
    request = bytes.fromhex(CASES["pk"]["client_to_server"])
    decoder.receive_data(await answered(tmp_path, request))
    header = decoder.next(ANY)
    assert decoder.next(go_type(SERVED[header["ServiceMethod"]].answer)).local_pk == PK


def said(name: str) -> tuple[str, Any]:
    """Method and answer of a Go visor to one command."""
    decoder = gob.Decoder()
    decoder.receive_data(bytes.fromhex(CASES[name]["server_to_client"]))
    method = decoder.next(ANY)["ServiceMethod"]
    return method, decoder.next(go_type(SERVED[method].answer))


def test_what_a_go_visor_answers_is_read() -> None:
    _, summary = said("info")
    assert f'"{summary.overview.local_pk}"' in CASES["info"]["stdout"]
    assert summary.overview.transports[1].log == (261, 120)
    _, states = said("app ls")
    assert all(state.app_config.name in CASES["app ls"]["stdout"] for state in states)
    _, links = said("tp")
    assert all(str(link.id) in CASES["tp"]["stdout"] for link in links)
    _, ports = said("ports")
    assert ports["sudph"].port == "19327"
    assert all(name in CASES["ports"]["stdout"] for name in ports)
    _, types = said("tp types")
    assert types == CASES["tp types"]["stdout"].split()
    assert said("arg")[1] is None


async def test_a_go_visor_is_asked_as_the_go_program_asks() -> None:
    """Our client's requests have the fields, in the form, of the recorded ones."""
    for name, case in CASES.items():
        recorded = bytes.fromhex(case["client_to_server"])
        decoder = gob.Decoder()
        decoder.receive_data(recorded)
        known = SERVED[decoder.next(ANY)["ServiceMethod"]]
        request = [] if known.request is None else [decoder.next(go_type(known.request))]
        ours, theirs = stream_pair()
        async with RpcClient(ours) as rpc, asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(RemoteVisor(rpc).call(known.function, *request))
            mine, other = messages(await theirs.read()), messages(recorded)
            asked.cancel()
        for one, two in zip(mine.values, other.values, strict=True):
            assert lacks(shape(mine.types, one), shape(other.types, two)) == [], name
