"""What the demo consists of: directories, two dmsg servers, three nodes; their files and commands.

    discovery ◀── server-1, server-2, services ◀── node-a (hypervisor) ◀── node-b, node-c

    node-a ═══ node-b ═══ node-c          transports: a route from A to C has two hops

Everything listens on the loopback address only. Node B and node C are controlled by node A, the
hypervisor: it may open a terminal on them (`hypervisors` in their configs). "services" are those of
transports and routes, in one process; they answer on dmsg, too, where the setup node is.
"""

import json
import random
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skywire.config.load import write_private
from skywire.crypto.keys import PubKey, SecKey
from skywire.demo.part import Part
from skywire.demo.state import StateDirectory
from skywire.errors import Conflict
from skywire.services.everything import PORTS
from skywire.services.host import service_key

HOST = "127.0.0.1"
FREE_PORTS = range(20_000, 32_000)  # below Linux' ports for outgoing connections
PORT_TRIES = 100
DISCOVERY = "discovery"
SERVERS = ("server-1", "server-2")
SERVICES = "services"
HYPERVISOR = "node-a"
NODES = (HYPERVISOR, "node-b", "node-c")
NEIGHBOURS = {"node-a": ("node-b",), "node-b": ("node-a", "node-c"), "node-c": ("node-b",)}
# Who opens a transport: A is up before the others; of B and C, whoever comes last finds the other.
OPENS = {"node-a": (), "node-b": ("node-a", "node-c"), "node-c": ("node-b",)}
SERVICE_NAMES = tuple(PORTS)
NOTHING: Mapping[str, str] = {}
_CONFIG = "skywire-config.json"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """TCP ports; 0 takes a free one."""

    hypervisor: int = 0
    discovery: int = 0
    servers: tuple[int, int] = (0, 0)


def make_parts(state: StateDirectory, ports: Ports) -> list[Part]:
    """Write the configs and say what to start. Raises Conflict for a port in use."""
    keys = state.keys([*SERVERS, SERVICES, *NODES])
    given = [
        (ports.discovery, "--discovery-port"),
        *((port, "--server-port") for port in ports.servers),
        (ports.hypervisor, "--hypervisor-port"),
    ]
    free = len(SERVICE_NAMES) + 2 * len(NODES)
    discovery, server_1, server_2, web, *others = choose_ports([*given, *[(0, "")] * free])
    services = dict(zip(SERVICE_NAMES, others, strict=False))
    rpc = dict(zip(NODES, others[len(services) :], strict=False))
    stcp = dict(zip(NODES, others[len(services) + len(rpc) :], strict=True))
    discovery_url = f"http://{discovery}"
    parts = [_discovery(state, discovery)]
    for name, address in zip(SERVERS, (server_1, server_2), strict=True):
        parts.append(_server(state, name, keys[name], address, discovery_url))
    secret = keys[SERVICES][1]
    parts.append(_services(state, secret, services, discovery_url))
    hypervisor_key = str(keys[HYPERVISOR][0])
    for name in NODES:
        config = _node_config(name, keys[name], discovery_url, rpc[name])
        config |= _skynet_config(name, keys, stcp, services, service_key(secret, "sn").public())
        if name == HYPERVISOR:
            config["hypervisor"] = _hypervisor_section(web)
        else:
            config["hypervisors"] = [hypervisor_key]
        _write_config(state.directory(name), config)
        address = web if name == HYPERVISOR else rpc[name]
        parts.append(_node(state, name, keys[name][0], address, rpc[name]))
    return parts


def web_url(parts: Sequence[Part]) -> str:
    (hypervisor,) = (part for part in parts if part.name == HYPERVISOR)
    return f"http://{hypervisor.address}/"


def _discovery(state: StateDirectory, address: str) -> Part:
    return _part(
        state,
        DISCOVERY,
        "dmsg discovery",
        ["dmsg", "disc", "--addr", address, "--store", "sqlite:///discovery.db", "--test-mode"],
        address=address,
    )


def _server(
    state: StateDirectory, name: str, keys: tuple[PubKey, SecKey], address: str, discovery_url: str
) -> Part:
    config = {
        "public_key": str(keys[0]),
        "secret_key": keys[1].hex(),
        "discovery": discovery_url,
        "public_address": address,
        "local_address": address,
        "health_endpoint_address": "",
        "max_sessions": 2048,
        "log_level": "info",
    }
    _write_config(state.directory(name), config)
    return _part(
        state,
        name,
        "dmsg server",
        ["dmsg", "server", "start", "--config", _CONFIG],
        address=address,
        public_key=keys[0],
        after=(DISCOVERY,),
    )


