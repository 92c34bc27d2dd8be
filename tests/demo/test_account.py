"""The demo's account, against a stand-in of the hypervisor's API."""

import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from skywire.crypto.generate import key_pair
from skywire.demo import account
from skywire.errors import Unavailable

NODES = [key_pair()[0] for _ in range(3)]


class FakeHypervisor:
    """Lists one node more at each question."""

    def __init__(self) -> None:
        self.password = ""
        self.questions = 0
        self.online = True
        app = web.Application()
        app.router.add_post("/api/create-account", self.create)
        app.router.add_post("/api/login", self.login)
        app.router.add_get("/api/visors-summary", self.summary)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def create(self, request: web.Request) -> web.Response:
        if self.password:
            return web.json_response({"error": "username already exists"}, status=409)
        self.password = (await request.json())["password"]
        return web.json_response(True)

    async def login(self, request: web.Request) -> web.Response:
        if (await request.json()) != {"username": "admin", "password": self.password}:
            return web.json_response({"error": "incorrect username or password"}, status=401)
        answer = web.json_response(True)
        answer.set_cookie("swm-session", "yes")
        return answer

    async def summary(self, request: web.Request) -> web.Response:
        assert request.cookies["swm-session"] == "yes"
        self.questions += 1
        return web.json_response(
            [
                {"overview": {"local_pk": str(key)}, "online": self.online}
                for key in NODES[: self.questions]
            ]
        )


@pytest.fixture
async def hypervisor() -> AsyncIterator[FakeHypervisor]:
    fake = FakeHypervisor()
    await fake.server.start_server()
    yield fake
    await fake.server.close()


async def test_the_account_is_made_and_every_node_waited_for(hypervisor: FakeHypervisor) -> None:
    assert await account.prepare(hypervisor.url, "Secret-1", NODES)
    assert hypervisor.password == "Secret-1"
    assert hypervisor.questions == 3


async def test_an_account_of_an_earlier_demo_is_used_again(hypervisor: FakeHypervisor) -> None:
    hypervisor.password = "Secret-1"
    assert await account.prepare(hypervisor.url, "Secret-1", NODES[:1])


async def test_a_changed_password_is_told(hypervisor: FakeHypervisor) -> None:
    hypervisor.password = "Changed-1"
    assert not await account.prepare(hypervisor.url, "Secret-1", NODES)


async def test_a_node_that_stays_away_is_named(
    hypervisor: FakeHypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "NODES_LIMIT", 0.3)
    hypervisor.online = False
    with pytest.raises(Unavailable, match=f"missing: .*{NODES[0]}"):
        await account.prepare(hypervisor.url, "Secret-1", NODES[:1])


async def test_no_hypervisor_at_all_is_a_clear_error(hypervisor: FakeHypervisor) -> None:
    url = hypervisor.url
    await hypervisor.server.close()
    with pytest.raises(Unavailable, match=re.escape(url)):
        await account.prepare(url, "Secret-1", NODES)


def test_the_password_is_kept_privately_and_follows_the_rules(tmp_path: Path) -> None:
    password = account.password_for(tmp_path)
    assert account.password_for(tmp_path) == password
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert 6 <= len(password) <= 64
    for kind in ("[A-Z]", "[a-z]", "[0-9]", "[^A-Za-z0-9]"):
        assert re.search(kind, password)


def test_an_unreadable_password_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\n")
    with pytest.raises(Unavailable, match="remove it"):
        account.password_for(tmp_path)
