"""A running dmsg discovery for tests; its clock is ours."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import ClientSession

from skywire.crypto import curve
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.http.app import listen, running
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

CLIENT, CLIENT_SK, _ = deterministic_key_pair(b"client")
SERVER, SERVER_SK, _ = deterministic_key_pair(b"server")
MONITOR, MONITOR_SK, _ = deterministic_key_pair(b"monitor")
SECOND = 10**9
BASE = "/dmsg-discovery"
NOT_FOUND = {"message": "entry of public key is not found", "code": 404}
NO_SERVERS = {"message": "no delegated dmsg servers available for remote", "code": 404}
UNEXPECTED = {"message": "something unexpected happened", "code": 500}
BAD_INPUT = {"message": "error bad input", "code": 400}
UNAUTHORIZED = {"message": "invalid signature", "code": 401}
NEW = {"message": "wrote a new entry", "code": 200}
UPDATED = {"message": "wrote new entry iteration", "code": 200}
DELETED = {"message": "deleted entry", "code": 200}


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str

    @property
    def json(self) -> Any:
        assert self.content_type == "application/json"
        return json.loads(self.body)


class Discovery:
    """A running discovery whose clock is ours."""

    def __init__(self, session: ClientSession, url: str, rules: DmsgDiscovery) -> None:
        self._session = session
        self.url = url
        self.rules = rules
        self.now = 1_800_000_000 * SECOND

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Answer:
        async with self._session.request(
            method, self.url + path, data=body, headers=headers
        ) as response:
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, await response.read(), content_type)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", BASE + path)

    async def post(self, entry: Entry, query: str = "") -> Answer:
        return await self.ask("POST", f"{BASE}/entry/{query}", entry.encode())

    async def delete(self, entry: Entry) -> Answer:
        return await self.ask("DELETE", f"{BASE}/entry", entry.encode())

    def client(self, sequence: int = 0, client_type: str = "", age: int = 0) -> Entry:
        entry = Entry.of_client(CLIENT, [SERVER], client_type, now=self.now - age * SECOND)
        return wire.sign(msgspec.structs.replace(entry, sequence=sequence), CLIENT_SK)

    def server(
        self,
        sequence: int = 0,
        *,
        address: str = "192.0.2.1:8081",
        available: int = 5,
        server_type: str = "",
        age: int = 0,
        keys: tuple[PubKey, SecKey] = (SERVER, SERVER_SK),
    ) -> Entry:
        now = self.now - age * SECOND
        entry = Entry.of_server(keys[0], address, available, server_type, now=now)
        return wire.sign(msgspec.structs.replace(entry, sequence=sequence), keys[1])

    def deregistration(self, sk: SecKey = MONITOR_SK) -> dict[str, str]:
        text = str(sk.public())
        return {"NM-PK": text, "NM-Sign": curve.sign(text.encode(), sk).hex()}


Start = Callable[..., Awaitable[Discovery]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a discovery with the given settings; `store` and `app` may be given, too."""
    async with AsyncExitStack() as stack:

        async def begin(
            settings: Settings | None = None, store: DiscoveryStore | None = None, **app: Any
        ) -> Discovery:
            made: Discovery
            if store is None:
                store = SqlDiscoveryStore(Database(":memory:"), clock=lambda: made.now / SECOND)
                stack.push_async_callback(store.close)
            rules = DmsgDiscovery(store, settings, clock=lambda: made.now)
            runner = await stack.enter_async_context(running(rules.app(**app)))
            port = await listen(runner, "127.0.0.1", 0, what="discovery")
            session = await stack.enter_async_context(ClientSession())
            made = Discovery(session, f"http://127.0.0.1:{port}", rules)
            return made

        yield begin


@pytest.fixture
async def disc(start: Start) -> Discovery:
    return await start()
