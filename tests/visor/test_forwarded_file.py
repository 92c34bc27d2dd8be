"""The list of forwarded ports of a visor: what may be in it, and its file."""

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.appkit.forward_server import ForwardedPort
from skywire.appkit.network import Network
from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, Forbidden, InvalidValue, NotFound, SkywireError, Unavailable
from skywire.streams.ports import PortTable
from skywire.streams.stream import Address, Listener, Stream
from skywire.visor.forwarding import FILE, MAX_PORTS, Forwarding

PK = deterministic_key_pair(b"visor")[0]
RPC = HostPort("localhost:3435")


class Nowhere:
    """Nobody can be dialled; ports can be listened on."""

    def __init__(self) -> None:
        self.ports: PortTable[Stream] = PortTable(8, "in use")

    async def dial(self, remote: PubKey, port: int) -> Stream:
        raise NotFound("nobody is there")

    def listen(self, port: int) -> Listener:
        return self.ports.listen(Address.dmsg(PK, port))


@asynccontextmanager
async def forwarding(folder: Path, dmsg: Nowhere | None = None) -> AsyncIterator[Forwarding]:
    network = Network(dmsg or Nowhere(), None)
    async with Forwarding(PK, network, folder, RPC) as made:
        yield made


async def test_the_file_is_private_and_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    entry = ForwardedPort(80, "a", "b", "web:8080", [PK], inject_pk=True, preserve_host=True)
    async with forwarding(folder) as made:
        assert not (folder / FILE).exists()
        made.add(entry)
        made.add(ForwardedPort(port=22, name="mine"))
    file = folder / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (ssh, web) = json.loads(file.read_text())["ports"]
    assert (ssh["port"], ssh["name"], web["whitelist"]) == (22, "mine", [str(PK)])
    async with forwarding(folder) as made:
        assert [each.port for each in made.ports] == [22, 80]
        assert made.ports[1].whitelist == [PK]
        assert made.ports[1].name == "skynet-80"
        made.remove(22)
    async with forwarding(folder) as made:
        assert [each.port for each in made.ports] == [80]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"ports":[{"port":0}]}', '{"ports":[{"port":"80"}]}', '{"ports":80}', "\0"],
)
async def test_a_file_that_makes_no_sense_is_put_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    async with forwarding(tmp_path) as made:
        assert made.ports == []
        assert (tmp_path / FILE).with_suffix(".bad").read_text() == text
        made.add(ForwardedPort(port=80))
    assert json.loads((tmp_path / FILE).read_text())["ports"][0]["port"] == 80


async def test_what_cannot_be_kept_is_not_forwarded(tmp_path: Path) -> None:
    dmsg = Nowhere()
    async with forwarding(tmp_path / "local", dmsg) as made:
        made.add(ForwardedPort(port=80))
        (tmp_path / "local" / FILE).unlink()
        (tmp_path / "local").rmdir()
        (tmp_path / "local").write_text("a file where a directory was")
        with pytest.raises(Unavailable, match=FILE):
            made.add(ForwardedPort(port=8080, dmsg=True))
        with pytest.raises(Unavailable):
            made.add(ForwardedPort(port=80, whitelist=[PK]))
        with pytest.raises(Unavailable):
            made.remove(80)
        assert made.ports == [ForwardedPort(port=80, name="skynet-80")]


@pytest.mark.parametrize(
    ("entry", "kind", "reason"),
    [
        (ForwardedPort(), InvalidValue, "port 0"),
        (ForwardedPort(port=65536), InvalidValue, "port 65536"),
        (ForwardedPort(port=80, target="web"), InvalidValue, "host:port"),
        (ForwardedPort(port=80, target="web:0"), InvalidValue, "host:port or a port"),
        (ForwardedPort(port=80, no_skynet=True), InvalidValue, "on skynet, on dmsg"),
        (ForwardedPort(port=80, label="x" * 201), InvalidValue, "label of 201"),
        (ForwardedPort(port=80, whitelist=[PK] * 1025), InvalidValue, "1025 keys"),
        (ForwardedPort(port=80, dmsg=True), Conflict, "the visor's own"),
        (ForwardedPort(port=46, dmsg=True), Conflict, "the visor's own"),
        (ForwardedPort(port=3435), Forbidden, "no authentication"),
        (ForwardedPort(port=80, target="localhost:3435"), Forbidden, "no authentication"),
    ],
)
async def test_entries_that_are_refused(
    tmp_path: Path, entry: ForwardedPort, kind: type[SkywireError], reason: str
) -> None:
    async with forwarding(tmp_path) as made:
        with pytest.raises(kind, match=reason):
            made.add(entry)
        assert made.ports == []
        assert not (tmp_path / FILE).exists()


async def test_the_rpc_may_be_forwarded_to_those_who_are_named(tmp_path: Path) -> None:
    async with forwarding(tmp_path) as made:
        made.add(ForwardedPort(port=3435, whitelist=[PK]))
        assert made.ports[0].whitelist == [PK]


async def test_there_are_only_so_many(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [{"port": port} for port in range(1, MAX_PORTS + 1)]
    (tmp_path / FILE).write_text(json.dumps({"ports": entries, "unknown": 1}))
    async with forwarding(tmp_path) as made:
        assert len(made.ports) == MAX_PORTS
        with pytest.raises(InvalidValue, match="remove one first"):
            made.add(ForwardedPort(port=MAX_PORTS + 1))
        made.add(ForwardedPort(port=1, label="another one"))  # in the place of the first


async def test_a_dmsg_port_is_taken_and_given_back(tmp_path: Path) -> None:
    dmsg = Nowhere()
    async with forwarding(tmp_path, dmsg) as made:
        taken = dmsg.listen(9000)
        with pytest.raises(Conflict, match="9000"):
            made.add(ForwardedPort(port=9000, dmsg=True))
        assert made.ports == []
        await taken.close()
        made.add(ForwardedPort(port=9000, dmsg=True))
        assert dmsg.ports.listener(9000) is not None
        made.add(ForwardedPort(port=9000, label="no longer on dmsg"))
    assert dmsg.ports.listener(9000) is None
