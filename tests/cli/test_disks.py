"""A full disk, a directory that takes no file: each program says so in one line and ends.

A limit of the process on the size of files stands for the full disk: a write fails in the same
place (the error is "File too large" instead of "No space left on device"). `/proc` stands for a
directory that cannot be written, for everybody, root included.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from skywire.crypto.generate import deterministic_key_pair

SK = deterministic_key_pair(b"disks")[1]
LIMIT = 60  # seconds
FULL = """
import resource, runpy, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.argv[1:] = sys.argv[2:]
runpy.run_module("skywire", run_name="__main__")
"""


def fails(folder: Path, program: list[str]) -> str:
    """The last line on stderr; there is no traceback, and no work is left running."""
    done = subprocess.run(
        [sys.executable, *program], cwd=folder, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def on_a_full_disk(folder: Path, *arguments: str, room: int = 0) -> str:
    return fails(folder, ["-c", FULL, str(room), *arguments])


def test_a_node_cannot_keep_its_new_key(tmp_path: Path) -> None:
    config = tmp_path / "visor.json"
    config.write_text("{}")
    error = on_a_full_disk(tmp_path, "visor", "-c", "visor.json")
    assert f"Error: cannot write {config}: File too large; nothing changed" in error
    assert config.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [config]


def test_a_discovery_cannot_keep_its_entries(tmp_path: Path) -> None:
    error = on_a_full_disk(tmp_path, "dmsg", "disc", "-a", "127.0.0.1:0", room=8192)
    assert "Error: database dmsg-discovery.db cannot be opened for writing: " in error
    assert "has free space" in error


def test_a_demo_cannot_keep_its_keys(tmp_path: Path) -> None:
    state = tmp_path / "state"
    error = on_a_full_disk(tmp_path, "demo", "--state-dir", str(state))
    assert f"Error: cannot write {state / 'keys.json'}: File too large" in error


def test_a_demo_finds_no_temporary_directory(tmp_path: Path) -> None:
    error = on_a_full_disk(tmp_path, "demo")
    assert "Error: cannot use the state directory: No usable temporary directory" in error


def test_a_server_and_a_key_file(tmp_path: Path) -> None:
    error = on_a_full_disk(tmp_path, "dmsg", "server", "config", "gen", "-o", "server.json")
    assert "server.json" in error
    assert "File too large" in error
    error = on_a_full_disk(tmp_path, "keys", "gen", "-o", "key.txt")
    assert "key.txt" in error
    assert "File too large" in error
    assert list(tmp_path.iterdir()) == [], "half a secret helps nobody"


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--state-dir", "/proc/skywire"),
        ("dmsg", "disc", "-a", "127.0.0.1:0", "--store", "sqlite:////proc/skywire"),
        ("dmsg", "server", "config", "gen", "-o", "/proc/skywire"),
        ("keys", "gen", "-o", "/proc/skywire"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_directory_that_takes_no_file(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    error = fails(tmp_path, ["-m", "skywire", *arguments])
    assert error.startswith("Error: ")
    assert "/proc/skywire" in error
    assert list(tmp_path.iterdir()) == []


def test_a_node_whose_directory_takes_no_file_runs_without_that_part(tmp_path: Path) -> None:
    """The control socket is one part of the node; a node without it can still be reached."""
    config = {
        "sk": SK.hex(),
        "dmsg": {"discovery": "http://127.0.0.1:1"},
        "pty": {"cli_address": "/proc/skywire.sock"},
        "cli_addr": "",
    }
    program = """
import os, subprocess, sys
reader, writer = os.pipe()
node = subprocess.Popen([sys.executable, "-m", "skywire", "visor", "-C", sys.argv[1]],
    pass_fds=[writer], env=os.environ | {"SKYWIRE_READY_FD": str(writer)}, stderr=subprocess.PIPE)
os.close(writer)
with open(reader) as pipe:
    print(pipe.readline(), end="")
node.terminate()
print(b"Traceback" in node.communicate()[1], node.returncode)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(config)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    facts, ended = done.stdout.splitlines()
    assert "/proc/skywire.sock" in json.loads(facts)["failed"]["terminal control socket"]
    assert ended == "False 0"
