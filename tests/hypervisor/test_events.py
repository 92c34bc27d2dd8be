"""`GET /api/events`: what a page that follows the fleet is sent."""

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import ClientPayloadError, ClientResponse
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from skywire.hypervisor import changes as changes_module
from skywire.hypervisor import events, followers
from skywire.hypervisor.changes import Changes
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
            assert source.response.headers["Content-Encoding"] == "gzip"
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
            rows = {row["overview"]["local_pk"] for name, row in missed if name == "visor"}
            assert {str(A)} <= rows <= {str(A), str(OWN)}  # ours is polled when a page comes
        for foreign in ("deadbeef-1", f"{again.last_id}9999", "x", f"{again.last_id[:9]}²", "-"):
            async with Source(client, foreign) as other:
                everything = await other.until("ready")
                assert everything[0][1]["whole"] is True
                rows = {row["overview"]["local_pk"] for name, row in everything if name == "visor"}
                assert rows == {str(A), str(OWN)}


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


async def test_a_removed_visor_is_gone(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False, timing=CALM) as (client, network, _):
        stream = await network.connect(FakeVisor(A))
        async with Source(client) as source:
            while not (await source.row_of(A))["uptime"]:
                pass
            assert (await client.delete(f"/api/visors/{A}")).status == 409  # it is connected
            await stream.close()
            while (await source.row_of(A))["online"]:
                pass
            assert await (await client.delete(f"/api/visors/{A}")).json() is True
            assert (await source.until("gone"))[-1][1] == {"local_pk": str(A)}
            assert (await client.delete(f"/api/visors/{A}")).status == 404
            assert (await client.delete(f"/api/visors/{OWN}")).status == 409
            last_id = source.last_id
        async with Source(client, last_id) as again:  # before the number of that batch
            assert ("gone", {"local_pk": str(A)}) in await again.until("ready")


async def test_a_label_is_in_the_row(tmp_path: Path) -> None:
    async with (
        hypervisor(tmp_path, auth=False, csrf=False, timing=CALM) as (client, _, _),
        Source(client) as source,
    ):
        await source.until("ready")
        body = {"label": "  my   own "}
        async with client.put(f"/api/labels/{OWN}", json=body) as response:
            expected = {"id": str(OWN), "kind": "visor", "label": "my own"}
            assert await response.json() == expected
        while (row := await source.row_of(OWN))["label"] is None:
            pass
        assert row["label"] == "my own"


async def test_a_reader_that_reads_nothing_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WRITE_LIMIT", 0.1)
    monkeypatch.setattr(events, "PAUSE", 0.0)
    async with hypervisor(tmp_path, auth=False, timing=CALM) as (client, _, context):
        response = await client.get("/api/events", headers={"Accept-Encoding": "identity"})
        known = context.visors._known[OWN]
        known.row = b'{"overview":{"hostname":"' + b"x" * 1_000_000 + b'"}}'
        async with asyncio.timeout(20):
            while len(context.followers):
                context.visors._known.touch(known)
                await asyncio.sleep(0.01)
        response.close()


def test_changes_are_given_once_and_in_order() -> None:
    changes = Changes()
    changes.touch(A)
    changes.touch(B)
    changes.touch(A)
    assert changes.since(None) == (3, True, [B, A], [])
    assert changes.since(2) == (3, False, [A], [])
    assert changes.since(3) == (3, False, [], [])
    changes.remove(B)
    changes.remove(B)
    assert changes.since(2) == (4, False, [A], [B])
    changes.touch(B)  # it is back
    assert changes.since(2) == (5, False, [A, B], [])
    for number in (-1, 6):
        assert changes.since(number).whole


def test_who_missed_too_many_removals_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "MAX_GONE", 2)
    changes = Changes()
    keys = [key(f"visor {number}") for number in range(4)]
    for pk in keys:
        changes.touch(pk)
    for pk in keys[:3]:
        changes.remove(pk)
    assert changes.since(4).whole
    assert changes.since(5) == (7, False, [], keys[1:3])
