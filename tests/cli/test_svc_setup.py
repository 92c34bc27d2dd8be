"""`skywire svc sn` and `skywire svc tps` as processes, on a dmsg network in this one."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from skywire.config.setup import RouteSetupConfig, TransportSetupConfig, load
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import InvalidValue, NotFound
from skywire.ports import DMSG_AWAIT_SETUP, DMSG_TRANSPORT_SETUP
from skywire.router.finder import RouteFinder
from skywire.router.setup_client import SetupClient
from skywire.stores.open import open_stores
from skywire.streams.serving import serve_each
from skywire.streams.supervise import Tasks
from skywire.testing.deployment import Deployment, deployment
from skywire.wire.rule import Rule
from skywire.wire.transport import Entry
from tests.router.setup_kit import FakeVisor, route
from tests.services.test_transport_setup import Visor

LIMIT = 30.0  # seconds
COMMAND = [sys.executable, "-m", "skywire", "svc"]


def config(net: Deployment, **more: object) -> tuple[str, PubKey]:
    public, secret = key_pair()
    values = {"public_key": str(public), "secret_key": secret.hex(), **more}
    return json.dumps(values | {"dmsg": {"discovery": net.url, "sessions_count": 1}}), public


@asynccontextmanager
async def started(*arguments: str, stdin: str) -> AsyncIterator[dict[str, Any]]:
    """What the running service reports; afterwards it ends in order."""
    reading, writing = os.pipe()
    service = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=os.environ | {"SKYWIRE_READY_FD": str(writing)},
        pass_fds=[writing],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert service.stdin
    assert service.stderr
    service.stdin.write(stdin.encode())
    service.stdin.close()
    try:
        async with asyncio.timeout(LIMIT):
            line = await asyncio.to_thread(_line, reading)
        assert line, await service.stderr.read()
        yield json.loads(line)
    finally:
        if service.returncode is None:
            service.terminate()
        async with asyncio.timeout(LIMIT):
            errors = await service.stderr.read()
            code = await service.wait()
    assert (code, b"Traceback" in errors) == (0, False)


async def test_a_route_finder_reads_the_store_of_the_transport_discovery(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'transports.db'}"
    one, two = key_pair()[0], key_pair()[0]
    stores = await open_stores(url)
    async with AsyncExitStack() as stack:
        service = started("rf", "-a", "127.0.0.1:0", "--store", url, stdin="")
        told = await stack.enter_async_context(service)
        finder = RouteFinder(f"http://127.0.0.1:{told['port']}")
        await stack.enter_async_context(finder)
        with pytest.raises(NotFound):
            await finder.find(one, two)
        await stores.transports().add(Entry.of(one, two, "stcpr"), None)
        found = await finder.find(one, two)
    await stores.close()
    assert [len(path) for path in (*found.forward, *found.reverse)] == [1, 1]


def _line(descriptor: int) -> str:
    with open(descriptor) as pipe:
        return pipe.readline()


async def visor(tasks: Tasks, client: DmsgClient) -> None:
    listener = client.listen(DMSG_AWAIT_SETUP)
    fake = FakeVisor(client.public)
    tasks.spawn(serve_each(listener, fake.server().serve, name="fake visor"))


async def test_a_route_through_a_setup_node() -> None:
    tasks = Tasks("visors")
    async with deployment() as net:
        one, two = await net.client(), await net.client()
        for client in (one, two):
            await visor(tasks, client)
        text, key = config(net, transport_discovery="http://127.0.0.1:1")
        async with started("sn", "-i", "-m", "127.0.0.1:0", stdin=text) as told:
            assert told["public_key"] == str(key)
            rules = await SetupClient(one.dial, [key]).dial_route_group(
                route(one.public, two.public)
            )
            assert Rule.parse(rules.forward).key_route_id == 1
            async with ClientSession() as session:
                url = f"http://127.0.0.1:{told['port']}"
                async with session.get(url + "/health") as answer:
                    assert (await answer.json())["dmsg_address"] == f"{key}:36"
                async with session.get(url + "/metrics") as answer:
                    counted = await answer.text()
            assert 'setup_node_routes_total{outcome="done"} 1' in counted
        await tasks.close()


async def asked(*arguments: str) -> tuple[int, str, str]:
    done = await asyncio.create_subprocess_exec(
        *COMMAND, "tps", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(LIMIT):
        out, errors = await done.communicate()
    return done.returncode or 0, out.decode(), errors.decode()


async def test_transports_through_the_setup_service() -> None:
    tasks = Tasks("visors")
    async with deployment() as net:
        client = await net.client()
        fake = Visor(client.public)
        listener = client.listen(DMSG_TRANSPORT_SETUP)
        tasks.spawn(serve_each(listener, fake.server().serve, name="fake visor"))
        text, key = config(net, port=0)
        async with started("tps", "-c", "-", stdin=text) as told:
            assert told["public_key"] == str(key)
            here = ("-z", f"http://127.0.0.1:{told['port']}")
            source = ("-1", str(client.public))
            other = key_pair()[0]
            code, out, _ = await asked("add", *source, "-2", str(other), "-t", "dmsg", *here)
            assert (code, json.loads(out)["Remote"]) == (0, str(other))
            code, out, _ = await asked("list", *source, *here, "--json")
            (shown,) = json.loads(out)["output"]
            code, out, _ = await asked("rm", *source, "-i", shown["ID"], "-p", *here)
            assert (code, json.loads(out)) == (0, {"Result": True})
            code, out, errors = await asked("rm", *source, "-i", shown["ID"], *here)
            assert (code, out) == (1, "")
            assert "transport not found" in errors
        await tasks.close()


async def test_a_service_that_is_not_there() -> None:
    code, _, errors = await asked("list", "-1", str(key_pair()[0]), "-z", "http://127.0.0.1:1")
    assert code == 1
    assert "transport setup service" in errors
    assert "Traceback" not in errors


def test_a_config_whose_keys_do_not_fit_is_refused() -> None:
    values = {"public_key": str(key_pair()[0]), "secret_key": key_pair()[1].hex()}
    text = json.dumps(values).encode()
    with pytest.raises(InvalidValue, match="does not belong"):
        load(text, "file", RouteSetupConfig)
    with pytest.raises(InvalidValue, match="does not belong"):
        load(text, "file", TransportSetupConfig)


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "sn", str(tmp_path / "none.json")], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 2
    assert "none.json" in done.stderr
    assert "Traceback" not in done.stderr
