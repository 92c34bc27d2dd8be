"""The configs and commands of the parts."""

import json
import socket
import stat
from pathlib import Path

import pytest

from skywire.config.load import ConfigFile
from skywire.demo import plan
from skywire.demo.state import StateDirectory
from skywire.errors import Conflict


def test_the_parts_and_what_they_wait_for(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as state:
        parts = {part.name: part for part in plan.make_parts(state, plan.Ports())}
    assert list(parts) == [
        "discovery",
        "server-1",
        "server-2",
        "services",
        "node-a",
        "node-b",
        "node-c",
    ]
    assert parts["discovery"].after == ()
    assert parts["server-2"].after == parts["services"].after == ("discovery",)
    assert parts["node-a"].after == ("server-1", "server-2", "services")
    assert parts["node-c"].after == ("server-1", "server-2", "services", "node-a")
    assert plan.web_url(list(parts.values())) == f"http://{parts['node-a'].address}/"
    assert len({part.address for part in parts.values()}) == len(parts)


def test_the_configs_are_private_and_valid(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as state:
        parts = {part.name: part for part in plan.make_parts(state, plan.Ports())}
    configs = {}
    for name in plan.NODES:
        file = parts[name].directory / "skywire-config.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        configs[name] = ConfigFile.load(file).config
        assert configs[name].pk == parts[name].public_key
        assert configs[name].hostname == name
        pty = configs[name].pty
        assert pty is not None
        assert pty.persistent_sessions
    hypervisor = configs["node-a"].hypervisor
    assert hypervisor is not None
    assert hypervisor.enable_auth
    assert hypervisor.http_addr == parts["node-a"].address
    assert configs["node-b"].hypervisor is None
    assert configs["node-b"].hypervisors == [parts["node-a"].public_key]
    server = parts["server-1"].directory / "skywire-config.json"
    assert stat.S_IMODE(server.stat().st_mode) == 0o600
    assert json.loads(server.read_text())["public_address"] == parts["server-1"].address


def test_the_nodes_are_a_line_that_routes_must_follow(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as state:
        parts = {part.name: part for part in plan.make_parts(state, plan.Ports())}
    neighbours = {"node-a": {"node-b"}, "node-b": {"node-a", "node-c"}, "node-c": {"node-b"}}
    for name, peers in neighbours.items():
        config = ConfigFile.load(parts[name].directory / "skywire-config.json").config
        keys = {str(parts[peer].public_key) for peer in peers}
        assert config.skywire_tcp is not None
        assert set(config.skywire_tcp.pk_table) == keys
        assert {str(each.pk) for each in config.persistent_transports} <= keys
        assert config.transport.address_resolver == ""  # nothing but stcp, and nothing by itself
        assert not config.routing.automatic_transports
        assert config.routing.route_setup_nodes == [parts["services"].public_key]
        assert parts[name].rpc == config.cli_addr


def test_the_secret_of_the_services_is_no_argument(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as state:
        parts = {part.name: part for part in plan.make_parts(state, plan.Ports())}
        secret = state.keys(["services"])["services"][1].hex()
    assert parts["services"].environment == {"SVC_SK": secret}
    assert not any(secret in word for word in parts["services"].command)
    assert secret not in repr(parts["services"])


def test_the_same_directory_gives_the_same_keys(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with StateDirectory(tmp_path) as state:
            keys.append([part.public_key for part in plan.make_parts(state, plan.Ports())])
    assert keys[0] == keys[1]


def test_a_given_port_is_used() -> None:
    with socket.socket() as probe:
        probe.bind((plan.HOST, 0))
        port = probe.getsockname()[1]
    assert plan.choose_ports([(0, ""), (port, "--x")])[1] == f"127.0.0.1:{port}"


def test_a_port_in_use_is_refused_by_name(tmp_path: Path) -> None:
    with socket.socket() as busy, StateDirectory(tmp_path) as state:
        busy.bind((plan.HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(Conflict, match=rf"--hypervisor-port {port} is not free"):
            plan.make_parts(state, plan.Ports(hypervisor=port))


def test_a_free_port_is_none_that_an_outgoing_connection_takes() -> None:
    addresses = plan.choose_ports([(0, "")] * 20)
    ports = {int(address.rpartition(":")[2]) for address in addresses}
    assert len(ports) == 20
    assert ports <= set(plan.FREE_PORTS)


def test_no_free_port_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind((plan.HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        monkeypatch.setattr(plan, "FREE_PORTS", [port] * plan.PORT_TRIES)
        with pytest.raises(Conflict, match=rf"TCP port {port} \(the last of 100\) is not free"):
            plan.choose_ports([(0, "")])


def test_the_same_port_twice_is_refused() -> None:
    (address,) = plan.choose_ports([(0, "")])
    port = int(address.rpartition(":")[2])
    with pytest.raises(Conflict, match=f"--two {port} is not free"):
        plan.choose_ports([(port, "--one"), (port, "--two")])
