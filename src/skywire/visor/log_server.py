"""The visor's log server: HTTP on dmsg port 80. Source: visor.md §5, services.md §11.

Everybody may see that the visor lives, its traffic per day, and the files of a directory made for
that; its survey and reward address are for the keys of the whitelist. Ours differs on purpose: with
an empty whitelist these are for nobody, where Go tells them to all (traps.md).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.http.app import errors_to_json, health_route
from skywire.http.files import SAFE_HEADERS, find_file
from skywire.http.over_stream import remote_pk, serve_http
from skywire.ports import DMSG_HTTP
from skywire.visor.modules import Module, Report
from skywire.visor.reward import NAME as REWARD
from skywire.visor.survey import NAME as SURVEY

HEADER_LIMIT = 2.0  # seconds for a request's head
IDLE_LIMIT = 30.0  # seconds between two requests
MAX_CONNECTIONS = 128  # a collector comes once an hour
TRAFFIC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.csv")
FOLDER = "transport_logs/"
LISTED_FILES = frozenset({REWARD, SURVEY})  # not for all, even where the folder for all has them

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LogServer:
    """`allowed` and `survey` are asked at each request."""

    def __init__(
        self,
        *,
        allowed: Callable[[], Collection[PubKey]],
        survey: Callable[[], dict[str, Any]],
        reward: Path,
        traffic: Path,
        public: Path,
    ) -> None:
        self._allowed = allowed
        self._survey = survey
        self._reward = reward
        self._traffic = traffic
        self._public = public

    def modules(self, dmsg: DmsgClient) -> Iterable[Module]:
        async def serve(report: Report) -> None:
            listener = dmsg.listen(DMSG_HTTP)
            report.up()
            try:
                await serve_http(
                    self.app(),
                    listener,
                    header_timeout=HEADER_LIMIT,
                    idle_timeout=IDLE_LIMIT,
                    max_connections=MAX_CONNECTIONS,
                )
            finally:
                await listener.close()

        yield Module("log server", serve)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_empty_errors, errors_to_json])
        app.add_routes(
            [
                health_route(),
                web.get("/node-info", self._listed(self._node_info), allow_head=False),
                web.get("/reward.txt", self._listed(self._reward_file)),
                web.get("/{path:.*}", self._file),
            ]
        )
        return app

    def _listed(self, handler: Handler) -> Handler:
        """`handler` for the keys of the whitelist."""

        async def check(request: web.Request) -> web.StreamResponse:
            if remote_pk(request) not in self._allowed():
                raise web.HTTPUnauthorized
            return await handler(request)

        return check

    async def _node_info(self, _: web.Request) -> web.StreamResponse:
        body = msgspec.json.encode(self._survey())
        return web.Response(body=body, content_type="application/json")

    async def _reward_file(self, _: web.Request) -> web.StreamResponse:
        return await _answer(self._reward.parent, self._reward.name)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["path"]
        name = wanted.removeprefix(FOLDER)
        if TRAFFIC.fullmatch(name):
            return await _answer(self._traffic, name)
        if wanted.rpartition("/")[2] in LISTED_FILES:
            raise web.HTTPNotFound
        return await _answer(self._public, wanted)


async def _answer(folder: Path, name: str) -> web.StreamResponse:
    path = await asyncio.to_thread(find_file, folder, name)
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=SAFE_HEADERS)


@web.middleware
async def _empty_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An error of this server is its status and nothing else, as in Go."""
    response = await handler(request)
    return response if response.status < 400 else web.Response(status=response.status)
