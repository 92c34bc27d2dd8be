"""What a visor tells over dmsg port 80, and to whom."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from yarl import URL

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.http.over_stream import DmsgConnector, serve_http
from skywire.streams.stream import Address
from skywire.streams.supervise import Tasks
from skywire.testing.listener import MemoryListener
from skywire.visor.log_server import LogServer

VISOR = deterministic_key_pair(b"visor")[0]
FRIEND = deterministic_key_pair(b"friend")[0]
DAY = "tp_id,recv,sent,time_stamp\n"


class Answer(NamedTuple):
    status: int
    text: str
    size: str = ""


Ask = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def asking(tmp_path: Path, allowed: Collection[PubKey] = (FRIEND,)) -> AsyncIterator[Ask]:
    """A client with the key FRIEND."""
    (tmp_path / "reward.txt").write_text("2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6\n")
    for folder in ("logs", "custom"):
        (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "logs" / "2026-06-12.csv").write_text(DAY)
    (tmp_path / "logs" / "2026-06-12.part").write_text("half")
    (tmp_path / "custom" / "hello.txt").write_text("hello")
    (tmp_path / "custom" / "link").symlink_to(tmp_path / "reward.txt")
    (tmp_path / "custom" / "node-info.json").write_text("{}")
    server = LogServer(
        allowed=lambda: allowed,
        survey=lambda: {"public_key": str(VISOR)},
        reward=tmp_path / "reward.txt",
        traffic=tmp_path / "logs",
        public=tmp_path / "custom",
    )
    listener = MemoryListener(
        Address("dmsg", VISOR.hex(), 80, VISOR), Address("dmsg", FRIEND.hex(), 50000, FRIEND)
    )
    tasks = Tasks("test")
    tasks.spawn(serve_http(server.app(), listener))
    try:
        connector = DmsgConnector(listener.dial)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(20):

            async def ask(path: str, method: str = "GET") -> Answer:
                url = URL(f"dmsg://{VISOR}:80{path}", encoded=True)
                async with session.request(method, url, allow_redirects=False) as response:
                    size = response.headers.get("Content-Length", "")
                    return Answer(response.status, await response.text(), size)

            yield ask
    finally:
        await tasks.close()


async def test_everybody_may_know_that_it_lives_and_its_traffic(tmp_path: Path) -> None:
    async with asking(tmp_path, allowed=()) as ask:
        told = json.loads((await ask("/health")).text)
        assert set(told) == {"build_info", "started_at"}
        assert set(told["build_info"]) == {"version", "commit", "date"}
        for path in ("/2026-06-12.csv", "/transport_logs/2026-06-12.csv"):
            assert (await ask(path)).text == DAY
        assert (await ask("/hello.txt")).text == "hello"


async def test_the_whitelist_may_see_survey_and_reward_address(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        assert json.loads((await ask("/node-info")).text) == {"public_key": str(VISOR)}
        assert (await ask("/reward.txt")).text.startswith("2jBb")
        assert await ask("/reward.txt", "HEAD") == Answer(200, "", "36")


@pytest.mark.parametrize("allowed", [(), (VISOR,)], ids=["nobody", "others"])
async def test_an_empty_whitelist_means_private(
    tmp_path: Path, allowed: Collection[PubKey]
) -> None:
    async with asking(tmp_path, allowed) as ask:
        for path in ("/node-info", "/reward.txt"):
            assert await ask(path) == Answer(401, "", "0")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/none",
        "/2026-06-13.csv",
        "/transport_logs/",
        "/transport_logs/2026-06-12.part",
        "/transport_logs/..%2Freward.txt",
        "/..%2Freward.txt",
        "/%2e%2e/reward.txt",
        "/link",
        "/node-info.json",
        "/hello.txt/",
        "/%00",
    ],
)
async def test_everything_else_is_not_there(tmp_path: Path, path: str) -> None:
    async with asking(tmp_path) as ask:
        assert await ask(path) == Answer(404, "", "0")


async def test_other_methods_are_refused(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        for path in ("/health", "/node-info", "/hello.txt"):
            assert await ask(path, "POST") == Answer(405, "", "0")


async def test_a_visor_whose_folders_are_missing_answers(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        for name in ("logs", "custom"):
            shutil.rmtree(tmp_path / name)
        (tmp_path / "reward.txt").unlink()
        for path in ("/2026-06-12.csv", "/hello.txt", "/reward.txt"):
            assert (await ask(path)).status == 404
