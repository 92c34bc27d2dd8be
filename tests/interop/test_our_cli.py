"""Our command line drives a Go visor: every question, and the changes that do no harm."""

import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from skywire.crypto.generate import key_pair
from tests.interop.go import Go, Visor
from tests.interop.ours import Network
from tests.interop.processes import run_ours, wait_for

ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
OTHER = str(key_pair()[0])
TRANSPORT = str(uuid.UUID(int=7))
MISSING = "can't find method"  # what a visor of 2024 says to words of 2026


class Asked(NamedTuple):
    """A Go visor that is a hypervisor, and our command line for it."""

    visor: Visor
    run: Callable[..., Any]

    def output(self, words: str) -> Any:
        """The JSON of a command that succeeds."""
        done = self.run(*words.split(), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["output"]

    def failure(self, words: str) -> dict[str, Any]:
        done = self.run(*words.split(), "--json")
        assert (done.returncode, done.stdout) == (1, "")
        found: dict[str, Any] = json.loads(done.stderr)
        return found


@pytest.fixture(scope="module")
def asked(go: Go, our_net: Network, services: str, env: dict[str, str]) -> Asked:
    visor = Visor(go, our_net.discovery, services, hypervisor=True)
    there = env | {"SKYWIRE_RPC": visor.rpc}
    return Asked(visor, lambda *words: run_ours("cli", *words, env=there))


def test_it_tells_about_itself(asked: Asked, our_net: Network) -> None:
    info = asked.output("visor info")
    assert info["public_key"] == str(asked.visor.public)
    assert info["dmsg_server"] in ("", str(our_net.server))  # known after the first ping
    assert info["visor_version"].startswith("v1.3")
    assert info["time_online"] > 0
    assert asked.output("visor pk") == asked.output("pk") == str(asked.visor.public)
    assert asked.output("visor ver")["version"] == info["visor_version"]
    assert asked.output("visor uptime") > 0
    assert asked.output("visor health")["services_health"] in ("healthy", "connecting")
    assert asked.output("visor ready") is True
    assert asked.output("visor ip")["symmetric_nat"] is False
    assert isinstance(asked.output("visor dmsg-servers"), list)


def test_the_same_words_as_the_go_program(asked: Asked, go: Go) -> None:
    """What both print in JSON is the same, whatever else ours has to say."""
    for words in ("info", "ver", "pk", "ports"):
        theirs = go.run("cli", "visor", "--rpc", asked.visor.rpc, words, "--json")
        wanted, found = json.loads(theirs.stdout)["output"], asked.output(f"visor {words}")
        if isinstance(wanted, dict):
            assert wanted.keys() <= found.keys()
            same = wanted.keys() - {"time_online", "ping", "dmsg_server", "uptime_tracker", "ip"}
            # a stream that comes or goes between the questions is a port more or less
            same = {key for key in same if not key.startswith("dmsg_stream")}
            assert {key: found[key] for key in same} == {key: wanted[key] for key in same}
        else:
            assert found == wanted


def test_transports(asked: Asked) -> None:
    assert asked.output("tp") == []
    assert "dmsg" in asked.output("tp -u")
    assert asked.failure(f"tp -i {TRANSPORT}")["error"] == "not found"
    assert asked.failure(f"tp add {OTHER} -t nonsense")["error"] == (
        "save transport: unknown network type"
    )
    assert asked.output(f"tp rm {TRANSPORT}") == asked.output("tp rm -a") == "OK"
    assert asked.output("tp persistent") == []
    kept = asked.output(f"tp persistent add {OTHER} dmsg")
    assert kept == asked.output("tp persistent") == [{"pk": OTHER, "type": "dmsg"}]
    assert asked.output(f"tp persistent rm {OTHER} dmsg") == []
    assert asked.output("tp auto on") == asked.output("tp auto off") == "OK"


def test_rules(asked: Asked) -> None:
    own = str(asked.visor.public)
    assert asked.output("route") == []
    asked.output(f"route add b -i 71 -j 72 -k {TRANSPORT} -a 10m")
    asked.output(f"route add c -i 81 -j 82 -k {TRANSPORT} -l {own} -m 5 -p {OTHER} -q 6 -a 10m")
    rows = asked.output("route")
    assert [row["id"] for row in rows] == [71, 81]
    assert rows[0]["expire-at"] == 600_000_000_000
    assert (rows[1]["local_port"], rows[1]["remote_pk"], rows[1]["remote_port"]) == (5, OTHER, 6)
    assert asked.output("route -n") == 1
    assert asked.output("rg") == []  # and it lives
    assert asked.output("route rm 71") == asked.output("route rm 81") == "OK"
    assert asked.output("route") == []
    assert asked.output("route minhops 0") == asked.output("route minhops") == 0


def test_reward(asked: Asked) -> None:
    assert asked.output("reward") == {"address": ""}
    assert asked.output(f"reward {ADDRESS}") == asked.output("reward") == {"address": ADDRESS}
    assert asked.output("reward -d") == asked.output("reward") == {"address": ""}


def test_hypervisor(asked: Asked) -> None:
    status = asked.output("visor hv status")
    assert status == {
        "is_hypervisor": True,
        "url": f"{asked.visor.url}/",
        "configured": [],
        "connected": [],
    }
    assert asked.output("visor hv pk") == asked.output("visor hv cpk") == []
    assert asked.output("visor hv ui") == f"{asked.visor.url}/"
    (section,) = asked.output("visor hv ls")["sections"]
    assert (section["hypervisor_pk"], section["visors"]) == (str(asked.visor.public), [])
    assert asked.output("visor hv ls --flat") == asked.output("pty list") == []


def test_apps(asked: Asked) -> None:
    assert asked.output("visor app ls") == []
    assert asked.failure("visor app start nothing")["error"]


@pytest.mark.parametrize(
    "words",
    ["visor load", "visor log", "tp metrics", "dmsg sessions", f"visor hv add {OTHER}"],
)
def test_words_of_2026_are_told_to_be_unknown(asked: Asked, words: str) -> None:
    told = asked.failure(words)
    assert told["code"] == "not_supported"
    assert MISSING in told["error"]


def test_it_is_shut_down_in_the_end(asked: Asked) -> None:
    assert asked.output("visor halt") == "OK"
    wait_for(lambda: not asked.visor.program.running, "the end of the visor")
    assert asked.failure("visor uptime")["code"] == "dial_failed"
