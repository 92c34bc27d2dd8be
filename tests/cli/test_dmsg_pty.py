"""`skywire dmsg pty`: host, terminal and page without a visor, as programs."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from skywire.cli.dmsg_pty import confgen, is_of_this_machine
from skywire.config import pty_host
from skywire.crypto.generate import key_pair
from skywire.errors import Conflict, InvalidValue
from skywire.testing.deployment import deployment
from tests.cli.test_pty import ENVIRONMENT
from tests.cli.test_pty_direct import ready_line

LIMIT = 20.0  # seconds
OURS, OUR_SK = key_pair()


@asynccontextmanager
async def running(*words: str) -> AsyncIterator[dict[str, Any]]:
    """What a program that serves tells when it is ready; afterwards it ends in order."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skywire", *words,
        pass_fds=[writing],
        env={**ENVIRONMENT, "HOME": "/", "SKYWIRE_READY_FD": str(writing)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    try:
        async with asyncio.timeout(LIMIT):
            line = await asyncio.to_thread(ready_line, reading)
        yield json.loads(line)
    finally:
        process.terminate()
        _, errors = await process.communicate()
    assert (process.returncode, b"Traceback" in errors) == (0, False)


async def call(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skywire", *words,
        env=ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_host_without_a_visor(tmp_path: Path) -> None:
    socket = str(tmp_path / "pty.sock")
    async with (
        deployment() as net,
        running(
            "dmsg", "pty", "host", "--dmsgdisc", net.url, "--cliaddr", socket, "--wl", str(OURS)
        ) as facts,
    ):
        # by its control socket: a shell, and who may have one
        done = await call("dmsg", "pty", "cli", "-r", socket, "-c", "echo", "-a", "there")
        assert (done[0], done[1].strip()) == (0, "there")
        listed = await call("app", "pty", "whitelist", "--cliaddr", socket)
        assert set(listed[1].split()) == {str(OURS), facts["public_key"]}
        # over dmsg, with a key that may
        way = ["--dmsg-disc", net.url, "--sk", OUR_SK.hex()]
        done = await call("app", "pty", "exec", facts["public_key"], *way, "--", "echo", "far")
        assert done == (0, "far\n")
        # and in a browser
        async with (
            running("dmsg", "pty", "ui", "--addr", "127.0.0.1:0", "--haddr", socket) as page,
            aiohttp.ClientSession() as session,
        ):
            async with session.get(page["url"].replace("127.0.0.1", "localhost")) as answer:
                assert (answer.status, "<html" in await answer.text()) == (200, True)
            async with session.get(page["url"], headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
            async with session.ws_connect(page["url"]) as ws:
                await ws.send_json({"type": "resize", "cols": 80, "rows": 24})
                await ws.send_str("echo by$((1))hand\r")
                seen = b""
                async with asyncio.timeout(LIMIT):
                    while b"by1hand" not in seen:
                        message = await ws.receive()
                        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)
                        seen += message.data if isinstance(message.data, bytes) else b""


def test_a_config_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    made = CliRunner().invoke(confgen, [str(path), "--json"], standalone_mode=False)
    key = json.loads(made.stdout)["output"]["public_key"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(pty_host.read(path).pk) == key
    with pytest.raises(Conflict, match="--unsafe"):
        pty_host.write(path)
    assert str(pty_host.write(path, replace=True).pk) != key
    assert pty_host.read(tmp_path / "new.json").dmsgport == 22  # made, as it was not there


@pytest.mark.parametrize(
    "change", [{"pk": str(key_pair()[0])}, {"dmsgport": 0}, {"wl": ["x"]}, {"sk": "00"}]
)
def test_a_config_that_makes_no_sense_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    pty_host.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidValue, match=next(iter(change))):
        pty_host.read(path)


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "[::1]:8080", "x.localhost"])
def test_names_of_this_machine(host: str) -> None:
    assert is_of_this_machine(host)


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org:80", "", "1.2.3.4.nip.io"])
def test_names_that_somebody_may_have_given_out(host: str) -> None:
    assert not is_of_this_machine(host)
