"""`skywire visor` as a service: systemd, reload, the lock, flags, a disk that fails."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli.visor import visor
from skywire.crypto.generate import deterministic_key_pair
from tests.cli.test_visor import LIMIT, PK, SK, SKYWIRE, fails, free_port, write_config

OTHER = deterministic_key_pair(b"another")[0]


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*SKYWIRE, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=LIMIT)


def ended(process: subprocess.Popen[str], limit: float = 5.0) -> str:
    """What it said; it has to end in order."""
    _, errors = process.communicate(timeout=limit)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return errors


class Manager:
    """systemd's end of the socket."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver

    def message(self, wanted: str) -> str:
        """The next one with `wanted` in it."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            text = self._receiver.recv(4096).decode()
            if wanted in text:
                return text
        raise AssertionError(f"no {wanted} within {LIMIT} s")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(LIMIT)
        yield Manager(receiver)


def test_systemd_is_told_of_ready_life_reload_and_stop(tmp_path: Path, manager: Manager) -> None:
    config = write_config(tmp_path / "visor.json", local_path=str(tmp_path))
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    with running("-c", str(config), **told) as process:
        ready = manager.message("READY=1")
        assert f"STATUS={PK}, " in ready
        assert "dmsg: no server yet" in ready
        for _ in range(3):
            manager.message("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in manager.message("RELOADING=1")
        manager.message("READY=1")
        process.send_signal(signal.SIGTERM)
        manager.message("STOPPING=1")
        assert ended(process).count("visor ready") == 2


def test_two_visors_on_one_config_are_refused(tmp_path: Path, manager: Manager) -> None:
    config = write_config(tmp_path / "visor.json", local_path=str(tmp_path))
    (tmp_path / "link.json").symlink_to(config)
    with running("-c", str(config), NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        manager.message("READY=1")
        for name in (config, tmp_path / "link.json"):
            done = fails("-c", str(name))
            assert done.returncode == 1
            assert f"{name} is in use by another visor (process {process.pid}): stop" in done.stderr
        process.send_signal(signal.SIGTERM)
        ended(process)
    assert not list(tmp_path.glob(".*.lock"))


def test_a_changed_config_counts_after_a_reload_and_a_broken_one_never(
    tmp_path: Path, manager: Manager
) -> None:
    config = write_config(tmp_path / "visor.json", local_path=str(tmp_path))
    with running("-c", str(config), "-l", NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        manager.message("READY=1")
        good = config.read_text()
        config.write_text("{")
        process.send_signal(signal.SIGHUP)
        log = tmp_path / "log" / "skywire.log"
        until(lambda: "config not read again" in log.read_text())
        config.write_text(json.dumps(json.loads(good) | {"hypervisors": [str(OTHER)]}))
        process.send_signal(signal.SIGHUP)
        manager.message("READY=1")
        until(lambda: f"hypervisor not reached pk={OTHER}" in log.read_text())
        process.send_signal(signal.SIGTERM)
        ended(process)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("broken", ["not a directory", "full disk"])
def test_a_local_path_that_cannot_be_written_stops_nothing(
    tmp_path: Path, manager: Manager, broken: str
) -> None:
    local = tmp_path / "local"
    if broken == "not a directory":
        local.write_text("")
    else:  # every write fails as on a full disk
        local.mkdir()
        (local / "reward.txt").symlink_to("/dev/full")
        (local / "node-info.json").symlink_to("/dev/full")
    store = {"type": "file", "location": str(local / "transport_logs")}
    config = write_config(
        tmp_path / "visor.json",
        local_path=str(local),
        transport={"log_store": store},
        dmsghttp_server_path=str(local / "custom"),
    )
    with running("-c", str(config), NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        manager.message("READY=1")
        process.send_signal(signal.SIGTERM)
        assert "visor ready" in ended(process)


def test_a_log_that_cannot_be_stored_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "local").write_text("")
    config = write_config(tmp_path / "visor.json", local_path=str(tmp_path / "local"))
    done = fails("-c", str(config), "-l")
    assert done.returncode == 2
    assert "cannot write the log file" in done.stderr


def test_the_places_of_packages_and_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = fails("-u")
    assert f"config file not found: {tmp_path}/skywire-config.json" in done.stderr
    assert "give the config once" in fails("-u", "-p").stderr


def test_rare_flags_are_shown_on_demand() -> None:
    usual = CliRunner().invoke(visor, ["--help"])
    everything = CliRunner().invoke(visor, ["--all"])
    assert "--logtag" not in usual.output
    for flag in ("--logtag", "--systray", "--pprofmode", "--pprofaddr", "--completion"):
        assert flag in everything.output
    assert everything.exit_code == 0


def test_secrets_are_never_shown(tmp_path: Path, manager: Manager) -> None:
    """At the most talkative level, with everything that has a secret."""
    key, block = "ab" * 64, "cd" * 32
    section = {
        "http_addr": "127.0.0.1:0",
        "db_path": str(tmp_path / "users.db"),
        "enable_auth": True,
        "cookies": {"hash_key": key, "block_key": block},
    }
    apps = [{"name": "skysocks", "binary": "none", "args": ["--passcode", "hunter2hunter2"]}]
    config = write_config(
        tmp_path / "visor.json",
        local_path=str(tmp_path),
        hypervisor=section,
        launcher={"apps": apps, "server_addr": "127.0.0.1:0"},
        uptime_tracker={"addr": f"http://127.0.0.1:{free_port()}"},
        hypervisors=[str(OTHER)],
    )
    arguments = ["-c", str(config), "-s", "trace", "-l"]
    with running(*arguments, NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
        manager.message("READY=1")
        process.send_signal(signal.SIGHUP)
        manager.message("READY=1")
        process.send_signal(signal.SIGTERM)
        _, shown = process.communicate(timeout=LIMIT)
        shown += (tmp_path / "log" / "skywire.log").read_text()
    for hidden in (SK.hex(), key, block, "hunter2hunter2"):
        assert hidden not in shown


@pytest.mark.parametrize(
    "change",
    [
        {"sk": SK.hex()[:-1]},
        {"sk": SK.hex() + "00"},
        {"pk": str(OTHER)},
        {"hypervisor": {"cookies": {"hash_key": 5, "block_key": "cd" * 32}}},
        {"sk": [SK.hex()]},
    ],
    ids=["short key", "long key", "other pk", "cookie", "list"],
)
def test_errors_of_a_config_show_no_secret(tmp_path: Path, change: dict[str, Any]) -> None:
    config = write_config(tmp_path / "visor.json", **change)
    done = fails("-c", str(config))
    assert done.returncode == 2
    assert SK.hex()[:20] not in done.stderr
    assert "cd" * 32 not in done.stderr
