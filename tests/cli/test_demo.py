"""`skywire demo` with small stand-ins for its parts: what it prints, and that nothing is left."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skywire.testing.processes import alive
from tests.demo.fakes import environment, wait_until_dead

END_LIMIT = 5.0  # seconds from a signal to the end of everything

PROGRAM = """
import sys
from skywire.demo import plan
from skywire.demo.part import Part
from tests.demo import fakes

BROKEN = {broken!r}

def make_parts(state, ports):
    plan.choose_ports([(ports.hypervisor, "--hypervisor-port")])
    parts = [fakes.steady(state.path, name) for name in ("server-1", "node-a", "node-b")]
    if BROKEN:
        parts.append(fakes.part(state.path, "node-c", "raise SystemExit('no luck today')"))
    return parts

plan.make_parts = make_parts
from skywire.cli.main import main
main()
"""


@contextmanager
def demo(
    temporary: Path, *arguments: str, broken: bool = False
) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(broken=broken), "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "TMPDIR": str(temporary), "COLUMNS": "200"},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def first_json(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    output: dict[str, Any] = json.loads(process.stdout.readline())["output"]
    return output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path, "--first-run", "--json") as process:
        up = first_json(process)
        assert Path(up["state_dir"]).is_dir()
        assert [part["name"] for part in up["parts"]] == ["server-1", "node-a", "node-b"]
        assert all(alive(part["pid"]) for part in up["parts"])
        assert up["url"] == "http://127.0.0.1:0/"
        process.send_signal(number)
        out, err = process.communicate(timeout=END_LIMIT)
    assert (process.returncode, out) == (0, "")
    assert "ending" in err
    assert not any(alive(part["pid"]) for part in up["parts"])
    assert list(tmp_path.iterdir()) == []


def test_the_url_is_on_a_line_of_its_own(tmp_path: Path) -> None:
    with demo(tmp_path, "--first-run", "--state-dir", str(tmp_path / "kept")) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].startswith("http")):
            lines.append(process.stdout.readline().rstrip("\n"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=END_LIMIT)
    assert lines[0].split() == ["NAME", "WHAT", "PID", "ADDRESS", "PUBLIC", "KEY"]
    assert lines[1].split()[:2] == ["server-1", "fake"]
    assert lines[-1] == "http://127.0.0.1:0/"
    assert "node-b    ready at 127.0.0.1:0" in err
    assert (tmp_path / "kept").is_dir()
    assert not (tmp_path / "kept" / "demo.json").exists()


def test_a_part_that_does_not_come_up_ends_the_demo(tmp_path: Path) -> None:
    with demo(tmp_path, "--first-run", broken=True) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    error = err[err.index("Error: ") :]
    assert error.startswith("Error: node-c (fake) did not come up: exit code 1.")
    assert error.rstrip().endswith("no luck today")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_json(tmp_path: Path) -> None:
    with demo(tmp_path, "--first-run", "--json", broken=True) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    error = json.loads(err.splitlines()[-1])
    assert error["code"] == "unavailable"
    assert "no luck today" in error["error"]


def test_a_signal_while_it_starts_ends_it_too(tmp_path: Path) -> None:
    """Node A never becomes ready."""
    program = PROGRAM.format(broken=False).replace(
        "    if BROKEN",
        "    parts.append(fakes.part(state.path, 'slow', fakes.SILENT))\n    if BROKEN",
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "demo", "--first-run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        while "starting" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=END_LIMIT)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_second_demo_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with demo(tmp_path, "--first-run", "--json", "--state-dir", state) as first:
        first_json(first)
        with demo(tmp_path, "--first-run", "--state-dir", state) as second:
            _, err = second.communicate(timeout=10)
    assert second.returncode == 1
    assert f"Error: a demo is running in {state}" in err


def test_a_state_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with demo(tmp_path, "--state-dir", str(tmp_path / "file" / "x")) as process:
        _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "Error: cannot use the state directory" in err
    assert "Traceback" not in err


def test_break_kills_the_node_and_the_demo_starts_it_again(tmp_path: Path) -> None:
    with demo(tmp_path, "--first-run", "--json") as process:
        up = first_json(process)
        pids = {part["name"]: part["pid"] for part in up["parts"]}
        done = subprocess.run(
            [sys.executable, "-m", "skywire", "demo", "break", "--what", "node", "--json"],
            capture_output=True,
            text=True,
            env={**environment(), "TMPDIR": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["output"]["pid"] == pids["node-b"]
        assert wait_until_dead(pids["node-b"])
        assert process.stderr is not None
        told: list[str] = []
        while not (told and told[-1].endswith("node-b    ready at 127.0.0.1:0\n")) or len(told) < 8:
            told.append(process.stderr.readline())
        again = json.loads(Path(up["state_dir"], "demo.json").read_text())
    assert any("node-b    is down" in line and "SIGKILL" in line for line in told)
    assert {part["name"]: part["pid"] for part in again["parts"]}["node-b"] != pids["node-b"]


def test_break_without_a_demo_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "skywire", "demo", "break", "--what", "node"],
        capture_output=True,
        text=True,
        env={**environment(), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: no demo is running here")


def test_at_a_terminal_the_start_is_shown_live(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(broken=False), "demo", "--first-run"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**environment(), "TMPDIR": str(tmp_path), "TERM": "xterm-256color"},
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        while b"http://127.0.0.1:0/" not in shown:
            shown += os.read(master, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_LIMIT) == 0
    os.close(master)
    assert b"\x1b[?25l" in shown  # the live table hides the cursor
    assert b"ready" in shown
    assert b"PUBLIC KEY" in shown
