"""What is told of a config that works and is probably not meant so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from skywire.config.check import warnings, without_secrets
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair

PK, SK, _ = deterministic_key_pair(b"config")


def told(document: dict[str, Any]) -> list[str]:
    return warnings(ConfigFile(json.dumps({"sk": SK.hex()} | document), "f"))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"hypervisros": []}, 'hypervisros: no key of this program.*did you mean "hypervisors"'),
        ({"dmsg": {"session_count": 1}}, 'dmsg.session_count: .*mean "sessions_count"'),
        ({"dmsgpty": {"x": 1}}, "dmsgpty.x: no key"),
        ({"launcher": {"apps": [{"name": "a", "ports": 1}]}}, r'apps\[0\]\.ports: .*"port"'),
        ({"cli_addr": ":3435"}, "cli_addr: :3435 is reached from other machines"),
        ({"hypervisor": {}}, "hypervisor.enable_auth"),
        ({"pty": {}, "dmsgpty": {}}, "dmsgpty: not used"),
        ({"launcher": {"apps": [{"name": "a"}] * 2}}, "launcher.apps: 2 .*named a"),
        ({"sk": ""}, "sk: none in the file"),
    ],
)
def test_strange_things_are_told(document: dict[str, Any], expected: str) -> None:
    found = told(document)
    assert len(found) == 1
    assert re.search(expected, found[0])


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"cli_addr": ""},
        {"hypervisor": {"http_addr": "127.0.0.1:8000"}},
        {"hypervisor": {"enable_auth": True, "tp_viz": {"enable": True}}},
        {"dmsg": {"carriers": {"anything": 1}}, "skynet_web": {"enable": True}},
    ],
)
def test_nothing_else_is(document: dict[str, Any]) -> None:
    assert told(document) == []


def test_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"sk": SK.hex()}))
    path.chmod(0o640)
    assert "chmod 600" in warnings(ConfigFile.load(path))[0]
    path.chmod(0o600)
    assert warnings(ConfigFile.load(path)) == []


def test_no_secret_is_left_in_what_is_shown() -> None:
    document = {
        "sk": "TOP",
        "dmsg": {"sessions_count": 1},
        "hypervisor": {"cookies": {"hash_key": "TOP", "block_key": ""}},
        "apps": [{"args": ["app", "--passcode", "TOP", "--passcode=TOP", "x"]}],
    }
    shown = without_secrets(document)
    assert "TOP" not in json.dumps(shown)
    assert shown["dmsg"] == {"sessions_count": 1}
    assert shown["hypervisor"]["cookies"]["block_key"] == ""
    assert shown["apps"][0]["args"] == [
        "app",
        "--passcode",
        "(hidden)",
        "--passcode=(hidden)",
        "x",
    ]
