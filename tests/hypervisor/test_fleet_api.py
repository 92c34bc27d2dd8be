"""Removal, labels and history over HTTP."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from skywire.stores.fleet import SavedVisor
from skywire.testing.wait import eventually
from tests.hypervisor.harness import OWN, FakeVisor, hypervisor, key, log_in

A = key("a")
TRANSPORT = str(UUID(int=7))


async def test_history_of_one_and_of_several(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        await network.connect(FakeVisor(A))
        await eventually(lambda: A in context.visors._known and context.visors._known[A].row)
        async with client.get(f"/api/visors/{A}/history") as response:
            whole = await response.json()
        assert whole["step"] == 300
        assert {len(whole[name]) for name in ("polls", "load", "mem", "received")} == {288}
        assert whole["polls"][-1] or whole["polls"][-2]
        assert whole["load"][0] is None
        query = f"?pk={A}&pk={OWN}&pk={A}&hours=1"
        async with client.get(f"/api/history{query}") as response:
            several = await response.json()
        assert list(several) == [str(A), str(OWN)]
        assert len(several[str(A)]["load"]) == 12


async def test_a_long_list_is_compressed(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, context):
        await eventually(lambda: context.visors._known[OWN].row)
        async with client.get("/api/visors-summary") as response:
            assert "Content-Encoding" not in response.headers
        context.visors._known.restore(
            [SavedVisor(key(f"visor {number}"), b"", None, None, None) for number in range(200)]
        )
        async with client.get("/api/visors-summary") as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert int(response.headers["Content-Length"]) < 30_000
            assert len(await response.json()) == 201
        headers = {"Accept-Encoding": "identity"}
        async with client.get("/api/visors-summary", headers=headers) as response:
            assert "Content-Encoding" not in response.headers
            assert (await response.read()).endswith(b"]\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"visors/{key('unknown')}/history", 404),
        ("visors/xyz/history", 400),
        ("history?pk=xyz", 400),
        (f"visors/{OWN}/history?hours=0", 400),
        (f"visors/{OWN}/history?hours=25", 400),
        (f"visors/{OWN}/history?hours=%C2%B2", 400),
        ("history?" + "&".join(f"pk={OWN}" for _ in range(101)), 400),
        ("history", 200),
    ],
)
async def test_what_has_no_history(tmp_path: Path, path: str, status: int) -> None:
    async with (
        hypervisor(tmp_path, auth=False) as (client, _, _),
        client.get(f"/api/{path}") as response,
    ):
        assert response.status == status
        answer = await response.json()
        assert answer == {} if status == 200 else "error" in answer


async def test_labels_are_set_listed_and_deleted(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, _, _):
        assert await (await client.get("/api/labels")).json() == []
        for id, body in (
            (str(A), {"label": "attic"}),
            (TRANSPORT, {"label": "<b>fast</b>", "kind": "transport"}),
            (str(OWN).upper(), {"label": "mine", "kind": "dmsg_server"}),
        ):
            async with client.put(f"/api/labels/{id}", json=body) as response:
                assert response.status == 200
        expected = [
            {"id": str(OWN), "kind": "dmsg_server", "label": "mine"},
            {"id": TRANSPORT, "kind": "transport", "label": "<b>fast</b>"},
            {"id": str(A), "kind": "visor", "label": "attic"},
        ]
        assert await (await client.get("/api/labels")).json() == expected
        assert await (await client.delete(f"/api/labels/{A}")).json() is True
        assert await (await client.delete(f"/api/labels/{A}")).json() is True
        async with client.put(f"/api/labels/{OWN}", json={"label": " "}) as response:
            assert response.status == 200
        assert await (await client.get("/api/labels")).json() == expected[1:2]


@pytest.mark.parametrize(
    ("id", "body"),
    [
        ("x", {"label": "a"}),
        ("..%2Fusers", {"label": "a"}),
        (str(A), {"label": "a" * 65}),
        (str(A), {"label": 5}),
        (str(A), {"kind": "visor"}),
        (str(A), {"label": "a", "kind": "house"}),
        (str(A), {"label": "a", "more": 1}),
        (str(A), []),
    ],
)
async def test_a_label_that_is_none_is_refused(tmp_path: Path, id: str, body: Any) -> None:
    async with hypervisor(tmp_path, auth=False, csrf=False) as (client, _, _):
        async with client.put(f"/api/labels/{id}", json=body) as response:
            assert response.status == 400
        assert await (await client.get("/api/labels")).json() == []


async def test_changes_need_a_login_and_a_token(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        for path in ("labels", f"visors/{OWN}/history", "history"):
            assert (await client.get(f"/api/{path}")).status == 401
        await log_in(client)
        assert (await client.put(f"/api/labels/{A}", json={"label": "a"})).status == 403
        assert (await client.delete(f"/api/labels/{A}")).status == 403
        assert (await client.delete(f"/api/visors/{A}")).status == 403
