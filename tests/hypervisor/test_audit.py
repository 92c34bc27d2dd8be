"""The audit log: what is written down, how it is asked for, that it keeps no secrets."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from skywire.hypervisor import accounts, api, audit
from skywire.hypervisor.audit_log import details_text
from skywire.hypervisor.visor_routes import visor_routes
from skywire.stores.audit import Entry
from tests.hypervisor.harness import ACCOUNT, OWN, PASSWORD, hypervisor, log_in
from tests.hypervisor.test_accounts import error
from tests.hypervisor.test_server import token


async def entries(client: Any, query: str = "") -> Any:
    response = await client.get(f"/api/audit{query}")
    assert response.status == 200, await response.text()
    return await response.json()


async def test_a_login_and_a_change_are_written_down(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/login", json=ACCOUNT | {"password": "Wr0ng-password"})
        await log_in(client)
        path = f"/api/visors/{OWN}/min-hops"
        await client.post(path, json={"min_hops": 3}, headers=await token(client))
        await client.post(path, json={"min_hops": -3}, headers=await token(client))
        change, second, login, made, failed = await entries(client)
        assert (change["action"], change["visor"], change["user"]) == (
            *("set min hops", str(OWN), "admin"),
        )
        assert (change["ok"], change["status"], change["error"]) == (
            *(False, 400, "request format is malformed"),
        )
        assert change["details"] == {"min_hops": -3}
        assert second["details"] == {"min_hops": 3}
        assert (login["action"], login["user"], login["ok"]) == ("log in", "admin", True)
        assert login["details"] == {"username": "admin", "password": "***"}
        assert (made["action"], made["user"]) == ("create account", "admin")
        assert (failed["status"], failed["user"], failed["from"]) == (401, "", "127.0.0.1")
        assert failed["visor"] is None
        assert PASSWORD not in str(await entries(client))
        assert failed["time"].endswith("Z")


async def test_it_is_for_those_who_are_logged_in(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        for path in ("/api/audit", "/api/audit/export"):
            assert (await client.get(path)).status == 401


async def test_refusals_before_the_change_are_not_written_down(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post(f"/api/visors/{OWN}/min-hops", json={"min_hops": 3})  # no login
        await log_in(client)
        await client.post(f"/api/visors/{OWN}/min-hops", json={"min_hops": 3})  # no token
        await client.get(f"/api/visors/{OWN}")
        assert [one["action"] for one in await entries(client)] == ["log in", "create account"]


async def test_a_terminal_that_is_opened_is_written_down(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        await client.get(f"/pty/{OWN}")  # the page alone
        async with client.ws_connect(f"/pty/{OWN}?scheme=dmsg&commands=uptime&flow=1"):
            (opened,) = await entries(client)
        assert (opened["action"], opened["visor"]) == ("open terminal", str(OWN))
        assert opened["details"] == {"scheme": "dmsg", "commands": "uptime"}


async def test_filters(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        await client.post("/api/visors/nokey/shutdown", headers=await token(client))
        assert len(await entries(client, "?limit=1")) == 1
        (first,) = await entries(client, "?failed=true")
        assert (first["action"], first["visor"]) == ("shutdown", "nokey")
        assert len(await entries(client, f"?before={first['id']}")) == 2
        assert await entries(client, "?since=2100-01-01T00:00:00Z") == []
        assert len(await entries(client, "?since=2020-01-01T00:00:00%2B00:00")) == 3
        assert await entries(client, f"?visor={OWN}") == []
        assert len(await entries(client, "?user=admin&action=log%20in")) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "before=-1",
        "since=yesterday",
        "visor=zz",
        "failed=maybe",
    ],
)
async def test_other_filters_are_refused(tmp_path: Path, query: str) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        status, text = await error(await client.get(f"/api/audit?{query}"))
        assert status == 400
        assert text


async def test_everything_can_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_FOUND", 2)
    async with hypervisor(tmp_path, auth=False) as (client, _, context):
        for number in range(5):
            entry = Entry(0, 1e9 + number, "=1+1", "::1", f"a{number}", "", "{}", 200, "", 0, True)
            context.audit.record(entry)
        response = await client.get("/api/audit/export")
        assert response.content_type == "text/csv"
        assert "skywire-audit.csv" in response.headers["Content-Disposition"]
        head, *rows = csv.reader(io.StringIO(await response.text()))
        assert tuple(head) == audit.COLUMNS
        assert [row[4] for row in rows] == ["a4", "a3", "a2", "a1", "a0"]
        assert rows[0][1:4] == ["2001-09-09T01:46:44Z", "'=1+1", "::1"]
        assert rows[0][6:9] == ["{}", "200", "true"]
        response = await client.get("/api/audit/export?format=json&limit=1")
        assert [row["action"] for row in await response.json()] == ["a4", "a3", "a2", "a1", "a0"]
        assert (await client.get("/api/audit/export?format=xml")).status == 400


async def test_a_full_disk_stops_no_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        (tmp_path / "audit.db").mkdir()
        await log_in(client)
        assert (await client.get("/api/audit")).status == 503
        assert "audit log not written" in caplog.text
        (tmp_path / "audit.db").rmdir()
        await client.post("/api/logout")
        assert (await client.post("/api/login", json=ACCOUNT)).status == 200
        assert [one["action"] for one in await entries(client)] == [
            *("log in", "log out", "log in", "create account"),
        ]


def test_every_route_that_changes_something_has_an_action(tmp_path: Path) -> None:
    changing = [
        route
        for route in [*api.routes, *visor_routes(), *accounts.routes]
        if isinstance(route, web.RouteDef) and route.method not in ("GET", "HEAD", "*")
    ]
    assert len(changing) > 15
    nameless = [route for route in changing if not audit.action_of(route.handler)]
    assert nameless == []


def test_details_are_short_and_without_secrets() -> None:
    shown = details_text(
        {"passcode": "x", "custom_setting": {"--passcode": "y", "n": 1}, "sk": "z", "pk": "k"}
    )
    assert shown == (
        '{"passcode":"***","custom_setting":{"--passcode":"***","n":1},"sk":"***","pk":"k"}'
    )
    assert details_text({"a": ["x" * 1000] * 200}) == '{"cut":true}'
    assert details_text(["x" * 1000]) == f'["{"x" * 500}"]'
