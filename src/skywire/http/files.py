"""Serve the files of a directory over HTTP, as `skywire dmsg http` does.

Nothing outside of the directory is shown, symbolic links included; ranges and conditional requests
work; a directory shows its index.html or a list of links.
"""

import asyncio
import html
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.http.over_stream import remote_pk

INDEX = "index.html"
MAX_LISTED = 10_000  # names shown of one directory
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff"}

ROOT = web.AppKey("ROOT", Path)


class _Found(NamedTuple):
    path: Path
    names: list[str] | None  # of a directory without an index.html; directories end in "/"
    is_directory: bool


def file_server(root: Path, allowed: Collection[PubKey] = ()) -> web.Application:
    """An application that serves `root` to the keys in `allowed`, or to all if there are none.

    Raises InvalidValue when `root` is no directory that can be read.
    """
    if not os.access(root, os.R_OK | os.X_OK) or not root.is_dir():
        raise InvalidValue(f"{root} is not a directory we can read")
    app = web.Application(middlewares=[only_keys(allowed)] if allowed else [])
    app[ROOT] = root.resolve()
    app.router.add_get("/{path:.*}", _serve)
    return app


def find_file(root: Path, wanted: str) -> Path | None:
    """The regular file that `wanted` names in `root`; None when there is none. Blocks."""
    found = _find(root.resolve(), wanted)
    return None if found is None or found.is_directory else found.path


def only_keys(allowed: Collection[PubKey]) -> Middleware:
    """Answer 403 to everybody whose authenticated key is not in `allowed`."""
    keys = frozenset(allowed)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if remote_pk(request) not in keys:
            raise web.HTTPForbidden(text="your public key is not on the whitelist\n")
        return await handler(request)

    return check


async def _serve(request: web.Request) -> web.StreamResponse:
    found = await asyncio.to_thread(_find, request.app[ROOT], request.match_info["path"])
    if found is None:
        raise web.HTTPNotFound(text="404 page not found\n")
    if not found.is_directory:
        return web.FileResponse(found.path, headers=SAFE_HEADERS)
    if not request.path.endswith("/"):
        # relative, so that no name can lead to another host or scheme
        raise web.HTTPMovedPermanently(f"./{quote(request.path.rpartition('/')[2])}/")
    if found.names is None:
        return web.FileResponse(found.path / INDEX, headers=SAFE_HEADERS)
    return web.Response(
        text=_listing(found.names), content_type="text/html", charset="utf-8", headers=SAFE_HEADERS
    )


def _find(root: Path, wanted: str) -> _Found | None:
    """What `wanted` is in `root`; None for what is not there or must not be seen. Blocks."""
    if "\0" in wanted:
        return None
    try:
        path = (root / wanted.lstrip("/")).resolve(strict=True)
        if not path.is_relative_to(root):
            return None
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return _Found(path, None, is_directory=False) if not wanted.endswith("/") else None
        if not stat.S_ISDIR(mode):
            return None  # a device or a pipe could block for ever
        index = (path / INDEX).resolve()
        if index.is_file() and index.is_relative_to(root):
            return _Found(path, None, is_directory=True)
        with os.scandir(path) as entries:
            names = [entry.name + ("/" if _is_directory(entry) else "") for entry in entries]
    except (OSError, RuntimeError, ValueError):
        return None
    return _Found(path, sorted(names)[:MAX_LISTED], is_directory=True)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link to itself
        return False


def _listing(names: list[str]) -> str:
    lines = [
        f'<a href="./{quote(name, errors="surrogateescape")}">{html.escape(_shown(name))}</a>'
        for name in names
    ]
    return "<!doctype html>\n<pre>\n" + "\n".join(lines) + "\n</pre>\n"


def _shown(name: str) -> str:
    """A name that is not UTF-8 cannot be shown as it is."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
