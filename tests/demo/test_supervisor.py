"""Starting in order, telling what failed, starting again, and leaving nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skywire.demo import part as part_module
from skywire.demo.supervisor import Supervisor
from skywire.errors import Unavailable
from skywire.testing.processes import alive, children
from skywire.testing.wait import eventually
from tests.demo.fakes import (
    READY,
    WAIT,
    Events,
    environment,
    part,
    pid_from,
    steady,
    wait_until_dead,
)

NAUGHTY_CHILD = (  # a session of its own, deaf to SIGHUP and SIGTERM
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time\\n"
    "signal.signal(signal.SIGHUP, signal.SIG_IGN)\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
    "time.sleep(60)'], start_new_session=True)\n"
    "open('child', 'w').write(str(child.pid))\n"
)


async def test_each_part_waits_for_those_it_needs(tmp_path: Path) -> None:
    events = Events()
    parts = [
        steady(tmp_path, "node", after=("server", "discovery")),
        steady(tmp_path, "server", after=("discovery",)),
        steady(tmp_path, "discovery"),
    ]
    async with Supervisor(parts, events) as supervisor:
        await supervisor.start()
        pids = [supervisor.pid(each.name) for each in parts]
        assert all(map(alive, pids))
    assert events.events == [
        (event, name) for name in ("discovery", "server", "node") for event in ("starting", "ready")
    ]
    assert not any(map(alive, pids))


async def test_a_part_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = part(tmp_path, "server-1", "print('one'); raise SystemExit('port 80 is in use')")
    good = steady(tmp_path, "discovery")
    with pytest.raises(Unavailable) as caught:
        async with Supervisor([good, broken], Events()) as supervisor:
            await supervisor.start()
    text = str(caught.value)
    assert text.startswith("server-1 (fake) did not come up: exit code 1.")
    assert "one" in text
    assert text.endswith("port 80 is in use")
    assert children() == []


async def test_a_part_that_is_ready_but_for_something_it_needs_has_failed(tmp_path: Path) -> None:
    code = READY.replace("report()", "report(failed={'hypervisor': 'port 80 is in use'})") + WAIT
    with pytest.raises(Unavailable, match=r"node .* hypervisor: port 80 is in use"):
        async with Supervisor([part(tmp_path, "node", code)], Events()) as supervisor:
            await supervisor.start()
    assert children() == []


async def test_the_log_of_an_earlier_run_is_not_shown(tmp_path: Path) -> None:
    broken = part(tmp_path, "server", "raise SystemExit('new trouble')")
    broken.log.write_text("old trouble\n")
    with pytest.raises(Unavailable, match="new trouble") as caught:
        async with Supervisor([broken], Events()) as supervisor:
            await supervisor.start()
    assert "old trouble" not in str(caught.value)
    assert broken.log.read_text().startswith("old trouble")


async def test_a_part_that_is_never_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_module, "START_LIMIT", 0.5)
    silent = part(tmp_path, "silent", "import time; time.sleep(60)")
    with pytest.raises(Unavailable, match=r"silent .* not ready within 0\.5 s"):
        async with Supervisor([silent], Events()) as supervisor:
            await supervisor.start()


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = part(tmp_path, "ghost", "")
    missing = part_module.Part(
        name="ghost",
        what="fake",
        command=("/nonexistent/program",),
        directory=tmp_path,
        log=missing.log,
        address="",
    )
    with pytest.raises(Unavailable, match="ghost did not start: /nonexistent/program: No such"):
        async with Supervisor([missing], Events()) as supervisor:
            await supervisor.start()


async def test_a_part_that_dies_later_is_started_again(tmp_path: Path) -> None:
    events = Events()
    changed = asyncio.Event()
    each = steady(tmp_path, "server")
    async with Supervisor([each], events, on_change=changed.set, restart_after=0.05) as supervisor:
        await supervisor.start()
        first = supervisor.pid("server")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: supervisor.pid("server") not in (0, first))
        assert changed.is_set()
        assert alive(supervisor.pid("server"))
    assert ("down: killed by SIGKILL", "server") in events.events


async def test_a_part_that_cannot_come_back_is_tried_again(tmp_path: Path) -> None:
    """The second start fails, the third works."""
    code = (
        "import os, sys\n"
        "count = os.path.getsize('starts') if os.path.exists('starts') else 0\n"
        "open('starts', 'a').write('x')\n"
        "if count == 1: sys.exit('not now')\n" + READY + "if count == 0: sys.exit(0)\n" + WAIT
    )
    events = Events()
    async with Supervisor(
        [part(tmp_path, "moody", code)], events, restart_after=0.05
    ) as supervisor:
        await supervisor.start()
        starts = tmp_path / "starts"
        await eventually(lambda: starts.stat().st_size == 3 and supervisor.pid("moody"))
    whys = [event for event, _ in events.events if event.startswith("down")]
    assert whys[0] == "down: exit code 0"
    assert "not now" in whys[1]


async def test_the_end_leaves_no_process_however_naughty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One ignores SIGTERM; its child has a session of its own and ignores SIGHUP too."""
    monkeypatch.setattr(part_module, "TERMINATE_LIMIT", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    each = part(tmp_path, "deaf", deaf + NAUGHTY_CHILD + READY + "time.sleep(60)")
    async with Supervisor([each], Events()) as supervisor:
        await supervisor.start()
        child = pid_from(tmp_path / "child")
        assert alive(child)
    assert wait_until_dead(child)


async def test_what_a_killed_part_left_behind_ends_with_the_demo(tmp_path: Path) -> None:
    each = part(tmp_path, "node", NAUGHTY_CHILD + READY + WAIT)
    async with Supervisor([each], Events(), restart_after=60) as supervisor:
        await supervisor.start()
        os.kill(supervisor.pid("node"), signal.SIGKILL)
        child = pid_from(tmp_path / "child")
        await eventually(lambda: not supervisor.pid("node"))
        assert alive(child)
    assert wait_until_dead(child)


async def test_processes_of_others_in_the_same_program_are_spared(tmp_path: Path) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(60)"
    )
    try:
        async with Supervisor([steady(tmp_path, "node")], Events()) as supervisor:
            await supervisor.start()
        assert alive(other.pid)
    finally:
        other.kill()
        await other.wait()


def test_a_killed_supervisor_takes_its_parts_and_its_directory_with_it(tmp_path: Path) -> None:
    """Nothing of the supervisor runs after SIGKILL: the guard cleans up."""
    state = tmp_path / "state"
    state.mkdir()
    program = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from skywire.demo.supervisor import Supervisor\n"
        "from tests.demo.fakes import Events, READY, WAIT, part\n"
        f"state = Path({str(state)!r})\n"
        "async def main():\n"
        f"    parts = [part(state, 'node', {NAUGHTY_CHILD!r} + READY + WAIT)]\n"
        "    async with Supervisor(parts, Events(), remove=state) as supervisor:\n"
        "        await supervisor.start()\n"
        "        print(supervisor.pid('node'), flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment()
    ) as supervisor:
        assert supervisor.stdout is not None
        node = int(supervisor.stdout.readline())
        child = pid_from(state / "child")
        supervisor.kill()
    assert wait_until_dead(node)
    assert wait_until_dead(child)
    deadline = time.monotonic() + 5
    while state.exists():
        assert time.monotonic() < deadline, "the state directory is still there"
        time.sleep(0.02)
