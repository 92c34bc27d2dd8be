"""`skywire cli pty shell|host` and `--via`, as programs on this machine."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skywire.cli.pty import Place
from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.errors import InvalidValue
from tests.cli.test_pty import ENVIRONMENT, pty

OURS, OUR_SK, _ = deterministic_key_pair(b"a place")  # test names must not change
LIMIT = 20.0  # seconds


@asynccontextmanager
async def host(*arguments: str) -> AsyncIterator[str]:
    """A running `pty host`; its address is PK@HOST:PORT."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skywire", "cli", "pty", "host", "--listen", "127.0.0.1:0",
        *arguments,
        pass_fds=[writing],
        env={**ENVIRONMENT, "SKYWIRE_READY_FD": str(writing)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    try:
        async with asyncio.timeout(LIMIT):
            line = await asyncio.to_thread(ready_line, reading)
        facts = json.loads(line)
        yield f"{facts['public_key']}@{facts['address']}"
    finally:
        process.terminate()
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors


def ready_line(reading: int) -> str:
    with open(reading) as pipe:
        return pipe.readline()


async def test_a_command_over_plain_tcp() -> None:
    async with host("--allow", str(OURS)) as place:
        key = place.partition("@")[0]
        way = ["--via", f"tcp://{place}", "--sk", OUR_SK.hex()]
        done = await pty("exec", key, *way, "--", "sh", "-c", "echo out; exit 3")
        assert (done.code, done.out) == (3, "out\n")
        done = await pty("exec", key, "--via", f"tcp://{place}", "--", "true")  # a new key
        assert (done.code, done.out) == (1, "")
        other = key_pair()[0]
        done = await pty("exec", str(other), *way, "--", "true")
        assert (done.code, "another node" in done.err) == (2, True)


async def test_a_shell_over_plain_tcp_ends_with_its_command() -> None:
    async with host("--allow", str(OURS)) as place:
        done = await pty("shell", place, "--sk", OUR_SK.hex(), "--", "/bin/echo", "there")
        assert (done.code, done.out.strip()) == (0, "there")


async def test_the_key_of_the_visor_is_both_ends_default(tmp_path: Path) -> None:
    pk, sk = key_pair()
    config = tmp_path / "skywire-config.json"
    config.write_text(json.dumps({"pk": str(pk), "sk": sk.hex()}))
    async with host("--allow", str(pk), "--sk-from-visor", "-i", str(config)) as place:
        assert place.startswith(str(pk))
        done = await pty("shell", place, "-i", str(config), "--", "/bin/echo", "there")
        assert (done.code, done.out.strip()) == (0, "there")
        done = await pty("shell", place, "--no-visor-key", "--", "/bin/echo", "there")
        assert (done.code, done.out) == (1, "")


async def test_two_keys_are_refused() -> None:
    done = await pty("shell", "--sk", OUR_SK.hex(), "--no-visor-key", f"{OURS}@localhost")
    assert (done.code, "choose one" in done.err) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "localhost", f"{OURS}", f"{OURS}@", f"{OURS}@:1", f"{OURS}@h:0", "x@h:1", "x@h:y"]
)
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Place.parse(text)


def test_the_port_of_a_place_may_be_left_out() -> None:
    assert Place.parse(f"{OURS}@example.org") == (OURS, "example.org", 2022)
    assert Place.parse(f"{OURS}@[::1]") == (OURS, "::1", 2022)
    assert Place.parse(f"{OURS}@[::1]:22") == (OURS, "::1", 22)
