"""`skywire dmsg disc` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from skywire.crypto.generate import key_pair

COMMAND = [sys.executable, "-m", "skywire", "dmsg", "disc"]
LIMIT = 30  # seconds


def failed(*arguments: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and last line on stderr of a command that must not start."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@contextmanager
def started(*arguments: str, folder: Path, **environment: str) -> Iterator[dict[str, Any]]:
    """What the running service reports; afterwards it ends in order."""
    reading, writing = os.pipe()
    environment["SKYWIRE_READY_FD"] = str(writing)
    with subprocess.Popen(
        [*COMMAND, "-a", "127.0.0.1:0", *arguments],
        cwd=folder,
        env=os.environ | environment,
        pass_fds=[writing],
        stderr=subprocess.PIPE,
    ) as service:
        os.close(writing)
        try:
            with open(reading) as pipe:
                line = pipe.readline()
            assert line, service.stderr and service.stderr.read()
            yield json.loads(line)
        finally:
            service.send_signal(signal.SIGTERM)
            _, errors = service.communicate(timeout=LIMIT)
        assert (service.returncode, b"Traceback" in errors) == (0, False)


def get(address: str, path: str) -> Any:
    with urlopen(f"http://{address}{path}", timeout=LIMIT) as response:
        return json.load(response)


def test_it_serves_until_a_signal_and_keeps_its_entries_in_a_file(tmp_path: Path) -> None:
    with started(folder=tmp_path) as facts:
        assert get(facts["address"], "/dmsg-discovery/entries") == []
        assert "dmsg_address" not in get(facts["address"], "/health")
    assert [path.name for path in tmp_path.iterdir()] == ["dmsg-discovery.db"]


def test_with_a_key_it_is_on_dmsg_too(tmp_path: Path) -> None:
    pk, sk = key_pair()
    with started("--store", "sqlite::memory:", folder=tmp_path, DMSG_DISC_SK=sk.hex()) as facts:
        assert facts["public_key"] == str(pk)
        assert get(facts["address"], "/health")["dmsg_address"] == f"{pk}:80"
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = failed("-a", f"127.0.0.1:{port}", folder=tmp_path)
    assert code == 1
    assert f"dmsg discovery: port {port} on 127.0.0.1 is in use by another program" in error


@pytest.mark.parametrize("url", ["sqlite:////proc/store.db", "sqlite:///nowhere/store.db"])
def test_a_state_directory_that_cannot_be_written_is_named(tmp_path: Path, url: str) -> None:
    code, error = failed("--store", url, folder=tmp_path)
    assert code == 1
    assert f"database {url[10:]} cannot be opened for writing" in error
    assert "check that" in error


def test_a_full_disk_is_told_at_the_start(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: a write fails in the same place."""
    program = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); "
        "sys.argv[1:] = ['dmsg', 'disc', '-a', '127.0.0.1:0']; "
        "runpy.run_module('skywire', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "dmsg-discovery.db cannot be opened for writing: " in done.stderr.splitlines()[-1]
    assert "has free space" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-a", "nowhere"], "host:port"),
        (["-a", ""], "host:port"),
        (["--store", "mysql://x"], "names no store"),
        (["--official-servers", "xyz"], "public key"),
        (["--whitelist-keys", "xyz"], "public key"),
        (["--entry-timeout", "soon"], "duration"),
        (["--entry-timeout", "0s"], "--entry-timeout"),
        (["--sk", "12ab"], "secret key"),
    ],
)
def test_bad_usage_is_refused(tmp_path: Path, arguments: list[str], text: str) -> None:
    code, error = failed(*arguments, folder=tmp_path)
    assert (code, text in error) == (2, True)
    assert "12ab" not in error
    assert list(tmp_path.iterdir()) == []
