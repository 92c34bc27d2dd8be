"""Two processes, one file."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from skywire.errors import Conflict, Unavailable
from skywire.platform.lock import locked

HOLDER = """
import sys
from pathlib import Path
from skywire.platform.lock import locked
with locked(Path(sys.argv[1]), "visor"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def refused(path: Path, text: str) -> None:
    with pytest.raises(Conflict, match=text), locked(path, "visor"):
        pass


def test_a_second_one_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.touch()
    with locked(config, "visor"):
        who = f"c.json is in use by another visor .process {os.getpid()}"
        refused(tmp_path / "." / "c.json", who)
        (lock,) = set(tmp_path.iterdir()) - {config}
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        config.replace(tmp_path / "old")  # what an atomic write does
        config.touch()
        refused(config, who)
    assert not lock.exists()
    with locked(config, "visor"):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process(tmp_path: Path, number: signal.Signals) -> None:
    config = tmp_path / "c.json"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"locked\n"
            refused(config, f"process {process.pid}")
        finally:
            process.send_signal(number)
            process.communicate(timeout=10)
    with locked(config, "visor"):  # the file it left behind harms nobody
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="oh"), locked(tmp_path / "c.json", "visor"):
        raise ValueError("oh")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_created_the_file_itself_is_locked(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.touch()
    (tmp_path / ".c.json.lock").mkdir()  # root may write anywhere, but not into that
    with locked(config, "visor"):
        refused(config, "in use by another visor: stop")


def test_nothing_to_lock_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot lock"), locked(tmp_path / "no" / "c", "visor"):
        pass
