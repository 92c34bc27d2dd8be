"""`skywire dmsg cat`: bytes of a pipe over dmsg, both ways."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.crypto.generate import key_pair
from skywire.testing.deployment import deployment

LIMIT = 30.0  # seconds no test here should need
PORT = "7000"


async def start(url: str, *words: str, secret: str, stdin: int = PIPE) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "skywire", "dmsg", "cat", "--dmsg-disc", url, *words),
        stdin=stdin,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "DMSG_SK": secret},
    )


@pytest.mark.parametrize("size", [5, 2_000_000])
async def test_what_goes_in_comes_out_and_the_end_ends_both(size: int) -> None:
    public, secret = key_pair()
    data = os.urandom(size)
    async with deployment() as net, asyncio.timeout(LIMIT):
        there = await start(net.url, "-l", PORT, secret=secret.hex(), stdin=PIPE)
        assert there.stderr is not None
        assert str(public).encode() in await there.stderr.readline()
        here = await start(net.url, str(public), PORT, secret=key_pair()[1].hex())
        done, received = await asyncio.gather(here.communicate(data), there.communicate())
    assert (here.returncode, done) == (0, (b"", b""))
    assert received[0] == data
    assert there.returncode == 0


async def test_an_answer_is_waited_for() -> None:
    public, secret = key_pair()
    async with deployment() as net, asyncio.timeout(LIMIT):
        there = await start(net.url, "-l", PORT, secret=secret.hex())
        assert there.stderr is not None
        await there.stderr.readline()
        here = await start(net.url, str(public), PORT, "--wait", secret=key_pair()[1].hex())
        assert here.stdin is not None
        here.stdin.write(b"question\n")
        here.stdin.close()
        assert there.stdout is not None
        assert await there.stdout.readline() == b"question\n"
        assert (await asyncio.gather(there.communicate(b"answer\n"), here.communicate()))[1] == (
            b"answer\n",
            b"",
        )


async def test_nobody_there_is_an_error() -> None:
    async with deployment() as net, asyncio.timeout(LIMIT):
        secret = key_pair()[1].hex()
        process = await start(net.url, str(key_pair()[0]), PORT, secret=secret, stdin=DEVNULL)
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"Error: ")


@pytest.mark.parametrize("words", [[PORT], ["-l", "a", PORT], ["PK", PORT], ["-l", "70000"]])
def test_bad_usage(words: list[str]) -> None:
    assert CliRunner().invoke(root, ["dmsg", "cat", *words]).exit_code == 2
