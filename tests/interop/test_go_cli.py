"""The Go command line drives our visor: every command that reads, and those that write safely."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skywire.crypto.generate import key_pair
from tests.interop.go import Go
from tests.interop.ours import Network, Node, Ours
from tests.interop.processes import LOOPBACK, wait_for

DEFAULT = f"{LOOPBACK}:3435"  # the only place where some commands look for a visor
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
OTHER = str(key_pair()[0])
TRANSPORT = "00000000-0000-0000-0000-000000000001"
APPS = [
    {"name": name, "binary": "skywire", "args": ["app", name], "port": port}
    for name, port in (("skychat", 1), ("skysocks-client", 13), ("vpn-client", 43))
]


class Driven(NamedTuple):
    node: Node
    folder: Path
    run: Callable[..., str]

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))["output"]

    def refused(self, *words: str) -> str:
        return self.run(*words, code=1)


@pytest.fixture(scope="module")
def driven(go: Go, ours: Ours, our_net: Network, services: str) -> Iterator[Driven]:
    del services  # skips where there is a way out
    folder = ours.path("driven")
    folder.mkdir()
    launcher = {"apps": APPS, "server_addr": f"{LOOPBACK}:0", "bin_path": str(folder)}
    node = ours.visor(
        our_net.discovery, cli_addr=DEFAULT, launcher=launcher, local_path=str(folder)
    )

    def run(*words: str, code: int = 0) -> str:
        done = go.run("cli", *words)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == code, f"{' '.join(words)}: {said}"
        return said

    yield Driven(node, folder, run)
    node.program.stop()


def test_who_it_is(driven: Driven) -> None:
    pk = str(driven.node.public)
    info = driven.json("visor", "info")
    assert info["public_key"] == pk
    assert info["build_tag"] == "python"
    assert info["time_online"] > 0
    wait_for(
        lambda: driven.json("visor", "info")["dmsg_server"] != "0" * 66 or None, "a dmsg server"
    )
    assert f'Public key: "{pk}"' in driven.run("visor", "info")
    assert driven.run("visor", "pk").strip() == pk
    assert driven.json("visor", "ver")["version"].startswith("v")
    assert driven.run("visor", "hv", "pk").strip() == "[]"


def test_its_ports(driven: Driven) -> None:
    ports = driven.json("visor", "ports")
    assert ports["cli_addr"] == {"Port": "3435", "Type": "TCP"}
    assert ports["dmsg_pty"] == {"Port": "22", "Type": "DMSG"}
    assert ports["dmsg_session_0"]["Type"] == "TCP"
    assert ports["proc_addr"]["Type"] == "TCP"
    assert "DMSG: connection by dmsg service" in driven.run("visor", "ports")


def test_its_apps(driven: Driven) -> None:
    rows = driven.json("visor", "app", "ls")
    assert [(row["app"], row["port"]) for row in rows] == [
        (app["name"], app["port"]) for app in APPS
    ]
    assert {row["status"] for row in rows} == {"stopped"}
    assert driven.run("visor", "app", "arg", "autostart", "vpn-client", "true").strip() == "OK"
    assert [row["auto_start"] for row in driven.json("visor", "app", "ls")] == [False, False, True]
    assert driven.run("visor", "app", "arg", "autostart", "vpn-client", "false").strip() == "OK"
    assert driven.run("visor", "app", "arg", "killswitch", "vpn-client", "true").strip() == "OK"
    assert "app not running" in driven.refused("visor", "app", "stop", "skychat")
    assert driven.run("visor", "app", "log", "skychat", "beginning").strip() == "no logs"
    key = driven.run("visor", "app", "register", "-a", "mine").strip()
    assert re.fullmatch(r"[0-9a-f]{32}", key)
    assert driven.run("visor", "app", "deregister", "-k", key).strip() == "OK"
    assert driven.run("vpn", "status").strip() == "stopped"
    assert "app not running" in driven.refused("vpn", "stop")
    assert "skysocks-client" in driven.run("proxy", "status")


def test_its_transports(driven: Driven) -> None:
    assert "dmsg" in driven.run("tp", "-u").split()
    assert driven.json("tp") in ([], None)
    assert driven.run("tp", "rm", "-i", TRANSPORT).strip() == "OK"
    assert driven.run("tp", "rm", "-a").strip() == "OK"
    assert "save transport:" in driven.refused("tp", "add", OTHER, "-t", "dmsg")
    assert driven.json("tp", "disc", "-p", OTHER) in ([], None)
    assert TRANSPORT in driven.refused("tp", "disc", "-i", TRANSPORT)


def test_its_rules(driven: Driven) -> None:
    assert driven.run("route", "-n").strip().isdigit()
    assert driven.json("route") in ([], None)
    added = driven.run("route", "add", "b", "-i", "8", "-j", "9", "-k", TRANSPORT)
    assert "Routing Rule Key:" in added
    (row,) = driven.json("route")
    assert row["type"] == "IntermediaryForward"
    assert row["next_transport_id"] == TRANSPORT
    assert driven.json("route", "-i", "8")
    assert driven.run("route", "rm", "8").strip() == "OK"
    assert driven.json("route") in ([], None)


def test_its_reward_address(driven: Driven) -> None:
    assert ADDRESS in driven.run("reward", ADDRESS)
    assert (driven.folder / "reward.txt").read_text().strip() == ADDRESS


def test_its_ports_for_others(driven: Driven) -> None:
    driven.run("fwd", "-l")
    driven.run("rev", "-l")
    assert "not registered" in driven.refused("fwd", "-d", "4")


def test_its_hypervisor_and_terminals(driven: Driven) -> None:
    assert driven.run("dmsgpty", "list").strip() == ""


def test_it_reads_its_config_again_and_stops(driven: Driven) -> None:
    assert "Visor reloaded" in driven.run("visor", "reload")
    wait_for(lambda: driven.run("visor", "pk").strip() == str(driven.node.public), "its key")
    assert "Visor was shut down" in driven.run("visor", "halt")
    wait_for(lambda: not driven.node.program.running, "the end")