def _services(
    state: StateDirectory, secret: SecKey, services: dict[str, str], discovery_url: str
) -> Part:
    ports = [f"--port={name}={address.rpartition(':')[2]}" for name, address in services.items()]
    return _part(
        state,
        SERVICES,
        "transport, route services",
        ["svc", "all", "--host", HOST, "--allow-loopback", "--dmsg-disc", discovery_url, *ports],
        address=services["conf"],
        public_key=service_key(secret, "sn").public(),
        after=(DISCOVERY,),
        environment={"SVC_SK": secret.hex()},  # arguments could be seen by others
    )


def _node(state: StateDirectory, name: str, public_key: PubKey, address: str, rpc: str) -> Part:
    is_hypervisor = name == HYPERVISOR
    before = (*SERVERS, SERVICES)
    return _part(
        state,
        name,
        "node, hypervisor" if is_hypervisor else "node",
        ["visor", "--config", _CONFIG],
        address=address,
        public_key=public_key,
        rpc=rpc,
        after=before if is_hypervisor else (*before, HYPERVISOR),
    )


def _part(
    state: StateDirectory,
    name: str,
    what: str,
    arguments: list[str],
    *,
    address: str,
    public_key: PubKey | None = None,
    rpc: str = "",
    after: tuple[str, ...] = (),
    environment: Mapping[str, str] = NOTHING,
) -> Part:
    directory = state.directory(name)
    return Part(
        name=name,
        what=what,
        command=(sys.executable, "-m", "skywire", *arguments),
        directory=directory,
        log=directory / "log.txt",
        address=address,
        public_key=public_key,
        rpc=rpc,
        after=after,
        environment=environment,
    )


def _node_config(
    name: str, keys: tuple[PubKey, SecKey], discovery_url: str, rpc: str
) -> dict[str, Any]:
    return {
        "sk": keys[1].hex(),
        "pk": str(keys[0]),
        "dmsg": {"discovery": discovery_url, "sessions_count": 1, "servers": []},
        "pty": {
            "dmsg_port": 22,
            "cli_network": "unix",
            "cli_address": "pty.sock",  # in the node's directory
            "whitelist": [],
            "persistent_sessions": True,
        },
        "hypervisors": [],
        "hostname": name,
        "cli_addr": rpc,
        "log_level": "info",
    }


def _skynet_config(
    name: str,
    keys: Mapping[str, tuple[PubKey, SecKey]],
    stcp: Mapping[str, str],
    services: Mapping[str, str],
    setup_node: PubKey,
) -> dict[str, Any]:
    """Transports to the neighbours only, none of them opened for a route."""
    return {
        "skywire-tcp": {
            "listening_address": stcp[name],
            "pk_table": {str(keys[peer][0]): stcp[peer] for peer in NEIGHBOURS[name]},
        },
        "transport": {
            "discovery": f"http://{services['tpd']}",
            "log_store": {"type": "file", "location": "transport_logs"},
        },
        "routing": {
            "route_finder": f"http://{services['rf']}",
            "route_setup_nodes": [str(setup_node)],
            "automatic_transports": False,
        },
        "persistent_transports": [
            {"pk": str(keys[peer][0]), "type": "stcp"} for peer in OPENS[name]
        ],
    }


def _hypervisor_section(web: str) -> dict[str, Any]:
    return {
        "db_path": "users.db",
        "enable_auth": True,
        "dmsg_port": 46,
        "http_addr": web,
        "enable_tls": False,
    }


def _write_config(directory: Path, config: dict[str, Any]) -> None:
    write_private(directory / _CONFIG, json.dumps(config, indent="\t").encode())


def choose_ports(wanted: Sequence[tuple[int, str]]) -> list[str]:
    """For each port (0: any) and the option it came from, an address that is free now.

    Raises Conflict for a port in use.
    """
    addresses = []
    with ExitStack() as probes:  # all open until the last is found: no port is given twice
        for port, option in wanted:
            probe = probes.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the parts will bind
            if port:
                _take(probe, port, f"{option} {port}")
            else:
                _take_any(probe)
            addresses.append(f"{HOST}:{probe.getsockname()[1]}")
    return addresses


def _take(probe: socket.socket, port: int, what: str) -> None:
    try:
        probe.bind((HOST, port))
        probe.listen(1)
    except OSError as error:
        raise Conflict(
            f"{what} is not free: {error.strerror}; choose another, or 0 for any"
        ) from error


def _take_any(probe: socket.socket) -> None:
    """Not from the range the system takes ports of outgoing connections from: such a connection
    could have the port before the part does."""
    candidates = random.sample(FREE_PORTS, PORT_TRIES)
    for port in candidates[:-1]:
        with suppress(Conflict):
            return _take(probe, port, "")
    return _take(probe, candidates[-1], f"TCP port {candidates[-1]} (the last of {PORT_TRIES})")
