"""A service under test on a loopback port, and keys that ask it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from aiohttp import ClientSession, web

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession, monitor_headers

ALICE, ALICE_SK, _ = deterministic_key_pair(b"alice")
BOB, BOB_SK, _ = deterministic_key_pair(b"bob")
CAROL, CAROL_SK, _ = deterministic_key_pair(b"carol")
MONITOR, MONITOR_SK, _ = deterministic_key_pair(b"network monitor")


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]


class Served:
    """An application that answers on `url`; `now` is its clock, when it was given `clock`."""

    def __init__(self, stack: AsyncExitStack, url: str, session: ClientSession) -> None:
        self._stack = stack
        self._session = session
        self.url = url

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        async with self._session.request(
            method, self.url + path, data=body or None, headers=headers
        ) as response:
            return Answer(response.status, await response.read(), dict(response.headers))

    async def as_monitor(self, method: str, path: str, body: bytes) -> Answer:
        return await self.ask(method, path, body, monitor_headers(MONITOR, MONITOR_SK))

    async def signed(
        self, pk: PubKey, sk: SecKey, headers: Mapping[str, str] | None = None
    ) -> SignedSession:
        session = SignedSession(self.url, pk, sk, headers=headers)
        return await self._stack.enter_async_context(session)

    async def alice(self) -> SignedSession:
        return await self.signed(ALICE, ALICE_SK)

    async def bob(self) -> SignedSession:
        return await self.signed(BOB, BOB_SK)


class Clock:
    """Unix time in seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(running(app))
        port = await listen(runner, "127.0.0.1", 0, what="service")
        session = await stack.enter_async_context(ClientSession())
        yield Served(stack, f"http://127.0.0.1:{port}", session)
