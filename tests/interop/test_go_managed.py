"""A Go visor managed through our hypervisor and through Go's: the same answers, the same errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from skywire.crypto.generate import key_pair
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network, Node, Ours
from tests.interop.pages import get, row_of, until_known
from tests.interop.processes import LOOPBACK, free_port

CHAT = "skychat"
REWARD = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
NOBODY = str(key_pair()[0])
NO_TRANSPORT = "00000000-0000-0000-0000-000000000001"


class Pair(NamedTuple):
    ours: str  # URL of our hypervisor
    theirs: str  # of Go's
    visor: Visor  # connected to both
    own: Node


@pytest.fixture(scope="module")
def pair(go: Go, ours: Ours, our_net: Network, services: str) -> Pair:
    section = {
        "http_addr": f"{LOOPBACK}:0",
        "db_path": str(ours.path("users.db")),
        "enable_auth": False,
    }
    own = ours.visor(our_net.discovery, hypervisor=section)
    other = Visor(go, our_net.discovery, services, hypervisor=True)
    chat = {
        "name": CHAT,
        "binary": "skywire",
        "args": ["app", CHAT, "--addr", f":{free_port()}"],
        "port": 1,
        "auto_start": False,
    }
    keys = [own.public, other.public]
    visor = Visor(go, our_net.discovery, services, hypervisors=keys, apps=[chat])
    return Pair(own.facts["url"].rstrip("/"), other.url, visor, own)


@pytest.fixture
async def http(pair: Pair) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        await until_known(session, pair.theirs, pair.visor.public)
        await row_of(session, pair.ours, pair.visor.public)
        yield session


class Answer(NamedTuple):
    status: int
    body: Any


async def ask(http: ClientSession, base: str, method: str, path: str, body: Any = None) -> Answer:
    headers = {}
    if method != "GET":
        token = await get(http, f"{base}/api/csrf")
        headers["X-CSRF-Token"] = token["csrf_token"]
    async with http.request(method, f"{base}/api{path}", json=body, headers=headers) as answer:
        return Answer(answer.status, await answer.json(content_type=None))


async def both(
    http: ClientSession, pair: Pair, method: str, path: str, body: Any = None
) -> tuple[Answer, Answer]:
    """Below the visor's path."""
    full = f"/visors/{pair.visor.public}{path}"
    one = await ask(http, pair.ours, method, full, body)
    return one, await ask(http, pair.theirs, method, full, body)


