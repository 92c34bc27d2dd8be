"""Files of the Go program of October 2024: read, and written back byte for byte.

The vectors are `config gen` and `config update` of commit 992173ea7, with other keys.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from skywire.config.check import warnings
from skywire.config.document import plain
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.testing.vectors import ROOT

PK, SK, _ = deterministic_key_pair(b"config")
FILES = ["go_gen", "go_gen_dmsg", "go_rewritten"]


@pytest.fixture(params=FILES)
def go_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "skywire-config.json"
    path.write_bytes((ROOT / "config" / f"{request.param}.json").read_bytes())
    return path


def test_it_comes_back_unchanged(go_file: Path) -> None:
    before, times = go_file.read_bytes(), go_file.stat()
    file = ConfigFile.load(go_file)
    file.update(file.config)
    assert go_file.read_bytes() == before == file.rendered(file.config)
    assert go_file.stat().st_mtime_ns == times.st_mtime_ns
    assert os.listdir(go_file.parent) == [go_file.name]


def test_a_change_there_and_back_changes_nothing(go_file: Path) -> None:
    before = go_file.read_bytes()
    file = ConfigFile.load(go_file)
    old = file.config
    file.update(replace(old, routing=replace(old.routing, min_hops=3)))
    changed = go_file.read_bytes().splitlines()
    assert [
        (ours.strip(), theirs.strip())
        for ours, theirs in zip(changed, before.splitlines(), strict=True)
        if ours != theirs
    ] == [(b'"min_hops": 3', b'"min_hops": 0')]
    file.update(old)
    assert go_file.read_bytes() == before


def test_nothing_in_it_is_strange(go_file: Path) -> None:
    go_file.chmod(0o600)
    told = [each for each in warnings(ConfigFile.load(go_file)) if "enable_auth" not in each]
    assert told == []


def test_every_value_of_it_is_understood() -> None:
    config = ConfigFile.load(ROOT / "config" / "go_gen.json").config
    assert (config.pk, config.sk, config.version) == (PK, SK, "v1.3.28-17-g992173ea7")
    assert [app.name for app in config.launcher.apps] == [
        "vpn-client",
        "skychat",
        "skysocks",
        "skysocks-client",
        "vpn-server",
        "example-server-app",
    ]
    assert config.launcher.apps[0].args == ["app", "vpn-client", "--dns", "1.1.1.1"]
    assert (config.launcher.server_addr, config.launcher.bin_path) == ("localhost:5505", "./")
    assert config.uptime_tracker is not None
    assert config.uptime_tracker.addr == "http://ut.skywire.skycoin.com"
    assert (config.local_path, config.dmsghttp_server_path) == ("./local", "./local/custom")
    assert float(config.shutdown_timeout) == 10
    assert len(config.survey_whitelist) == 7
    assert config.hypervisor is not None
    assert config.hypervisor.cookies.hash_key == "ab" * 64
    assert "abab" not in repr(config)
    on_dmsg = ConfigFile.load(ROOT / "config" / "go_gen_dmsg.json").config
    assert on_dmsg.dmsg.discovery.startswith("dmsg://022e")
    assert len(on_dmsg.dmsg.servers) == 6


def missing(document: Any, known: Any, path: str = "") -> list[str]:
    """Keys of `document` whose value is not the one in `known`; null says nothing."""
    if not isinstance(document, dict):
        return [] if document in (known, None) else [path]
    return [
        each
        for key, value in document.items()
        for each in missing(value, known.get(key, "none") if known else "none", f"{path}.{key}")
    ]


def test_every_key_of_it_has_a_field(go_file: Path) -> None:
    document = json.loads(go_file.read_bytes())
    document["pty"] = document.pop("dmsgpty")
    for app in document["launcher"]["apps"]:
        app.setdefault("args", [])
    known = plain(ConfigFile.load(go_file).config, everything=True)
    for app in known["launcher"]["apps"]:
        assert (app.pop("launcher_mode"), app.pop("restart_policy"), app.pop("user")) == (None,) * 3
    assert missing(document, known) == []
    assert missing(document | {"other": 1}, known) == [".other"]
