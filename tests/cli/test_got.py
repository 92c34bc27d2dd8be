"""`skywire cli got` and `util nc|serve`, against servers of our own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest
from aiohttp import web
from click.testing import CliRunner

from skywire.cli.got import dl, req
from skywire.errors import InvalidValue
from skywire.http.over_stream import serve_http
from skywire.testing.deployment import deployment
from tests.cli.test_dmsg_pty import call, running
from tests.services.serving import Served, serving


async def echo(request: web.Request) -> web.Response:
    body = await request.text()
    text = f"{request.method} {request.headers.get('X-Word', '')} {body}".strip()
    return web.Response(text=text, headers={"X-Answer": "yes"})


async def missing(_: web.Request) -> web.Response:
    return web.Response(status=404, text="nothing here")


def app() -> web.Application:
    made = web.Application()
    made.router.add_route("*", "/missing", missing)
    made.router.add_route("*", "/{path:.*}", echo)
    return made


@pytest.fixture
async def there() -> AsyncIterator[Served]:
    async with serving(app()) as served:
        yield served


async def got(*words: str) -> tuple[int, str]:
    return await call("cli", "got", *words)


async def test_a_request_and_its_answer(there: Served) -> None:
    assert await got("req", f"{there.url}/x") == (0, "GET")
    assert await got("req", f"{there.url}/x", "-d", "body", "-H", "X-Word: w") == (0, "POST w body")
    assert await got("req", f"{there.url}/x", "-X", "put", "-d", "b") == (0, "PUT  b")
    code, text = await got("req", f"{there.url}/x", "--json")
    assert (code, json.loads(text)["output"]["body"]) == (0, "GET")
    assert (await got("req", f"{there.url}/missing"))[0] == 1


async def test_headers_only(there: Served) -> None:
    code, text = await got("head", f"{there.url}/x")
    assert (code, text.splitlines()[0], "X-Answer: yes" in text) == (0, "200 OK", True)
    code, text = await got("head", f"{there.url}/missing", "--json")
    assert code == 1


async def test_a_download_appears_when_it_is_complete(there: Served, tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert (await got("dl", f"{there.url}/x", "-o", str(path)))[0] == 0
    assert path.read_text() == "GET"
    assert (await got("dl", f"{there.url}/x", "-o", str(path)))[0] == 1  # it is there
    assert (await got("dl", f"{there.url}/missing", "-r", "-o", str(path)))[0] == 1
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_text() == "GET"


async def test_over_dmsg() -> None:
    async with deployment() as net:
        client = await net.client()
        listener = client.listen(80)
        async with asyncio.TaskGroup() as tasks:
            server = tasks.create_task(serve_http(app(), listener))
            done = await got("req", f"dmsg://{client.public}/x", "--dmsg-disc", net.url)
            server.cancel()
        assert done == (0, "GET")


@pytest.mark.parametrize("url", ["", "x", "ftp://x/", "http://", "dmsg://x/", "http://[x/"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises((click.BadParameter, InvalidValue)):
        CliRunner().invoke(req, [url], standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("url", ["http://localhost", "http://localhost/", "http://localhost/a/.."])
def test_a_download_needs_a_name(url: str) -> None:
    with pytest.raises(InvalidValue, match="-o"):
        CliRunner().invoke(dl, [url], standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("header", ["x", ": x", "a: b\nc: d"])
def test_a_header_that_is_none_is_refused(header: str) -> None:
    words = ["http://localhost/", "-H", header]
    with pytest.raises(click.BadParameter):
        CliRunner().invoke(req, words, standalone_mode=False, catch_exceptions=False)


async def test_nobody_there_is_one_line() -> None:
    assert (await got("req", "http://127.0.0.1:1/"))[0] == 1


# util


async def test_files_over_http(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text of a")
    words = ("cli", "util", "serve", "-d", str(tmp_path), "-a", "127.0.0.1:0")
    async with running(*words) as facts:
        assert await got("req", f"{facts['url']}a.txt") == (0, "text of a")
        assert (await got("head", f"{facts['url']}../x"))[0] == 1


@asynccontextmanager
async def nc(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skywire", "cli", "util", "nc", *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_pipe_over_tcp() -> None:
    async with asyncio.timeout(20), nc("-l", "127.0.0.1:0") as listening:
        assert listening.stderr is not None
        line = (await listening.stderr.readline()).decode()
        port = line.strip().rpartition(":")[2]
        async with nc(f"127.0.0.1:{port}") as calling:
            there, back = await asyncio.gather(
                listening.communicate(b"from the listener"),
                calling.communicate(b"from the caller"),
            )
            assert (there[0], back[0]) == (b"from the caller", b"from the listener")
            assert (listening.returncode, calling.returncode) == (0, 0)
