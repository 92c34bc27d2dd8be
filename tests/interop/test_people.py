"""`status`, `doctor` and `top` at a Go visor: they show what it tells, and do no harm."""

import json
from typing import Any

import pytest

from tests.interop.go import Go, Visor
from tests.interop.ours import Network
from tests.interop.processes import run_ours


@pytest.fixture(scope="module")
def visor(go: Go, our_net: Network, services: str) -> Visor:
    return Visor(go, our_net.discovery, services, hypervisor=True)


def output(visor: Visor, env: dict[str, str], *words: str) -> Any:
    done = run_ours(*words, "--json", env=env | {"SKYWIRE_RPC": visor.rpc})
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["output"]


def test_status(visor: Visor, env: dict[str, str]) -> None:
    found = output(visor, env, "status")
    assert found["public_key"] == str(visor.public)
    assert found["version"].startswith("v1.3")
    assert {way["name"] for way in found["ways"]} == {"stcpr", "sudph", "dmsg", "skynet"}


def test_top(visor: Visor, env: dict[str, str]) -> None:
    found = output(visor, env, "top", "-d", "0.2")
    assert found["public_key"] == str(visor.public)
    assert found["parts"] == []
    assert found["route_groups"] == []


def test_doctor(visor: Visor, env: dict[str, str], our_net: Network, tmp_path: Any) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"dmsg": {"discovery": our_net.discovery}, "pty": None}))
    found = output(visor, env, "doctor", "-c", str(file))
    checks = {each["name"]: each for each in found["checks"]}
    assert checks["visor"]["verdict"] in ("GREEN", "YELLOW")  # its key is not the config's
    assert str(visor.public) in checks["visor"]["evidence"]
    assert checks["parts"]["verdict"] == "SKIPPED"
    assert checks["dmsg servers"]["verdict"] == "GREEN"
    # it still answers: nothing that was asked has harmed it
    assert output(visor, env, "status")["public_key"] == str(visor.public)
