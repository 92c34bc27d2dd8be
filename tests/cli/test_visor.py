"""`skywire visor` as a process: what it says, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skywire.crypto.generate import deterministic_key_pair

SKYWIRE = [sys.executable, "-m", "skywire", "visor"]
PK, SK, _SEED = deterministic_key_pair(b"cli visor")
LIMIT = 20.0  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(path: Path, **more: Any) -> Path:
    """Of a node whose discovery nobody answers for."""
    document: dict[str, Any] = {
        "sk": SK.hex(),
        "dmsg": {"discovery": f"http://127.0.0.1:{free_port()}"},
        "pty": {"cli_address": str(path.parent / "pty.sock")},
        "cli_addr": "127.0.0.1:0",
    }
    path.write_text(json.dumps(document | more))
    return path


def fails(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*SKYWIRE, *arguments], capture_output=True, text=True, timeout=LIMIT, input=given
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_without_discovery_gets_ready_and_ends_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    section = {"http_addr": "127.0.0.1:0", "db_path": str(tmp_path / "users.db")}
    config = write_config(tmp_path / "visor.json", hypervisor=section)
    reader, writer = os.pipe()
    with subprocess.Popen(
        [*SKYWIRE, "-c", str(config)],
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        env=os.environ | {"SKYWIRE_READY_FD": str(writer)},
        text=True,
    ) as process:
        os.close(writer)
        try:
            with os.fdopen(reader) as pipe:
                facts = json.loads(pipe.readline())
            assert facts["pk"] == str(PK)
            assert facts["url"].startswith("http://127.0.0.1:")
            assert list(facts["failed"]) == ["dmsg"]
            assert facts["failed"]["dmsg"].startswith("no server yet: ")
            process.send_signal(number)
            _, errors = process.communicate(timeout=5)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0, errors
    assert f"visor ready pk={PK}" in errors
    assert "Traceback" not in errors
    assert SK.hex() not in errors
    assert not (tmp_path / "pty.sock").exists()


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    done = fails("-c", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "config file not found" in done.stderr
    assert "none.json" in done.stderr


def test_a_bad_value_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path / "visor.json", cli_addr=5)
    done = fails("-c", str(config))
    assert done.returncode == 2
    assert "visor.json: cli_addr: 5 is not accepted" in done.stderr


def test_a_bad_config_on_stdin_or_in_an_argument_is_named() -> None:
    assert "stdin: not valid JSON" in fails("-n", given="{").stderr
    assert "-C: expected a JSON object" in fails("-C", "[]").stderr
    assert "once" in fails("-n", "-C", "{}").stderr


def test_a_bad_flag_is_named(tmp_path: Path) -> None:
    config = str(write_config(tmp_path / "visor.json"))
    assert "invalid public key" in fails("-c", config, "-j", "02ab").stderr
    assert "invalid log level" in fails("-c", config, "-s", "loud").stderr


def test_a_discovery_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    config = write_config(tmp_path / "visor.json", dmsg={"discovery": "ftp://127.0.0.1"})
    done = fails("-c", str(config))
    assert done.returncode == 2
    assert "dmsg.discovery" in done.stderr
