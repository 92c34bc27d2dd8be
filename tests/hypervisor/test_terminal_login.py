"""A terminal hangs on the login that opened it."""

import asyncio
import json
from pathlib import Path
from time import time

import pytest
from aiohttp import WSMsgType

from skywire.crypto.keys import PubKey
from skywire.hypervisor.sessions import Sessions, _Timer
from skywire.streams.stream import Stream
from skywire.testing.wait import eventually
from tests.hypervisor.harness import OWN, PASSWORD, hypervisor, log_in


async def never(pk: PubKey, port: int, scheme: str) -> Stream:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("way", ["logout", "change-password"])
async def test_the_end_of_a_login_ends_its_terminals(tmp_path: Path, way: str) -> None:
    async with hypervisor(tmp_path) as (client, _, context):
        context.dial = never
        await log_in(client)
        ws = await client.ws_connect(f"/pty/{OWN}")
        await eventually(lambda: len(context.terminals) == 1)
        body = {"old_password": PASSWORD, "new_password": "An0ther!one"}
        answer = await client.post(f"/api/{way}", json=body if way != "logout" else None)
        assert answer.status == 200
        async with asyncio.timeout(5):
            while (await ws.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
                pass
        await eventually(lambda: len(context.terminals) == 0)


async def test_a_browser_without_a_login_gets_the_form_at_the_terminals_address(
    tmp_path: Path,
) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        page = await client.get(f"/pty/{OWN}", headers={"Accept": "text/html,*/*"})
        assert page.status == 401
        assert page.content_type == "text/html"
        assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
        await log_in(client)
        page = await client.get(f"/pty/{OWN}", headers={"Accept": "text/html,*/*"})
        assert page.status == 200


async def test_a_login_that_expires_ends_its_terminals_at_once(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, context):
        context.dial = never
        context.sessions = Sessions(time, 1.0)
        await log_in(client)
        ws = await client.ws_connect(f"/pty/{OWN}?flow=1")
        await eventually(lambda: len(context.terminals) == 1)
        begin, texts = time(), []
        async with asyncio.timeout(5):
            while (message := await ws.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
                if message.type is WSMsgType.TEXT:
                    texts.append(json.loads(message.data))
        assert time() - begin < 3  # 1 s when the machine is quiet
        assert [text["reason"] for text in texts] == ["logged out"]
        assert (await client.get(f"/pty/{OWN}")).status == 401


async def test_a_clock_that_is_set_ends_no_login_early_and_none_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, ended = 1000.0, []
    sessions = Sessions(lambda: now, 60)
    _, session = sessions.create("admin")
    monkeypatch.setattr(_Timer, "LOOK", 0.01)
    with sessions.tied(session, lambda: ended.append(True)):
        await asyncio.sleep(0.05)
        assert ended == []
        now += 60
        await eventually(lambda: ended == [True])
    with sessions.tied(session, lambda: ended.append(True)):
        assert ended == [True, True]  # it had ended before
