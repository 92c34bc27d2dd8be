"""One-shot commands: output, limits, exit codes, time, what is left behind."""

import asyncio
import os
import time
from contextlib import suppress

import pytest

from skywire.crypto.generate import key_pair
from skywire.pty import execute as module
from skywire.pty.execute import MAX_OUTPUT, MAX_STDIN, execute
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.rpc.server import GoError
from skywire.testing.processes import alive, children, open_descriptors
from skywire.testing.wait import eventually

from .kit import ENVIRONMENT, node

OWNER = key_pair()[0]


async def sh(script: str, **options: object) -> CommandExecResult:
    request = CommandExecReq("/bin/sh", ["-c", script])
    for name, value in options.items():
        setattr(request, name, value)
    async with asyncio.timeout(20):
        return await execute(request, ENVIRONMENT)


async def test_output_errors_and_exit_code_are_kept_apart() -> None:
    before = open_descriptors()
    result = await sh("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == (b"out\n", b"err\n", 3)
    assert (result.timed_out, result.stdout_truncated, result.stderr_truncated) == (False,) * 3
    assert 0 <= result.duration_ms < 5000
    assert open_descriptors() == before
    assert not children()


async def test_a_command_that_does_not_exist() -> None:
    result = await execute(CommandExecReq("/no/such"), ENVIRONMENT)
    assert result.exit_code == -1
    assert result.stderr == (
        b"dmsgpty: exec /no/such: fork/exec /no/such: no such file or directory\n"
    )


async def test_killed_by_a_signal() -> None:
    assert (await sh("kill -9 $$")).exit_code == -1


async def test_stdin_and_environment() -> None:
    result = await sh("cat; echo $A $B", stdin=b"typed\n", env=["A=1", "B=x=y"])
    assert result.stdout == b"typed\n1 x=y\n"
    assert (await sh("cat")).stdout == b"", "an empty stdin ends at once"


async def test_a_large_stdin_goes_through_or_is_not_wanted() -> None:
    data = os.urandom(MAX_STDIN)
    assert (await sh("cat", stdin=data)).stdout == data
    assert (await sh("exec <&-; echo done", stdin=data)).stdout == b"done\n"


async def test_bad_requests_are_refused() -> None:
    with pytest.raises(GoError, match=r"^dmsgpty: Exec: empty command name$"):
        await execute(CommandExecReq(), ENVIRONMENT)
    with pytest.raises(GoError, match=r"^dmsgpty: Exec: stdin 1048577 > max 1048576$"):
        await sh("cat", stdin=bytes(MAX_STDIN + 1))


async def test_too_much_output_is_cut_and_blocks_nobody() -> None:
    result = await sh(f"head -c {MAX_OUTPUT + 5000} /dev/zero; echo ok >&2")
    assert (len(result.stdout), result.stdout_truncated) == (MAX_OUTPUT, True)
    assert (result.stderr, result.stderr_truncated, result.exit_code) == (b"ok\n", False, 0)
    exact = await sh(f"head -c {MAX_OUTPUT} /dev/zero")
    assert (len(exact.stdout), exact.stdout_truncated) == (MAX_OUTPUT, False)


async def test_over_time_everything_is_killed() -> None:
    begin = time.monotonic()
    result = await sh("echo $$; (trap '' HUP TERM; sleep 1000) & sleep 1001", timeout_ms=200)
    assert time.monotonic() - begin < 2
    assert (result.timed_out, result.exit_code) == (True, -1)
    assert result.stdout.strip().isdigit(), "what was printed before is kept"
    await eventually(lambda: not alive(int(result.stdout)))
    assert not children()


async def test_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_TIMEOUT", 0.1)
    monkeypatch.setattr(module, "MAX_TIMEOUT", 0.2)
    for wanted in (0, -5, 3_600_000, 1 << 62):
        assert (await sh("sleep 1000", timeout_ms=wanted)).timed_out


async def test_a_grandchild_that_holds_the_output_open_is_not_waited_for() -> None:
    begin = time.monotonic()
    result = await sh("sleep 1000 & echo $!")
    assert time.monotonic() - begin < 2
    assert result.exit_code == 0
    os.kill(int(result.stdout), 9)


async def test_a_grandchild_that_floods_does_not_matter() -> None:
    result = await sh("trap '' PIPE; yes & echo $! >&2")
    assert result.exit_code == 0
    with suppress(ProcessLookupError):  # `yes` may have found its output closed, and said so
        os.kill(int(result.stderr.split()[0]), 9)


async def test_a_lost_connection_kills_the_command() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        before = set(children())
        running = asyncio.ensure_future(client.execute(CommandExecReq("/bin/sleep", ["1000"])))
        await eventually(lambda: set(children()) - before)
        client.stream.abort()
        with pytest.raises(Exception, match="EOF"):
            await running
        await eventually(lambda: set(children()) == before)


async def test_commands_run_side_by_side_with_a_shell() -> None:
    async with node(OWNER) as here, here.client(OWNER) as client:
        begin = time.monotonic()
        request = CommandExecReq("/bin/sh", ["-c", "sleep 0.6; echo ok"])
        results = await asyncio.gather(*(client.execute(request) for _ in range(5)))
        assert [one.stdout for one in results] == [b"ok\n"] * 5
        assert time.monotonic() - begin < 2.5, "one after the other it takes 3 s"
        large = await client.execute(
            CommandExecReq("/usr/bin/head", ["-c", "20000000", "/dev/zero"])
        )
        assert (len(large.stdout), large.stdout_truncated) == (MAX_OUTPUT, True)
