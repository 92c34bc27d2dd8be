"""Accounts over HTTP: statuses and texts of hypervisor.md §3 and §10 no. 6, 7."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from skywire.hypervisor.csrf import HEADER
from skywire.hypervisor.sessions import COOKIE, Attempts
from tests.hypervisor.harness import ACCOUNT, PASSWORD, hypervisor, log_in

NEW = "N3w-password"
NO_SESSION = "session cookie is either non-existent, expired, or ill-formatted"


async def error(response: ClientResponse) -> tuple[int, str]:
    body = await response.text()
    assert body.endswith("}\n")
    text: str = (await response.json())["error"]
    return response.status, text


async def test_the_first_account_is_made_and_logs_in(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        assert await (await client.get("/api/user-exists")).text() == "false\n"
        assert await error(await client.get("/api/about")) == (401, NO_SESSION)
        response = await client.post("/api/create-account", json=ACCOUNT)
        assert (response.status, await response.text()) == (200, "true\n")
        assert await (await client.get("/api/user-exists")).json() is True
        assert (await client.get("/api/about")).status == 401  # an account is no login
        response = await client.post("/api/login", json=ACCOUNT)
        assert (response.status, await response.text()) == (200, "true\n")
        cookie = response.cookies[COOKIE]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert cookie["expires"].endswith("GMT")
        assert cookie["max-age"] == "43200"
        assert not cookie["secure"]
        assert len(cookie.value) >= 43
        user = await (await client.get("/api/user")).json()
        assert user["username"] == "admin"
        assert user["current_session"]["username"] == "admin"
        assert user["current_session"]["expiry"].endswith("Z")
        assert user["current_session"]["sid"] != cookie.value
        assert user["other_sessions"] is None
        assert (await client.get("/api/about")).status == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"username": "root", "password": PASSWORD}, (403, "name not allowed")),
        ({"username": "ROOT", "password": PASSWORD}, (400, "format of 'username' is not accepted")),
        (
            {"username": "admin", "password": "abc"},
            (400, "password length should be between 6 and 64 chars"),
        ),
        (ACCOUNT | {"email": "a@b"}, (400, "request format is malformed")),
        ({"username": 5, "password": PASSWORD}, (400, "request format is malformed")),
        ([], (400, "request format is malformed")),
        ({}, (400, "format of 'username' is not accepted")),
    ],
)
async def test_a_bad_account_is_refused(
    tmp_path: Path, body: Any, expected: tuple[int, str]
) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        assert await error(await client.post("/api/create-account", json=body)) == expected
        assert await (await client.get("/api/user-exists")).json() is False


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 50_000, b"null", b'{"username":"\xff"}', b'{"\xff":1}']
)
async def test_any_other_body_is_malformed(tmp_path: Path, body: bytes) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        for path in ("/api/create-account", "/api/login"):
            response = await client.post(path, data=body)
            assert await error(response) == (400, "request format is malformed")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_cannot_be_decoded_is_malformed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str
) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        headers = {"Content-Encoding": encoding}
        response = await client.post("/api/login", data=b"no archive", headers=headers)
        assert await error(response) == (400, "request format is malformed")
    assert "request failed" not in caplog.text


async def test_too_large_a_body_is_refused(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        response = await client.post("/api/login", data=b"x" * 140_000)
        assert response.status == 413


async def test_a_second_account_is_refused(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        response = await client.post("/api/create-account", json=ACCOUNT)
        assert await error(response) == (409, "username already exists")


async def test_a_wrong_login_is_refused(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        for name in ("admin", "nobody"):
            wrong = {"username": name, "password": "Wr0ng-password"}
            response = await client.post("/api/login", json=wrong)
            assert await error(response) == (401, "incorrect username or password")
            assert COOKIE not in response.cookies
        response = await client.post("/api/login", json=ACCOUNT | {"username": "?"})
        assert await error(response) == (400, "format of 'username' is not accepted")


async def test_logging_in_twice_is_refused(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        response = await client.post("/api/login", json=ACCOUNT)
        assert await error(response) == (403, "not logged out")


async def test_logging_out_ends_the_session(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, context):
        assert await error(await client.post("/api/logout")) == (400, "not logged in")
        await log_in(client)
        response = await client.post("/api/logout")
        assert await response.text() == "true\n"
        assert response.cookies[COOKIE].value == ""
        assert len(context.sessions) == 0
        assert await error(await client.get("/api/about")) == (401, NO_SESSION)


async def test_a_new_password_ends_every_session(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, context):
        await log_in(client)
        other, _ = context.sessions.create("admin")
        user = await (await client.get("/api/user")).json()
        assert len(user["other_sessions"]) == 1
        body = {"old_password": "Wr0ng-password", "new_password": NEW}
        response = await client.post("/api/change-password", json=body)
        assert await error(response) == (401, "incorrect username or password")
        body = {"old_password": PASSWORD, "new_password": "abc"}
        response = await client.post("/api/change-password", json=body)
        assert (await error(response))[0] == 400
        body["new_password"] = NEW
        response = await client.post("/api/change-password", json=body)
        assert (response.status, await response.text()) == (200, "true\n")
        assert context.sessions.find(other) is None
        assert (await client.get("/api/user")).status == 401
        assert (await client.post("/api/login", json=ACCOUNT)).status == 401
        assert (await client.post("/api/login", json=ACCOUNT | {"password": NEW})).status == 200


async def test_a_restart_logs_everyone_out(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        cookie = (await client.post("/api/login", json=ACCOUNT)).cookies[COOKIE].value
    async with hypervisor(tmp_path) as (client, _, _):
        response = await client.get("/api/user", cookies={COOKIE: cookie})
        assert await error(response) == (401, NO_SESSION)
        assert (await client.post("/api/login", json=ACCOUNT)).status == 200


async def test_a_deleted_user_is_noticed(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        (tmp_path / "users.db").unlink()
        response = await client.get("/api/about")
        assert await error(response) == (401, "user is either deleted or not found")


async def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await client.post("/api/create-account", json=ACCOUNT)
        wrong = ACCOUNT | {"password": "Wr0ng-password"}
        for _ in range(Attempts.LIMIT):
            assert (await client.post("/api/login", json=wrong)).status == 401
        for body in (wrong, ACCOUNT):  # the right one must wait, too
            response = await client.post("/api/login", json=body)
            status, text = await error(response)
            assert (status, text[:29]) == (429, "too many failed attempts; try")
            assert 0 < int(response.headers["Retry-After"]) <= Attempts.PERIOD


async def test_without_accounts_there_are_no_account_routes(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        for path in ("/api/user-exists", "/api/user"):
            assert (await client.get(path)).status == 404
        for path in ("/api/login", "/api/create-account", "/api/logout"):
            assert (await client.post(path, json=ACCOUNT)).status in (404, 405)
        assert (await client.get("/api/about")).status == 200


async def test_an_unreadable_account_file_is_told(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        (tmp_path / "users.db").write_bytes(b"this is no database" * 100)
        status, text = await error(await client.post("/api/login", json=ACCOUNT))
        assert status == 503
        assert "users.db" in text


async def test_sessions_elsewhere_end_and_this_one_stays(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, context):
        await log_in(client)
        elsewhere = [context.sessions.create("admin")[0] for _ in range(2)]
        of_another = context.sessions.create("somebody")[0]
        assert (await client.post("/api/logout-others")).status == 403
        token = {HEADER: context.csrf.issue()} if context.csrf is not None else {}
        response = await client.post("/api/logout-others", headers=token)
        assert (response.status, await response.json()) == (200, {"ended": 2})
        assert [context.sessions.find(token) for token in elsewhere] == [None, None]
        assert context.sessions.find(of_another) is not None
        assert (await (await client.get("/api/user")).json())["other_sessions"] is None
        client.session.cookie_jar.clear()
        response = await client.post("/api/logout-others", headers=token)
        assert await error(response) == (401, NO_SESSION)
