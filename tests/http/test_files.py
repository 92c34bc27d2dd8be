import os
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from yarl import URL

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import InvalidValue
from skywire.http import files
from skywire.http.client import dmsg_session
from skywire.http.files import file_server
from tests.http.serving import CLIENT, SERVER, served


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`public` is served; `secret` beside it is not."""
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (public / "site").mkdir()
    (public / "hello.txt").write_text("hello")
    (public / "sub" / "<b>&\"'.html").write_text("odd")
    (public / "sub" / "a:b").mkdir()
    (public / "site" / "index.html").write_text("<h1>index</h1>")
    (tmp_path / "secret").write_text("secret")
    (public / "link").symlink_to(tmp_path / "secret")
    (public / "inner").symlink_to(public / "hello.txt")
    (public / "loop").symlink_to(public / "loop")
    os.mkfifo(public / "pipe")
    return public


async def get(root: Path, path: str, **headers: str) -> tuple[int, str, ClientResponse]:
    async with (
        served(file_server(root)) as listener,
        dmsg_session(listener.dial) as session,
        session.get(
            URL(f"dmsg://{SERVER}{path}", encoded=True), headers=headers, allow_redirects=False
        ) as response,
    ):
        return response.status, await response.text(errors="replace"), response


async def test_a_file_and_what_is_in_a_directory(root: Path) -> None:
    status, text, response = await get(root, "/hello.txt")
    assert (status, text) == (200, "hello")
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    status, text, response = await get(root, "/")
    assert status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<a href="./hello.txt">hello.txt</a>' in text
    assert '<a href="./sub/">sub/</a>' in text
    assert (await get(root, "/inner"))[:2] == (200, "hello")
    assert (await get(root, "/site/"))[:2] == (200, "<h1>index</h1>")


async def test_names_are_escaped_in_the_listing(root: Path) -> None:
    _, text, _ = await get(root, "/sub/")
    assert "<b>" not in text
    assert '<a href="./%3Cb%3E%26%22%27.html">&lt;b&gt;&amp;&quot;&#x27;.html</a>' in text
    assert '<a href="./a%3Ab/">a:b/</a>' in text


async def test_a_name_that_is_not_utf8_can_be_listed(root: Path) -> None:
    (root / "sub" / os.fsdecode(b"\xff\xfe")).write_text("x")
    status, text, _ = await get(root, "/sub/")
    assert status == 200
    assert '<a href="./%FF%FE">' in text


async def test_a_directory_without_slash_is_redirected_within_the_server(root: Path) -> None:
    for path, location in (("/sub", "./sub/"), ("/sub/a:b", "./a:b/"), ("//sub", "./sub/")):
        status, _, response = await get(root, path)
        assert (status, response.headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/sub/..%2f..%2fsecret",
        "//../secret",
        "/link",
        "/loop",
        "/pipe",
        "/hello.txt/",
        "/hello.txt/x",
        "/%00",
        "/hello.txt%00.html",
        "/" + "x" * 5000,
    ],
)
async def test_what_is_not_to_be_seen_is_not_found(root: Path, path: str) -> None:
    status, text, _ = await get(root, path)
    assert (status, text) == (404, "404 page not found\n")


async def test_ranges_and_conditions(root: Path) -> None:
    status, text, response = await get(root, "/hello.txt", Range="bytes=1-3")
    assert (status, text) == (206, "ell")
    assert response.headers["Content-Range"] == "bytes 1-3/5"
    assert (await get(root, "/hello.txt", Range="bytes=9-"))[0] == 416
    etag = response.headers["ETag"]
    assert (await get(root, "/hello.txt", **{"If-None-Match": etag}))[0] == 304


async def test_only_reading_is_allowed(root: Path) -> None:
    async with served(file_server(root)) as listener, dmsg_session(listener.dial) as session:
        for method, status in (("HEAD", 200), ("POST", 405), ("PUT", 405), ("DELETE", 405)):
            async with session.request(method, f"dmsg://{SERVER}/hello.txt") as response:
                assert response.status == status
    assert (root / "hello.txt").read_text() == "hello"


@pytest.mark.parametrize(("allowed", "status"), [(CLIENT, 200), (SERVER, 403)])
async def test_a_whitelist(root: Path, allowed: object, status: int) -> None:
    keys = {key for key in (CLIENT, SERVER) if key == allowed}
    async with (
        served(file_server(root, keys)) as listener,
        dmsg_session(listener.dial) as session,
        session.get(f"dmsg://{SERVER}/hello.txt") as response,
    ):
        assert response.status == status
        assert ("whitelist" in await response.text()) == (status == 403)


async def test_a_listing_has_a_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LISTED", 2)
    _, text, _ = await get(root, "/")
    assert text.count("<a ") == 2


def test_a_directory_that_cannot_be_served(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in ("missing", "file"):
        with pytest.raises(InvalidValue, match="not a directory"):
            file_server(tmp_path / bad, [deterministic_key_pair(b"x")[0]])
