"""Every example, run as its reader runs it: a program of its own, with no configuration.

`SKYDEPLOY` makes the network in this process the deployment they find.
"""

import asyncio
import hashlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

import skywire
from skywire.config.deployment import VARIABLE
from skywire.testing import TestNetwork
from skywire.testing.embedded import free_port

EXAMPLES = Path(__file__).parents[1] / "examples"
MAX_LINES = 40
LIMIT = 40.0  # seconds for one program, on a busy machine


class Programs:
    """The examples, in `folder`, on the network of the test."""

    def __init__(self, net: TestNetwork, folder: Path) -> None:
        self.folder = folder
        file = folder / "deployment.json"
        file.write_bytes(msgspec.json.encode({"prod": net.deployment}))
        self._environment = {**os.environ, VARIABLE: str(file)}

    async def start(self, name: str, *arguments: str, **variables: str) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / name),
            *arguments,
            cwd=self.folder,
            env=self._environment | variables,
            stdin=PIPE,
            stdout=PIPE,
        )

    async def run(self, name: str, *arguments: str, **variables: str) -> list[str]:
        """The lines it prints; it has to end well."""
        process = await self.start(name, *arguments, **variables)
        try:
            async with asyncio.timeout(LIMIT):
                printed, _ = await process.communicate()
        finally:
            await kill(process)
        assert process.returncode == 0, printed
        return printed.decode().splitlines()

    @asynccontextmanager
    async def running(self, name: str, *arguments: str) -> AsyncIterator[tuple[str, Process]]:
        """Its first line, once it is there."""
        process = await self.start(name, *arguments)
        try:
            yield await line(process), process
        finally:
            await kill(process)


async def line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT):
        return (await process.stdout.readline()).decode().strip()


async def kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.fixture
def programs(skywire_network: TestNetwork, tmp_path: Path) -> Programs:
    return Programs(skywire_network, tmp_path)


async def test_echo(programs: Programs) -> None:
    async with programs.running("echo.py") as (pk, _):
        assert await programs.run("echo.py", pk) == ["hello"]


async def test_chat(programs: Programs) -> None:
    async with (
        programs.running("chat.py") as (pk, called),
        programs.running("chat.py", pk) as (_, caller),
    ):
        for one, other, text in ((caller, called, "hi"), (called, caller, "who is it?")):
            assert one.stdin is not None
            one.stdin.write(f"{text}\n".encode())
            assert await line(other) == f"< {text}"
        assert caller.stdin is not None
        caller.stdin.close()  # Ctrl-D
        async with asyncio.timeout(LIMIT):
            assert [await caller.wait(), await called.wait()] == [0, 0]


async def test_send_file(programs: Programs, tmp_path: Path) -> None:
    sent = tmp_path / "elsewhere" / "a file.bin"
    sent.parent.mkdir()
    data = os.urandom(1_000_000)
    sent.write_bytes(data)
    async with programs.running("send_file.py") as (pk, _):
        (told,) = await programs.run("send_file.py", pk, str(sent))
    assert told == f"arrived, sha256 {hashlib.sha256(data).hexdigest()}"
    assert (tmp_path / sent.name).read_bytes() == data


async def test_aiohttp_app_and_http_client(programs: Programs) -> None:
    async with programs.running("aiohttp_app.py") as (url, _):
        status, text = await programs.run("http_client.py", url)
        assert status == "200 text/plain"
        assert text.startswith("Hello, 0")


async def test_asgi_app(programs: Programs, skywire_node: skywire.Node) -> None:
    async with (
        programs.running("asgi_app.py") as (url, _),
        skywire_node.http() as http,
        http.get(f"{url}/x%20y") as got,
    ):
        assert await got.text() == f"{skywire_node.pk} asks for /x y"


async def test_forward_port(programs: Programs) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port, here = server.sockets[0].getsockname()[1], free_port()
    async with (
        server,
        programs.running("forward_port.py", "offer", str(port)) as (pk, _),
        programs.running("forward_port.py", pk, str(here)) as (address, _),
        asyncio.timeout(LIMIT),
    ):
        assert address == f"127.0.0.1:{here}"
        reader, writer = await asyncio.open_connection("127.0.0.1", here)
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        writer.close()


async def test_call_visor(programs: Programs, skywire_network: TestNetwork) -> None:
    public, secret = skywire.key_pair()
    visor = await skywire_network.node({"hypervisors": [str(public)]})
    (told,) = await programs.run("call_visor.py", str(visor.pk), SKYWIRE_SK=secret.hex())
    assert told.startswith(f"{visor.pk} is up for ")


async def test_parallel_dials(programs: Programs, skywire_network: TestNetwork) -> None:
    nobody = str(skywire.key_pair()[0])
    keys = [str(node.pk) for node in skywire_network]
    *found, missing = await programs.run("parallel_dials.py", *keys, nobody)
    assert [text.split()[0] for text in found] == keys
    assert all(text.endswith(" ms") for text in found)
    assert missing.startswith(f"{nobody} ")
    assert not missing.endswith(" ms")


async def test_with_pytest(programs: Programs) -> None:
    example = EXAMPLES / "test_with_pytest.py"
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", str(example))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=EXAMPLES, stdout=PIPE
    )
    async with asyncio.timeout(LIMIT):
        printed, _ = await process.communicate()
    assert b"3 passed" in printed, printed.decode()


def test_there_are_ten_and_each_is_short() -> None:
    examples = sorted(EXAMPLES.glob("*.py"))
    assert len(examples) == 10
    long = [path.name for path in examples if path.read_text().count("\n") > MAX_LINES]
    assert long == []
    ours = Path(__file__).read_text()
    assert [path.name for path in examples if f'"{path.name}"' not in ours] == []
