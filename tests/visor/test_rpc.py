"""The recorded bytes of Go nodes against our two ends of `app-visor`."""

import asyncio
from typing import Any, cast

import pytest

from skywire.operations import Operation, operations
from skywire.rpc.client import RpcClient
from skywire.testing import vectors
from skywire.testing.streams import stream_pair
from skywire.visor import ops_info
from skywire.visor.client import RemoteVisor
from skywire.visor.go_types import go_type, go_types
from skywire.visor.rpc import rpc_server
from skywire.visor.types import Overview, Summary
from skywire.visor.visor import Visor
from skywire.wire import gob
from skywire.wire.gob_types import ANY, GoType, Pointer, Slice, zero
from tests.hypervisor.harness import OWN, FakeVisor

GO_VISOR = {case["name"]: case for case in vectors.load("visor/go_visor")}
GO_HYPERVISOR = {case["name"]: case for case in vectors.load("visor/go_hypervisor")}


def sent(case: dict[str, Any], side: str) -> list[bytes]:
    return [
        bytes.fromhex(message["header_gob"] + message["body_gob"])
        for message in case["messages"]
        if message["from"] == side
    ]


@pytest.mark.parametrize("chunk", [1, 65536])
async def test_a_go_hypervisor_is_answered(chunk: int) -> None:
    """Its very bytes: definitions with its ids, then Summary and Overview."""
    ours, theirs = stream_pair(chunk=chunk)
    server = rpc_server(cast(Visor, FakeVisor(OWN)))
    decoder, answers = gob.Decoder(), []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(ours))
        for number, request in enumerate(sent(GO_HYPERVISOR["summary and overview"], "client")):
            await theirs.write(request)
            while (header := decoder.next(ANY)) is gob.NEED_DATA:
                decoder.receive_data(await theirs.read())
            assert (header.get("Seq", 0), header.get("Error", "")) == (number, "")
            kind = {"app-visor.Summary": Summary, "app-visor.Overview": Overview}
            while (body := decoder.next(kind[header["ServiceMethod"]])) is gob.NEED_DATA:
                decoder.receive_data(await theirs.read())
            answers.append(body)
        await theirs.close()
    summary, overview = answers
    assert summary.overview == overview
    assert overview.local_pk == OWN
    assert summary.load is not None


@pytest.mark.parametrize("name", ["control port", "control port, intermediary visor"])
async def test_a_go_visor_is_understood(name: str) -> None:
    """We ask what was asked then, in that order, and get its recorded bytes."""
    ours, theirs = stream_pair()
    answers = iter(sent(GO_VISOR[name], "server"))
    async with RpcClient(ours) as rpc:
        visor = RemoteVisor(rpc)

        async def ask(function: Any) -> Any:
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(visor.call(function))
                assert b"app-visor" in await theirs.read()
                await theirs.write(next(answers))
            return asked.result()

        overview = await ask(ops_info.overview)
        summary = await ask(ops_info.summary)
        assert summary.overview.local_pk == overview.local_pk
        assert len(summary.routes) == overview.routes_count == 2
        assert summary.load is None
        assert (await ask(ops_info.health)).services_health == "connecting"
        assert await ask(ops_info.uptime) == pytest.approx(summary.uptime, abs=0.1)


@pytest.mark.parametrize("known", operations(), ids=lambda known: known.rpc)
def test_what_each_operation_takes_and_gives_can_be_written(known: Operation) -> None:
    forms = go_types(known.request)
    for form in (*(forms if isinstance(forms, tuple) else (forms,)), go_type(known.answer)):
        gob.encode(form, _zero(form))


def _zero(kind: GoType) -> Any:
    if isinstance(kind, Slice):
        return [_zero(kind.elem)]
    return _zero(kind.target) if isinstance(kind, Pointer) else zero(kind)