def plain(value: Any) -> Any:
    """Go writes null for a list that is empty, ours does not."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [] if value is None else value


@pytest.mark.parametrize(
    "path",
    [
        "/apps",
        f"/apps/{CHAT}",
        "/transports",
        "/transports?type=stcpr&logs=false",
        "/routes",
        "/routes?summary=true",
        "/routegroups",
        "/persistent-transports",
        "/reward",
        "/health",
    ],
)
async def test_what_is_read_is_the_same(http: ClientSession, pair: Pair, path: str) -> None:
    ours, theirs = await both(http, pair, "GET", path)
    assert ours.status == theirs.status == 200, (ours, theirs)
    assert ours.body == plain(theirs.body)


async def test_transport_types_are_the_same(http: ClientSession, pair: Pair) -> None:
    ours, theirs = await both(http, pair, "GET", "/transport-types")
    assert sorted(ours.body) == sorted(theirs.body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/apps/nobody", None),
        ("GET", f"/apps/{CHAT}/stats", None),
        ("GET", f"/apps/{CHAT}/connections", None),
        ("PUT", f"/apps/{CHAT}", {"status": 5}),
        ("PUT", f"/apps/{CHAT}", {"foo": 1}),
        ("PUT", f"/apps/{CHAT}", {"status": 0}),
        ("PUT", "/apps/nobody", {"status": 1}),
        ("GET", "/transports/xyz", None),
        ("GET", f"/transports/{NO_TRANSPORT}", None),
        ("DELETE", f"/transports/{NO_TRANSPORT}", None),
        ("POST", "/transports", {"transport_type": "nonsense", "remote_pk": NOBODY}),
        ("POST", "/transports", {"transport_type": "stcpr", "remote_pk": "zz"}),
        ("GET", "/routes/zz", None),
        ("GET", "/routes/4000000000", None),
        ("DELETE", "/routes/4000000000", None),
        ("DELETE", "/routes/", ["4000000000"]),
        ("POST", "/routes", {}),
        ("POST", "/min-hops", {"min_hops": -1}),
        ("POST", "/min-hops", {"hops": 1}),
        ("PUT", "/reward", {"reward_address": "nonsense"}),
        ("PUT", f"/apps/{CHAT}", {}),
        ("GET", "/transports?logs=maybe", None),
    ],
)
async def test_what_is_refused_is_refused_with_the_same_words(
    http: ClientSession, pair: Pair, method: str, path: str, body: Any
) -> None:
    ours, theirs = await both(http, pair, method, path, body)
    assert ours == theirs


async def test_what_it_does_not_know_is_said_so(http: ClientSession, pair: Pair) -> None:
    """Methods of 2026, at a visor of 2024: not a failure, but not supported."""
    for path in ("host-stats", "log/rotation", "runtime-logs", "runtime-config", "parts"):
        found = await ask(http, pair.ours, "GET", f"/visors/{pair.visor.public}/{path}")
        assert found.status == 501, path
        assert found.body["error"].startswith("rpc: can't find method"), path
    assert (await ask(http, pair.ours, "GET", f"/visors/{pair.visor.public}/ports")).status == 200


async def test_an_app_is_started_and_stopped(http: ClientSession, pair: Pair) -> None:
    path = f"/visors/{pair.visor.public}/apps/{CHAT}"

    async def status(base: str) -> int:
        return int((await ask(http, base, "GET", path)).body["status"])

    started = await ask(http, pair.ours, "PUT", path, {"status": 1})
    assert started.status == 200, started
    await until_status(status, pair.ours, 1)
    assert await status(pair.theirs) == 1
    ours, theirs = await both(http, pair, "GET", f"/apps/{CHAT}/stats")
    assert ours.status == 200
    assert ours.body == plain(theirs.body), theirs
    ours, theirs = await both(http, pair, "GET", f"/apps/{CHAT}/connections")
    assert ours.body == plain(theirs.body)
    logs = await ask(http, pair.ours, "GET", f"{path}/logs")
    assert logs.status in (200, 500), logs  # it may have logged nothing yet
    stopped = await ask(http, pair.ours, "PUT", path, {"status": 0})
    assert stopped.status == 200, stopped
    await until_status(status, pair.theirs, 0)
    again, theirs = await both(http, pair, "PUT", f"/apps/{CHAT}", {"status": 0})
    assert again == theirs


async def until_status(status: Callable[[str], Awaitable[int]], base: str, wanted: int) -> None:
    async with asyncio.timeout(SOON):
        while await status(base) != wanted:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


async def test_what_is_changed_here_is_seen_there(http: ClientSession, pair: Pair) -> None:
    prefix = f"/visors/{pair.visor.public}"

    async def change(method: str, path: str, body: Any = None) -> Any:
        found = await ask(http, pair.ours, method, prefix + path, body)
        assert found.status == 200, (path, found)
        return found.body

    async def there(path: str) -> Any:
        return (await ask(http, pair.theirs, "GET", prefix + path)).body

    assert await change("POST", "/min-hops", {"min_hops": 2}) == {}
    assert (await there("/summary"))["min_hops"] == 2
    assert await change("PUT", "/reward", {"reward_address": REWARD}) == REWARD
    assert await there("/reward") == REWARD
    assert await change("DELETE", "/reward") == {}
    assert await there("/reward") == ""
    wanted = [{"pk": NOBODY, "type": "stcpr"}]
    assert await change("PUT", "/persistent-transports", wanted) == {}
    assert await there("/persistent-transports") == wanted
    assert await change("PUT", "/public-autoconnect", {"public_autoconnect": True}) == {}
    assert (await there("/summary"))["public_autoconnect"] is True
    changed = await change("PUT", f"/apps/{CHAT}", {"autostart": True})
    assert changed == await there(f"/apps/{CHAT}")
    assert changed["auto_start"] is True


async def test_one_action_for_both_kinds_of_visors(http: ClientSession, pair: Pair) -> None:
    keys = [str(pair.own.public), str(pair.visor.public)]
    body = {"action": "set-min-hops", "args": {"min_hops": 1}, "visors": keys}
    before = await ask(http, pair.ours, "POST", "/bulk", body | {"preview": True})
    assert (before.body["done"], before.body["failed"]) == (2, 0)
    done = await ask(http, pair.ours, "POST", "/bulk", body)
    assert (done.body["done"], done.body["failed"]) == (2, 0), done
    found = await ask(http, pair.theirs, "GET", f"/visors/{pair.visor.public}/summary")
    assert found.body["min_hops"] == 1
    log = await get(http, f"{pair.ours}/api/audit?action=set-min-hops")
    assert {one["visor"] for one in log} == set(keys)
