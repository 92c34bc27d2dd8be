"""Which event loop runs a command, and what signals do to it."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from skywire.cli import runtime
from skywire.errors import InvalidValue, NotSupported


async def name_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_uvloop_is_the_default_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(runtime.LOOP_VARIABLE, raising=False)
    assert runtime.run(name_of_loop()).startswith("uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert runtime.run(name_of_loop()).startswith("asyncio")


def test_the_loop_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("asyncio", "uvloop"):
        monkeypatch.setenv(runtime.LOOP_VARIABLE, name)
        assert runtime.run(name_of_loop()).startswith(name)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    work = name_of_loop()
    with pytest.raises(NotSupported, match="is not installed"):
        runtime.run(work)
    work.close()


def test_another_loop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.LOOP_VARIABLE, "trio")
    work = name_of_loop()
    with pytest.raises(InvalidValue, match='SKYWIRE_LOOP="trio": expected asyncio or uvloop'):
        runtime.run(work)
    work.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_service_ends_in_order_at_a_signal(number: signal.Signals) -> None:
    steps = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    runtime.serve(work())
    assert steps == ["cleaned up"]


def test_a_service_that_fails_raises() -> None:
    async def work() -> None:
        raise InvalidValue("no")

    with pytest.raises(ExceptionGroup) as caught:
        runtime.serve(work())
    assert caught.group_contains(InvalidValue, match="no")


def test_a_failed_service_has_an_exit_code_and_one_line() -> None:
    program = (
        "import click\n"
        "from skywire.cli import runtime\n"
        "from skywire.cli.lazy import RootGroup\n"
        "from skywire.errors import Conflict\n"
        "async def work(): raise Conflict('port 80 is in use')\n"
        "@click.command()\n"
        "@runtime.log_option()\n"
        "def go(): runtime.serve(work())\n"
        "RootGroup('skywire', 'Test.', {'go': go}).main(['go', '--loglvl', 'warn'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: port 80 is in use\n")


def test_a_bad_log_level_is_bad_usage() -> None:
    program = (
        "import click\n"
        "from skywire.cli import runtime\n"
        "from skywire.cli.lazy import RootGroup\n"
        "@click.command()\n"
        "@runtime.log_option()\n"
        "def go(): pass\n"
        "RootGroup('skywire', 'Test.', {'go': go}).main(['go', '--loglvl', 'loud'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'invalid log level "loud"' in done.stderr


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thread_that_hangs_in_the_system_holds_no_service_up(loop: str) -> None:
    """As one that asks a DNS which does not answer."""
    program = (
        "import asyncio, os, signal, time\n"
        "from skywire.cli import runtime\n"
        "async def work():\n"
        "    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        await asyncio.sleep(30)\n"
        "    finally:\n"
        "        print('cleaned up')\n"
        "runtime.serve(work())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=15,
        env=os.environ | {runtime.LOOP_VARIABLE: loop},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleaned up\n", "")
