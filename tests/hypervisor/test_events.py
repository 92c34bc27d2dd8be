"""`GET /api/events`: what a page that follows the fleet is sent."""

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import ClientPayloadError, ClientResponse
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from skywire.hypervisor import events, followers
from skywire.testing.wait import eventually
from tests.hypervisor.harness import OWN, QUICK, FakeVisor, hypervisor, key, log_in

A, B = key("a"), key("b")
CALM = QUICK._replace(poll=60.0, ping=60.0)  # nothing changes by itself
Client = TestClient[Request, Application]


class Source:
    """What a browser's EventSource does."""

    def __init__(self, client: Client, last_id: str = "") -> None:
        self._client = client
        self.last_id = last_id

    async def __aenter__(self) -> Self:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.response: ClientResponse = await self._client.get("/api/events", headers=headers)
        assert self.response.status == 200
        assert self.response.content_type == "text/event-stream"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.response.close()

    async def next(self) -> tuple[str, dict[str, Any]]:
        name, data = "", ""
        async with asyncio.timeout(10):
            while line := (await self.response.content.readline()).decode():
                field, _, value = line.rstrip("\n").partition(": ")
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif not field and data:
                    return name, json.loads(data)
        raise EOFError

    async def until(self, wanted: str) -> list[tuple[str, dict[str, Any]]]:
        """All events up to the next one of this name."""
        found = [await self.next()]
        while found[-1][0] != wanted:
            found.append(await self.next())
        return found

    async def row_of(self, pk: object) -> dict[str, Any]:
        while True:
            name, row = await self.next()
            if name == "visor" and row["overview"]["local_pk"] == str(pk):
                return row


async def test_a_page_gets_every_row_and_then_what_changes(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, timing=CALM) as (client, network, context):
        await eventually(lambda: context.visors.row(OWN)["summary_age"] is not None)  # type: ignore[index]
        async with Source(client) as source:
            first = await source.until("ready")
            assert [name for name, _ in first] == ["hello", "visor", "ready"]
            assert first[0][1]["whole"] is True
            assert first[0][1]["visors"] == 1
            assert first[0][1]["time"].endswith("Z")
            assert first[1][1]["overview"]["local_pk"] == str(OWN)
            stream = await network.connect(FakeVisor(A))
            row = await source.row_of(A)
            while not row["uptime"]:
                row = await source.row_of(A)
            assert (row["online"], row["stale"]) == (True, False)
            assert row["summary_age"] >= 0
            (listed,) = [
                one
                for one in await (await client.get("/api/visors-summary")).json()
                if one["overview"]["local_pk"] == str(A)
            ]
            assert set(listed) == set(row)
            await stream.close()
            row = await source.row_of(A)
            assert (row["online"], row["stale"], row["uptime"]) == (False, True, 7.5)


async def test_a_page_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, timing=CALM) as (client, network, context):
        await eventually(lambda: context.visors.row(OWN)["summary_age"] is not None)  # type: ignore[index]
        async with Source(client) as source:
            await source.until("ready")
        await network.connect(FakeVisor(A))
        await eventually(lambda: (context.visors.row(A) or {}).get("uptime"))
        async with Source(client, source.last_id) as again:
            missed = await again.until("ready")
            assert missed[0][1]["whole"] is False
            assert [row["overview"]["local_pk"] for _, row in missed[1:-1]] == [str(A)]
        for foreign in ("deadbeef-1", f"{again.last_id}9999", "x", f"{again.last_id[:9]}²", "-"):
            async with Source(client, foreign) as other:
                everything = await other.until("ready")
                assert everything[0][1]["whole"] is True
                assert len(everything) == 4


async def test_a_page_sees_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "BEAT", 0.05)
    async with hypervisor(tmp_path, auth=False, timing=CALM) as (client, _, _), Source(client) as s:
        assert "time" in (await s.until("beat"))[-1][1]


async def test_only_so_many_follow_and_only_with_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "MAX_FOLLOWERS", 1)
    async with hypervisor(tmp_path, timing=CALM) as (client, _, context):
        assert (await client.get("/api/events")).status == 401
        await log_in(client)
        async with Source(client) as source:
            await source.until("ready")
            assert (await client.get("/api/events")).status == 503
        await eventually(lambda: not len(context.followers))
        async with Source(client) as source:
            await source.until("ready")
            await client.post("/api/logout")
            with pytest.raises((EOFError, ClientPayloadError)):
                await source.until("never")
