"""Our config files read by the Go program, and its files read by us."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from skywire.config.check import warnings
from skywire.config.load import ConfigFile
from skywire.crypto.generate import key_pair
from tests.interop.go import Go
from tests.interop.processes import run_ours

OTHER, _ = key_pair()
NEWER = "_dmsg"  # end of the keys that a program of 2024 does not have


def ours(folder: Path, env: dict[str, str], *options: str) -> Path:
    path = folder / "ours.json"
    done = run_ours("cli", "config", "gen", "-o", str(path), *options, env=env)
    assert done.returncode == 0, done.stderr
    return path


def known_in_2024(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {key: known_in_2024(value) for key, value in values.items() if not key.endswith(NEWER)}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-i", "-j", str(OTHER), "--dmsgpty", str(OTHER), "-v", "--secure", "true"],
        ["-d", "--minsess", "0", "-y", "-z", "-l"],
        ["-t", "--http", "-m", "--shutdown", "1m30s"],
    ],
    ids=["plain", "hypervisor", "dmsg", "test"],
)
def test_go_reads_every_value_of_our_file(
    go: Go, env: dict[str, str], tmp_path: Path, options: list[str]
) -> None:
    path = ours(tmp_path, env, *options)
    mine = json.loads(path.read_bytes())
    done = go.run("cli", "config", "update", "-i", str(path), "-o", str(path))
    assert done.returncode == 0, done.stdout
    gos = json.loads(path.read_bytes())
    for document in (mine, gos):
        del document["version"]  # each writes its own
        del document["persistent_transports"]  # [] and null
    mine.pop("conf_service_dmsg", None)
    assert known_in_2024(mine) == gos
    read = go.run("cli", "visor", "pk", "-i", str(path))
    assert mine["pk"].encode() in read.stdout


def test_a_file_of_go_is_ours_and_stays_as_it_is(
    go: Go, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "services-config.json").write_text(_services())
    path = tmp_path / "go.json"
    done = go.run(
        *("cli", "config", "gen", "--nofetch", "-i", "-j", str(OTHER), "-w", "-o", str(path)),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    before = path.read_bytes()
    file = ConfigFile.load(path)
    file.update(file.config)
    assert path.read_bytes() == before == file.rendered(file.config)
    file.update(replace(file.config, is_public=True))
    file.update(replace(file.config, is_public=False))
    assert path.read_bytes() == before
    told = warnings(ConfigFile.load(path))
    assert [each for each in told if "no key of this program" in each] == []
    checked = run_ours("cli", "config", "check", str(path), env=env)
    assert checked.returncode == 0, checked.stderr


def test_what_ours_changes_in_gos_file_go_reads(
    go: Go, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "services-config.json").write_text(_services())
    path = tmp_path / "go.json"
    go.run("cli", "config", "gen", "--nofetch", "-i", "-w", "-o", str(path), cwd=tmp_path)
    changed = run_ours(
        *("cli", "config", "update", "hv", "-+", str(OTHER), "-i", str(path)), env=env
    )
    assert changed.returncode == 0, changed.stderr
    told = go.run("cli", "visor", "hv", "cpk", "-i", str(path))
    assert str(OTHER).encode() in told.stdout


def _services() -> str:
    """The Go program makes no config without this file."""
    services = {
        name: f"http://127.0.0.1:1/{name}"
        for name in (
            "dmsg_discovery",
            "transport_discovery",
            "address_resolver",
            "route_finder",
            "uptime_tracker",
            "service_discovery",
        )
    }
    keys = {name: [str(OTHER)] for name in ("route_setup_nodes", "transport_setup")}
    return json.dumps({"prod": services | keys, "test": services | keys})
