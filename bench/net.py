"""Processes a figure needs: discovery, dmsg server, visor, a far peer; all on loopback.

with network() as net, far_process(net) as far:
    … far.facts["pk"] …
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.platform import ready

ROOT = Path(__file__).parent.parent
STOP_LIMIT = 15.0  # seconds for a process to end when asked to


class Child(NamedTuple):
    """A running process; `facts` is what it reported when it was up."""

    pid: int
    facts: dict[str, Any]


class Network(NamedTuple):
    discovery_url: str
    discovery: Child
    server: Child
    folder: Path
    server_pk: str


def report(**facts: object) -> None:
    """Say that we are up; the counterpart of `child`."""
    ready.report(**facts)


@contextmanager
def child(*arguments: str, folder: Path | None = None) -> Iterator[Child]:
    """Run `python ARGUMENTS` until it reports; stop it in the end."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder or ROOT,
        env=os.environ | {ready.VARIABLE: str(writing), "PYTHONPATH": str(ROOT)},
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with open(reading) as pipe:
            line = pipe.readline()
        if not line:
            raise RuntimeError(f"{' '.join(arguments)} did not come up")
        yield Child(process.pid, json.loads(line))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def network(max_sessions: int = 2048) -> Iterator[Network]:
    """`skywire dmsg disc` and `skywire dmsg server` as processes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skywire-bench-")))
        discovery = stack.enter_context(
            child(
                *("-m", "skywire", "dmsg", "disc", "-a", "127.0.0.1:0", "--test-mode"),
                *("--store", "sqlite::memory:", "--loglvl", "error"),
                folder=folder,
            )
        )
        url = f"http://127.0.0.1:{discovery.facts['port']}"
        public, secret = key_pair()
        config = {
            "public_key": str(public),
            "secret_key": secret.hex(),
            "discovery": url,
            "public_address": "127.0.0.1:0",
            "local_address": "127.0.0.1:0",
            "health_endpoint_address": "",
            "max_sessions": max_sessions,
            "log_level": "error",
        }
        (folder / "server.json").write_text(json.dumps(config))
        server = stack.enter_context(
            child("-m", "skywire", "dmsg", "server", "start", "-c", "server.json", folder=folder)
        )
        yield Network(url, discovery, server, folder, str(public))


@contextmanager
def far_process(net: Network | None = None) -> Iterator[Child]:
    """The peer at the far end (`peer.py`), on dmsg if there is a network."""
    with child("-m", "bench.peer", *([net.discovery_url] if net else [])) as peer:
        yield peer


@contextmanager
def visor(net: Network, whitelist: list[PubKey]) -> Iterator[tuple[Child, PubKey]]:
    """`skywire visor` with a pty host for the keys in `whitelist`, and its key."""
    public, secret = key_pair()
    folder = net.folder / f"visor-{public.hex()[:8]}"
    folder.mkdir(mode=0o700)
    config = {
        "sk": secret.hex(),
        "pk": str(public),
        "dmsg": {"discovery": net.discovery_url, "sessions_count": 1, "servers": []},
        "pty": {
            "dmsg_port": 22,
            "cli_network": "",
            "whitelist": [str(key) for key in whitelist],
            "persistent_sessions": True,
        },
        "hypervisors": [],
        "cli_addr": "",
        "local_path": "local",
        "log_level": "error",
    }
    (folder / "config.json").write_text(json.dumps(config))
    with child("-m", "skywire", "visor", "-c", "config.json", folder=folder) as process:
        yield process, public


@contextmanager
def demo() -> Iterator[dict[str, Any]]:
    """`skywire demo`: what it printed about its parts and its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "skywire", "demo", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the demo did not come up")
        yield json.loads(line)["output"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_LIMIT)
        process.stdout.close()
