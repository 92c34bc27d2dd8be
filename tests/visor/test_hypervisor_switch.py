"""A running visor becomes a hypervisor, and stops being one; hypervisors come and go."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar

from skywire.config.load import ConfigFile
from skywire.errors import InvalidValue, NotFound, Unavailable
from skywire.hypervisor.users import ADMIN, Users
from skywire.stores.users import UserStore
from skywire.streams.tcp import listen_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_hypervisors, ops_info
from skywire.visor.ops_hypervisors import HypervisorIn
from tests.visor.lines import online
from tests.visor.network import SOON, Net, Node, network

HERE = "127.0.0.1:0"


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    async with network(tmp_path) as started:
        await started.start_discovery()
        await started.start_server()
        yield started


def written(net: Net, tmp_path: Path, name: str) -> ConfigFile:
    """A config of a visor that is in a file, with a key that we do not know."""
    file = tmp_path / f"{name}.json"
    file.write_text(json.dumps(net.document(name) | {"of another": 1}))
    return ConfigFile.load(file)


def on_disk(node: Node) -> dict[str, object]:
    assert node.visor.file.path is not None
    found: dict[str, object] = json.loads(node.visor.file.path.read_text())
    return found


async def switch(node: Node, wanted: bool, address: str = HERE) -> str:
    """URL of the pages."""
    async with asyncio.timeout(SOON):
        found = await ops_hypervisors.set_hypervisor(node.visor, HypervisorIn(wanted, address))
    assert found.live
    return found.url


async def test_a_visor_becomes_a_hypervisor_and_stops_being_one(net: Net, tmp_path: Path) -> None:
    node = await net.start(written(net, tmp_path, "a"))
    url = await switch(node, True)
    section = on_disk(node)["hypervisor"]
    assert isinstance(section, dict)
    assert (section["enable_auth"], section["http_addr"]) == (True, HERE)
    assert len(section["cookies"]["hash_key"]) == 128
    assert on_disk(node)["of another"] == 1
    async with ClientSession() as session, session.get(f"{url}api/ping") as response:
        assert response.status == 200
    below = await net.start(net.config("b", hypervisors=[str(node.pk)]))
    await eventually(lambda: online(node) == [below.pk], SOON)

    assert await switch(node, False) == ""
    assert node.visor.managed is None
    assert on_disk(node)["hypervisor"] == section | {"enable": False}
    async with ClientSession() as session:
        with pytest.raises(OSError, match="Cannot connect"):
            await session.get(f"{url}api/ping")
    assert not (await ops_info.summary(node.visor)).is_hypervisor

    assert await switch(node, True, "")  # the section is as it was, with its address
    assert on_disk(node)["hypervisor"] == section
    await eventually(lambda: online(node) == [below.pk], SOON)
    assert await switch(node, True)
    assert await switch(node, False) == await switch(node, False) == ""


async def test_who_cannot_become_one_now_becomes_one_with_the_next_start(
    net: Net, tmp_path: Path
) -> None:
    node = await net.start(written(net, tmp_path, "a"))
    node.visor.make_hypervisor = None
    found = await ops_hypervisors.set_hypervisor(node.visor, HypervisorIn(True, HERE))
    assert (found.live, found.url) == (False, "")
    assert found.users == str(tmp_path / "users.db")
    assert "hypervisor" in on_disk(node)
    with pytest.raises(InvalidValue):
        await ops_hypervisors.set_hypervisor(node.visor, HypervisorIn(True, "no address"))


async def test_a_port_that_is_taken_is_told(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.visor.settings.HYPERVISOR_LIMIT", 0.5)
    node = await net.start(written(net, tmp_path, "a"))
    listener = await listen_tcp("127.0.0.1", 0)
    try:
        with pytest.raises(Unavailable, match=r"the hypervisor does not run: .*in use"):
            await switch(node, True, f"127.0.0.1:{listener.address.port}")
    finally:
        await listener.close()
        await switch(node, False)


async def test_a_hypervisor_is_added_and_removed(net: Net, tmp_path: Path) -> None:
    above = await net.start(net.hypervisor_config("b"))
    node = await net.start(written(net, tmp_path, "a"))
    await ops_info.add_hypervisor(node.visor, above.pk)
    await eventually(lambda: online(above) == [node.pk], SOON)
    assert on_disk(node)["hypervisors"] == [str(above.pk)]
    whitelist = node.visor.own_terminals().host.whitelist
    assert above.pk in whitelist

    async with asyncio.timeout(SOON):
        await ops_hypervisors.remove_hypervisor(node.visor, above.pk)
    assert on_disk(node)["hypervisors"] == []
    assert above.pk not in whitelist
    await eventually(lambda: online(above) == [], SOON)
    assert node.visor.connected_hypervisors == []
    with pytest.raises(NotFound, match="there is none"):
        await ops_hypervisors.remove_hypervisor(node.visor, above.pk)
    await ops_info.add_hypervisor(node.visor, above.pk)
    await eventually(lambda: online(above) == [node.pk], SOON)


async def test_a_password_that_is_changed_in_the_file_logs_everybody_out(
    net: Net, tmp_path: Path
) -> None:
    node = await net.start(net.hypervisor_config("a", auth=True))
    url = node.fact("hypervisor", "url")
    users = Users(UserStore(tmp_path / "users.db"), scheme="scrypt:16:8:1")
    await users.create(ADMIN, "Passw0rd!")

    async def log_in(session: ClientSession, password: str) -> int:
        body = {"username": ADMIN, "password": password}
        async with session.post(f"{url}api/login", json=body) as response:
            return response.status

    async def state(session: ClientSession) -> int:
        async with session.get(f"{url}api/about") as response:
            return response.status

    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        assert await log_in(session, "Passw0rd!") == 200
        assert await state(session) == 200
        await users.set_password(ADMIN, "An0ther1!")
        assert await state(session) == 401
        assert await log_in(session, "Passw0rd!") == 401
        assert await log_in(session, "An0ther1!") == 200
        assert await state(session) == 200
