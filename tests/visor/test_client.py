"""Calls between nodes of 2024 and 2026: a request that has two forms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from skywire.errors import Refused, Unavailable
from skywire.operations import operation
from skywire.rpc.client import RpcClient
from skywire.rpc.server import Method, RpcServer
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.visor.client import RemoteVisor
from skywire.visor.go_types import go_types
from skywire.wire.gob_types import EMPTY, STRING, Go


@dataclass(slots=True)
class Newer:
    name: Annotated[str, Go("AppName", STRING)] = ""
    mode: Annotated[str, Go("LauncherMode", STRING)] = ""

    def older_form(self) -> str:
        return self.name


@pytest.fixture(autouse=True)
def start(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("skywire.operations._registry", {})

    @operation(rpc="TestStart")
    async def test_start(visor: Any, request: Newer | str) -> None:
        """Start it."""

    return test_start


@asynccontextmanager
async def node(hint: Any, trouble: str = "") -> AsyncIterator[tuple[RemoteVisor, list[Any]]]:
    """One that knows the method with an argument of `hint`, and what it was asked."""
    asked: list[Any] = []

    async def handler(argument: Any) -> None:
        asked.append(argument)
        if trouble:
            raise Unavailable(trouble)

    server = RpcServer({"app-visor.TestStart": Method(go_types(hint), EMPTY, handler)})
    ours, theirs = stream_pair()
    tasks = Tasks("node")
    tasks.spawn(server.serve(theirs))
    try:
        async with RpcClient(ours) as rpc:
            yield RemoteVisor(rpc), asked
    finally:
        await tasks.close()


@pytest.mark.parametrize("hint", [Newer, Newer | str, str | Newer])
async def test_the_newer_form_is_sent_and_taken(start: Any, hint: Any) -> None:
    async with node(hint) as (visor, asked):
        await visor.call(start, Newer("a", "internal"))
    assert asked == [Newer("a", "internal")]


async def test_the_older_form_is_sent_to_one_that_knows_no_other(start: Any) -> None:
    async with node(str) as (visor, asked):
        for name in "ab":
            await visor.call(start, Newer(name, "internal"))
        await visor.call(start, "c")  # older from the beginning
    assert asked == ["a", "b", "c"]


@pytest.mark.parametrize("hint", [Newer | str, str])
async def test_the_older_form_is_taken(start: Any, hint: Any) -> None:
    async with node(hint) as (visor, asked):
        await visor.call(start, "a")
    assert asked == ["a"]


async def test_neither_form_is_refused_and_the_connection_goes_on(start: Any) -> None:
    async with node(bool) as (visor, asked):
        for _ in range(2):
            with pytest.raises(Refused, match="gob: "):
                await visor.call(start, Newer("a"))
    assert asked == []


async def test_another_trouble_is_told_and_not_tried_again(start: Any) -> None:
    async with node(Newer | str, "app already started") as (visor, asked):
        with pytest.raises(Refused, match="app already started"):
            await visor.call(start, Newer("a"))
    assert asked == [Newer("a")]
