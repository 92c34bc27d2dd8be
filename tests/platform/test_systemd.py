"""What systemd is told, over a real socket."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from skywire.platform import systemd


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.settimeout(5)
        monkeypatch.setenv(systemd.SOCKET, path)
        yield receiver


def test_messages_arrive_as_one_datagram(manager: socket.socket) -> None:
    assert systemd.notify(systemd.READY, "STATUS=two\nlines")
    assert manager.recv(4096) == b"READY=1\nSTATUS=two lines"
    assert systemd.reloading()
    first, second = manager.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()


def test_an_abstract_socket_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"skywire-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        monkeypatch.setenv(systemd.SOCKET, f"@{name}")
        assert systemd.notify(systemd.STOPPING)
        assert receiver.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["", "/", "relative", "@", "vsock:2:1234"])
def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv(systemd.SOCKET, path)
    assert not systemd.notify(systemd.READY)


def test_a_socket_that_is_gone_costs_a_log_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(systemd.SOCKET, str(tmp_path / "gone"))
    assert not systemd.notify(systemd.READY)
    assert "systemd not told" in caplog.text


def test_the_watchdog_is_fed_twice_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(systemd.WATCHDOG_TIME, "30000000")
    monkeypatch.delenv(systemd.WATCHDOG_PROCESS, raising=False)
    assert systemd.watchdog_interval() == 15
    monkeypatch.setenv(systemd.WATCHDOG_PROCESS, str(os.getpid()))
    assert systemd.watchdog_interval() == 15
    monkeypatch.setenv(systemd.WATCHDOG_PROCESS, "1")
    assert systemd.watchdog_interval() is None


@pytest.mark.parametrize("time", ["", "0", "-5", "soon", "9" * 40])
def test_a_watchdog_nobody_wants_is_none(monkeypatch: pytest.MonkeyPatch, time: str) -> None:
    monkeypatch.delenv(systemd.WATCHDOG_PROCESS, raising=False)
    monkeypatch.setenv(systemd.WATCHDOG_TIME, time)
    assert systemd.watchdog_interval() is None


UNIT = Path(__file__).parents[2] / "packaging" / "skywire.service"


def test_the_unit_asks_for_what_the_visor_tells() -> None:
    lines = UNIT.read_text().splitlines()
    for wanted in ("Type=notify", "WatchdogSec=30", "Restart=always", "User=skywire"):
        assert wanted in lines
    assert "ExecReload=/bin/kill -HUP $MAINPID" in lines


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is here, and a user of this machine."""
    text = UNIT.read_text().replace("/usr/bin/skywire", "/bin/true")
    unit = tmp_path / "skywire.service"
    unit.write_text(text.replace("User=skywire", "User=daemon"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    told = [line for line in done.stderr.splitlines() if "skywire.service" in line]
    assert (done.returncode, told) == (0, [])
