"""Our own programs as processes, and our dmsg clients in this one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from tests.interop.go import servers
from tests.interop.processes import LOOPBACK, Program, start_ours

SOON = 20.0  # seconds nothing here should need
ECHO = 7000  # dmsg port of `echo`


class Network(NamedTuple):
    """One discovery with one dmsg server."""

    discovery: str  # URL
    server: PubKey


class Ours:
    """Starts our programs; `close` ends them all. Files are in `folder`."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = env
        self._programs: list[Program] = []

    def close(self) -> None:
        for program in reversed(self._programs):
            program.stop()

    def path(self, name: str) -> Path:
        return self.folder / f"{len(self._programs)}-{name}"

    def start(self, *arguments: str, name: str) -> tuple[Program, dict[str, Any]]:
        program, facts = start_ours(arguments, self.path(f"{name}.log"), self.env)
        self._programs.append(program)
        return program, facts

    def discovery(self, store: str = "", *more: str) -> str:
        """URL of a discovery; without a `store` on a SQLite file of its own."""
        store = store or f"sqlite:///{self.path('entries.db')}"
        arguments = ["--addr", f"{LOOPBACK}:0", "--store", store, "--test-mode", *more]
        _, facts = self.start("dmsg", "disc", *arguments, name="discovery")
        return f"http://{LOOPBACK}:{facts['port']}"

    def server(self, discovery: str, **more: Any) -> tuple[PubKey, Program]:
        public, secret = key_pair()
        config = {
            "public_key": str(public),
            "secret_key": secret.hex(),
            "discovery": discovery,
            "public_address": f"{LOOPBACK}:0",
        }
        file = self.path("server.json")
        file.write_text(json.dumps(config | more))
        program, _ = self.start("dmsg", "server", "start", str(file), name="server")
        program.until(lambda: public in servers(discovery), "its registration")
        return public, program

    def http(self, discovery: str, folder: Path, *more: str) -> PubKey:
        """Key of a server of the files in `folder`, on dmsg port 80."""
        arguments = ["--dmsg-disc", discovery, "--dir", str(folder), *more]
        _, facts = self.start("dmsg", "http", *arguments, name="http")
        return PubKey.parse(facts["public_key"])

    def visor(self, discovery: str, **more: Any) -> "Node":
        """A node with a terminal host. `more` changes its config."""
        public, secret = key_pair()
        config: dict[str, Any] = {
            "sk": secret.hex(),
            "dmsg": {"discovery": discovery, "sessions_count": 1},
            "cli_addr": f"{LOOPBACK}:0",
            "local_path": str(self.folder),
        }
        socket = self.path("v.sock")
        pty = {"cli_address": str(socket)} | more.pop("pty", {})
        file = self.path("visor.json")
        file.write_text(json.dumps(config | {"pty": pty} | more))
        program, facts = self.start("visor", "-c", str(file), name="visor")
        assert facts["failed"] == {}, program.output
        return Node(public, socket, facts, program)


class Node(NamedTuple):
    """A visor of ours."""

    public: PubKey
    socket: Path  # control socket of its terminals
    facts: dict[str, Any]
    program: Program


@asynccontextmanager
async def client(
    discovery: str, keys: tuple[PubKey, SecKey] | None = None
) -> AsyncIterator[DmsgClient]:
    """A dmsg client that can dial and be dialled."""
    public, secret = keys or key_pair()
    async with (
        DiscoveryClient(discovery) as directory,
        DmsgClient(public, secret, directory) as made,
    ):
        async with asyncio.timeout(SOON):
            await made.ready()
        yield made


@asynccontextmanager
async def clients(discovery: str, count: int) -> AsyncIterator[list[DmsgClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client(discovery)) for _ in range(count)]


@asynccontextmanager
async def echo(listening: DmsgClient) -> AsyncIterator[None]:
    """What is sent to port `ECHO` comes back."""
    tasks = Tasks("echo")
    listener = listening.listen(ECHO)

    async def serve() -> None:
        while True:
            tasks.spawn(_return_all(await listener.accept()), "echo")

    tasks.spawn(serve(), "accept")
    try:
        yield
    finally:
        await tasks.close()
        await listener.close()


async def _return_all(stream: Stream) -> None:
    with contextlib.suppress(Exception):
        while data := await stream.read():
            await stream.write(data)
    await stream.close()


async def read_exactly(stream: Stream, size: int) -> bytes:
    parts, missing = [], size
    async with asyncio.timeout(SOON):
        while missing:
            data = await stream.read(missing)
            assert data, f"{missing} of {size} bytes are missing"
            parts.append(data)
            missing -= len(data)
    return b"".join(parts)


async def answers(dialling: DmsgClient, remote: PubKey, text: bytes) -> bytes:
    """What `echo` at `remote` makes of `text`."""
    async with asyncio.timeout(SOON):
        stream = await dialling.dial(remote, ECHO)
    try:
        assert stream.remote.pk == remote
        await stream.write(text)
        return await read_exactly(stream, len(text))
    finally:
        await stream.close()
