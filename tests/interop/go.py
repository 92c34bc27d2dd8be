"""The programs of the Go reference that the tests run against, each on loopback only."""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from tests.interop.processes import (
    LOOPBACK,
    START_LIMIT,
    Program,
    free_port,
    get_json,
)

TRIES = 6  # of a Go client that may lose its session at a Go server


class Go:
    """Starts the Go programs; `close` ends them all. Logs and configs are in `folder`.

    The discovery is always given: the programs would use a public one otherwise.
    """

    def __init__(self, binary: str, folder: Path, env: Mapping[str, str]) -> None:
        self.binary = binary
        self.folder = folder
        self.env = env
        self._programs: list[Program] = []
        self._count = 0

    def close(self) -> None:
        for program in self._programs:  # a visor takes 4 s: let them end side by side
            program.signal(signal.SIGTERM)
        for program in self._programs:
            program.stop()

    def path(self, name: str) -> Path:
        """A new path; a unix socket's may be 107 characters long."""
        self._count += 1
        return self.folder / f"{self._count}-{name}"

    def start(self, *command: str, name: str, executable: str | None = None) -> Program:
        program = Program(
            command, log=self.path(f"{name}.log"), env=self.env, executable=executable
        )
        self._programs.append(program)
        return program

    def run(
        self,
        *arguments: str,
        limit: float = START_LIMIT,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> "subprocess.CompletedProcess[bytes]":
        """`skywire ARGUMENTS` to its end."""
        return subprocess.run(
            [self.binary, *arguments],
            cwd=cwd or self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
        )

    # Services

    def redis(self) -> str:
        """URL of a Redis of its own, on which the Go discovery depends."""
        server = shutil.which("redis-server")
        if server is None:
            pytest.fail("the Go discovery needs redis-server: apt install redis-server")
        port = free_port()
        command = [server, "--port", str(port), "--bind", LOOPBACK, "--dir", str(self.folder)]
        program = self.start(*command, "--save", "", "--appendonly", "no", name="redis")
        program.until_printed("Ready to accept connections")
        return f"redis://{LOOPBACK}:{port}"

    def discovery(self, redis: str) -> str:
        """URL of a discovery."""
        address = f"{LOOPBACK}:{free_port()}"
        self.start_discovery(redis, address)
        return f"http://{address}"

    def start_discovery(self, redis: str, address: str, *more: str) -> Program:
        command = [self.binary, "dmsg", "disc", "--addr", address, "--redis", redis, "--test-mode"]
        program = self.start(*command, *more, name="go-discovery")
        program.until(lambda: get_json(f"http://{address}/health"), "an answer")
        return program

    def server(self, discovery: str, **more: Any) -> tuple[PubKey, Program]:
        """A dmsg server, once the discovery lists it. `more` changes its config."""
        public, secret = key_pair()
        address = f"{LOOPBACK}:{free_port()}"
        config = {
            "public_key": str(public),
            "secret_key": secret.hex(),
            "discovery": discovery,
            "public_address": address,
            "local_address": address,
            "health_endpoint_address": f"{LOOPBACK}:{free_port()}",
            "log_level": "info",
            "max_sessions": 2048,
        }
        file = self.path("server.json")
        file.write_text(json.dumps(config | more))
        program = self.start(self.binary, "dmsg", "server", "start", str(file), name="go-server")
        program.until(lambda: public in servers(discovery), "its registration")
        return public, program

    # Tools

    def http(self, discovery: str, folder: Path, *more: str) -> PubKey:
        """Key of a server of the files in `folder`, on dmsg port 80."""
        public, secret = key_pair()
        command = [self.binary, "dmsg", "http", "-D", discovery, "-s", secret.hex()]
        program = self.start(*command, "-d", f"{folder}/", "-p", "80", *more, name="go-http")
        program.until_printed("Serving")
        return public

    def curl(self, discovery: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Prints the body and one LF."""
        return self._dialling("dmsg", "curl", "-c", discovery, "-l", "error", *arguments)

    def ip(self, discovery: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        return self._dialling("dmsg", "ip", "-c", discovery, "-l", "error", *arguments)

    def _dialling(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """A Go client that opens a stream at once loses one session in eight at a Go server, which
        takes no first byte with the end of the handshake (dmsg.md §4): then again.
        """
        for _ in range(TRIES):
            done = self.run(*arguments)
            if not any(text in done.stdout + done.stderr for text in (b"EOF", b"stream closed")):
                break
        return done

    # Terminals

    def pty_host(self, discovery: str, *whitelist: PubKey) -> "PtyHost":
        """A pty host without a visor, for the keys of `whitelist`."""
        return PtyHost(self, discovery, whitelist)

    def pty_command(self, socket: Path, *command: str, remote: PubKey | None = None) -> list[str]:
        """The command line of a terminal on the host of `socket`, or through it on `remote`.

        It needs a terminal itself.
        """
        config = self.path("cli.json")
        config.write_text(json.dumps({"clinet": "unix", "cliaddr": str(socket)}))
        line = [self.binary, "dmsg", "pty", "cli", "-p", str(config)]
        if remote is not None:
            line += ["--addr", f"{remote}:22"]
        if command:
            line += ["-c", command[0]]
            for argument in command[1:]:
                line += ["-a", argument]
        return line


class Visor:
    """A Go node with a terminal host, and a hypervisor if `hypervisor` is set.

    It listens on every address of the machine for transports, which no config can change, and calls
    public services where the config names none: give it a machine without a way out. `services`
    answers for all that it will not start without.
    """

    def __init__(
        self,
        go: Go,
        discovery: str,
        services: str,
        *,
        hypervisors: Sequence[PubKey] = (),
        whitelist: Sequence[PubKey] = (),
        hypervisor: bool = False,
        dmsg: Mapping[str, Any] | None = None,
        apps: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`dmsg` changes that section of the config; `discovery` stays the URL that we ask.

        The program of `apps` is "skywire", the Go one.
        """
        self.public, secret = key_pair()
        self.socket = go.path("v.sock")
        self.rpc = f"{LOOPBACK}:{free_port()}"
        self.url = ""  # of the hypervisor
        nowhere = go.env["HTTP_PROXY"]
        work = go.path("visor")
        work.mkdir()
        (work / "skywire").symlink_to(go.binary)
        config: dict[str, Any] = {
            "version": "v1.3.28",
            "sk": secret.hex(),
            "pk": str(self.public),
            "dmsg": {
                "discovery": discovery,
                "sessions_count": 1,
                "servers": [],
                "servers_type": "all",
                **(dmsg or {}),
            },
            "dmsgpty": {
                "dmsg_port": 22,
                "cli_network": "unix",
                "cli_address": str(self.socket),
                "whitelist": [str(key) for key in whitelist],
            },
            "skywire-tcp": {"pk_table": {}, "listening_address": f"{LOOPBACK}:0"},
            "transport": {
                "discovery": services,
                "address_resolver": services,
                "public_autoconnect": False,
                "transport_setup": [],
                "log_store": {"type": "memory", "location": "", "rotation_interval": "168h0m0s"},
                "stcpr_port": 0,
                "sudph_port": 0,
            },
            "routing": {
                "route_setup_nodes": [],
                "route_finder": nowhere,
                "route_finder_timeout": "10s",
                "min_hops": 0,
            },
            "uptime_tracker": {"addr": services},
            "launcher": {
                "service_discovery": nowhere,
                "apps": [dict(app) for app in apps],
                "server_addr": f"{LOOPBACK}:{free_port()}",
                "bin_path": str(work),
                "display_node_ip": False,
            },
            "survey_whitelist": [],
            "hypervisors": [str(key) for key in hypervisors],
            "cli_addr": self.rpc,
            "log_level": "info",
            "local_path": str(work / "local"),
            "dmsghttp_server_path": str(work / "custom"),
            "stun_servers": [],
            "shutdown_timeout": "10s",
            "is_public": False,
            "persistent_transports": None,
        }
        if hypervisor:
            address = f"{LOOPBACK}:{free_port()}"
            self.url = f"http://{address}"
            config["hypervisor"] = {
                "db_path": str(work / "users.db"),
                "enable_auth": False,
                "cookies": {
                    "hash_key": "1" * 128,
                    "block_key": "2" * 64,
                    "expires_duration": 43_200_000_000_000,
                    "path": "/",
                    "domain": "",
                },
                "dmsg_port": 46,
                "http_addr": address,
                "enable_tls": False,
            }
        self._go = go
        self._file = go.path("visor.json")
        self._file.write_text(json.dumps(config))
        self._entry = f"{discovery}/dmsg-discovery/entry/{self.public}"
        self.start()

    def start(self) -> None:
        """Again, after its program has ended."""
        self.program = self._go.start(
            self._go.binary, "visor", "-c", str(self._file), name="go-visor"
        )
        self.program.until(lambda: get_json(self._entry), "its entry")
        self.program.until_printed("Startup complete")
        if self.url:
            self.program.until(lambda: get_json(f"{self.url}/api/visors"), "its pages")


class PtyHost:
    """`socket` is its control socket."""

    def __init__(self, go: Go, discovery: str, whitelist: tuple[PubKey, ...]) -> None:
        self.public, secret = key_pair()
        self.socket = go.path("h.sock")
        config = {
            "dmsgdisc": discovery,
            "dmsgsessions": 1,
            "dmsgport": 22,
            "clinet": "unix",
            "cliaddr": str(self.socket),
            "sk": secret.hex(),
            "pk": str(self.public),
            "wl": [str(key) for key in whitelist],
        }
        file = go.path("host.json")
        file.write_text(json.dumps(config))
        # It reads the file only under the name of its command.
        command = ["host", "dmsg", "pty", "host", "-c", str(file)]
        self.program = go.start(*command, name="go-pty-host", executable=go.binary)
        self.program.until_printed("Listening for dmsg streams")
        entry = f"{discovery}/dmsg-discovery/entry/{self.public}"
        self.program.until(lambda: get_json(entry), "its entry")


def servers(discovery: str) -> dict[PubKey, dict[str, Any]]:
    """The dmsg servers that `discovery` lists, as JSON objects."""
    found = get_json(f"{discovery}/dmsg-discovery/available_servers") or []
    return {PubKey.parse(entry["static"]): entry for entry in found}


class Nonces(BaseHTTPRequestHandler):
    """As much of a transport discovery, address resolver and uptime tracker as starts a visor."""

    def do_GET(self) -> None:
        _, _, key = self.path.rpartition("/")
        body = json.dumps({"edge": key, "next_nonce": 1}).encode()
        self.send_response(200 if self.path.startswith("/security/nonces/") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to the test's output."""


@contextmanager
def nonces() -> Iterator[str]:
    """URL of `Nonces`."""
    with ThreadingHTTPServer((LOOPBACK, 0), Nonces) as server:
        thread = threading.Thread(target=server.serve_forever, name="nonces")
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def has_way_out() -> bool:
    """This machine (or network namespace) has a default route."""
    four = Path("/proc/net/route").read_text().splitlines()[1:]
    six = Path("/proc/net/ipv6_route")
    if any(line.split()[1] == "00000000" for line in four):
        return True
    routes = [line.split() for line in six.read_text().splitlines()] if six.exists() else []
    return any(route[1] == "00" and route[-1] != "lo" for route in routes)


BINARY = os.environ.get("SKYWIRE_PEER_BIN", "")
