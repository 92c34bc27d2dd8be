"""Children: started with Go's error texts, killed to the last member of their session, reaped."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from skywire.errors import InvalidValue, NotFound, Unavailable
from skywire.platform.processes import (
    Child,
    kill_group,
    merge_environment,
    session_members,
    spawn,
)
from skywire.testing.processes import alive, children
from skywire.testing.wait import eventually

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def sh(script: str, output: Path | None = None) -> Child:
    actions: list[tuple[int | str, ...]] = []
    if output is not None:
        flags = os.O_WRONLY | os.O_CREAT
        actions = [(os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600)]
    return spawn("/bin/sh", ["-c", script], ENVIRONMENT, actions)


def test_environment_entries_replace_and_add() -> None:
    merged = merge_environment({"A": "1", "B": "2"}, ["B=3", "C=x=y", "D", "=E", "A=4", "A=5"])
    assert merged == {"A": "5", "B": "3", "C": "x=y"}


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("/no/such", NotFound, "fork/exec /no/such: no such file or directory"),
        ("/etc", Unavailable, "fork/exec /etc: permission denied"),
        ("no-such-x", NotFound, 'exec: "no-such-x": executable file not found in $PATH'),
        ("", InvalidValue, "exec: no command"),
        ("/bin/s\0h", InvalidValue, "fork/exec /bin/s\0h: invalid argument: embedded null byte"),
        ("s\0h", NotFound, 'exec: "s\0h": executable file not found in $PATH'),
    ],
)
async def test_a_program_that_cannot_be_started(name: str, error: type, text: str) -> None:
    with pytest.raises(error) as caught:
        spawn(name, [], ENVIRONMENT, [])
    assert str(caught.value) == text


async def test_an_argument_that_cannot_be_passed() -> None:
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(InvalidValue):
            spawn("/bin/true", [bad], ENVIRONMENT, [])


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -1)])
async def test_the_exit_code_is_kept_and_the_child_reaped(script: str, code: int) -> None:
    child = sh(script)
    async with asyncio.timeout(5):
        await child.exited
    assert child.exit_code == code
    assert child.pid not in children()


async def test_ignored_signals_are_not_inherited(tmp_path: Path) -> None:
    output = tmp_path / "out"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = sh("kill -HUP $$; echo survived", output)
        await child.exited
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (child.exit_code, output.read_text()) == (-1, "")


async def test_without_pidfd_the_end_is_seen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refused)
    child = sh("sleep 0.1; exit 7")
    async with asyncio.timeout(5):
        await child.exited
    assert child.exit_code == 7


async def test_the_whole_session_is_killed(tmp_path: Path) -> None:
    """A job in a group of its own that ignores hang-ups, and a grandchild nobody waits for."""
    output = tmp_path / "out"
    script = "trap '' HUP; set -m; sleep 1000 & (sleep 1001 & echo $!); echo $!; echo go; wait"
    child = sh(script, output)
    await eventually(lambda: "go" in output.read_text())
    members = [pid for pid, _, _ in session_members(child.pid)]
    assert {int(line) for line in output.read_text().split()[:2]} <= set(members)
    async with asyncio.timeout(1):
        await child.kill_session()
    assert child.exit_code == -1
    await eventually(lambda: not any(alive(pid) for pid in members))
    await child.kill_session()  # nothing to do any more


async def test_what_an_ended_child_left_behind_stays(tmp_path: Path) -> None:
    output = tmp_path / "out"
    child = sh("sleep 1000 & echo $!", output)
    await child.exited
    left = int(output.read_text())
    await child.kill_session()
    assert alive(left)
    os.kill(left, signal.SIGKILL)


def test_our_own_group_is_never_killed() -> None:
    for group in (0, 1, -1, os.getpgrp()):
        kill_group(group)
