"""Our terminal clients on Go hosts of 2024: no sessions, no Exec, Stop waits for Read."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import NotSupported, Refused, StreamError
from skywire.ports import DMSG_PTY
from skywire.pty.client import MAX_EXEC_MESSAGE, PtyClient
from skywire.pty.types import (
    ALREADY_RUNNING,
    NATURAL_END,
    CommandExecReq,
    CommandReq,
    WinSize,
)
from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.interop.go import Go, PtyHost
from tests.interop.ours import SOON, Network, Node, Ours, client
from tests.interop.processes import run_ours
from tests.interop.terminal import PROMPT, SHELL, Terminal, content, numbered_text, terminal

PASTED = 10_000  # characters
STOPPED = 3.0  # seconds within which a shell must have ended
SIZE = WinSize(rows=31, cols=117)
BASH = CommandReq(SHELL[0], list(SHELL[1:]), SIZE)


class Admitted(NamedTuple):
    """A Go host and a key it lets in."""

    host: PtyHost
    keys: tuple[PubKey, SecKey]
    discovery: str


@pytest.fixture(scope="module")
def admitted(go: Go, our_net: Network) -> Admitted:
    keys = key_pair()
    return Admitted(go.pty_host(our_net.discovery, keys[0]), keys, our_net.discovery)


@pytest.fixture
async def dmsg(admitted: Admitted) -> AsyncIterator[DmsgClient]:
    async with client(admitted.discovery, admitted.keys) as made:
        yield made


@asynccontextmanager
async def pty(dmsg: DmsgClient, host: PtyHost) -> AsyncIterator[PtyClient]:
    """For `SOON` seconds at most."""
    async with asyncio.timeout(SOON):
        stream = await dmsg.dial(host.public, DMSG_PTY)
        async with await PtyClient.connect(stream, max_message=MAX_EXEC_MESSAGE) as made:
            yield made


async def output_until(shell: PtyClient, pattern: str) -> "re.Match[str]":
    """The first match in what comes."""
    output = b""
    async with asyncio.timeout(SOON):
        while (found := re.search(pattern, output.decode(errors="replace"))) is None:
            output += await shell.read()
    return found


async def reason_of_end(shell: PtyClient) -> object:
    async with asyncio.timeout(SOON):
        while True:
            try:
                await shell.read()
            except Refused as error:
                return error.reason


async def pid_of(shell: PtyClient) -> int:
    await shell.write(b"echo pid-$$-\n")
    return int((await output_until(shell, r"pid-(\d+)-"))[1])


async def test_a_plain_shell_opens_with_its_size(dmsg: DmsgClient, admitted: Admitted) -> None:
    async with pty(dmsg, admitted.host) as shell:
        with pytest.raises(NotSupported, match="keeps no sessions"):
            await shell.start_session(BASH)
        opened = await shell.open(BASH, "0123456789abcdef")
        assert opened == ("", False)
        await shell.write(b"stty size; echo $((6*7))-x\n")
        await output_until(shell, r"31 117\s+42-x")
        await shell.set_size(WinSize(rows=50, cols=90))
        await shell.write(b"stty size; echo $((6*8))-x\n")
        await output_until(shell, r"50 90\s+48-x")


async def test_the_natural_end_and_a_shell_after_it(dmsg: DmsgClient, admitted: Admitted) -> None:
    async with pty(dmsg, admitted.host) as shell:
        await shell.start(CommandReq("/bin/sh", ["-c", "echo $((6*7))-x; exit 3"]))
        await output_until(shell, "42-x")
        assert await reason_of_end(shell) == NATURAL_END
        with pytest.raises(Refused, match=ALREADY_RUNNING):
            await shell.start(BASH)
        await shell.stop()
        with pytest.raises(Refused, match="no such file or directory"):
            await shell.start(CommandReq("/no/such/program"))
        await shell.start(BASH)
        await output_until(shell, PROMPT)


@pytest.mark.parametrize("program", ["", "sleep 1000"])
async def test_leaving_while_a_read_waits_ends_the_shell(
    dmsg: DmsgClient, admitted: Admitted, program: str
) -> None:
    """The order of Write, Read, Stop of pty.md §3.2; a plain Stop would hang."""

    async def read_on() -> None:
        while True:
            await shell.read()

    async with pty(dmsg, admitted.host) as shell:
        await shell.open(BASH)
        pid = await pid_of(shell)
        await shell.write(f"echo begun-$((1+1)); {program}\n".encode())
        await output_until(shell, "begun-2")
        reading = asyncio.ensure_future(read_on())
        await asyncio.sleep(0.1)  # it waits at the host
        assert alive(pid)
        async with asyncio.timeout(STOPPED):
            await shell.close()
            await eventually(lambda: not alive(pid))
        with pytest.raises(StreamError):
            await reading


async def test_a_command_without_terminal_is_refused_clearly(
    dmsg: DmsgClient, admitted: Admitted, env: dict[str, str]
) -> None:
    async with pty(dmsg, admitted.host) as shell:
        with pytest.raises(Refused, match=r"can't find method pty\.Exec"):
            await shell.execute(CommandExecReq("/bin/true"))
        await shell.open(BASH)  # the connection is as good as before
        await output_until(shell, PROMPT)


async def test_the_exec_command_says_what_is_missing(
    admitted: Admitted, env: dict[str, str]
) -> None:
    key = {"DMSG_SK": admitted.keys[1].hex()}
    command = ("cli", "pty", "exec", "--dmsg-disc", admitted.discovery)
    got = await asyncio.to_thread(
        lambda: run_ours(*command, str(admitted.host.public), "--", "/bin/true", env=env | key)
    )
    assert got.returncode == 1
    assert f"{admitted.host.public}:22 runs no single commands" in got.stderr
    assert "skywire cli pty start" in got.stderr


async def test_a_key_that_is_not_in_the_whitelist_is_refused(admitted: Admitted) -> None:
    async with client(admitted.discovery) as stranger:
        stream = await stranger.dial(admitted.host.public, DMSG_PTY)
        with pytest.raises(Refused, match="is it in the whitelist"):
            async with asyncio.timeout(SOON):
                await PtyClient.connect(stream)


async def test_pasted_text_arrives_in_order(
    dmsg: DmsgClient, admitted: Admitted, tmp_path: Path
) -> None:
    """A Go host reorders what it is sent without waiting: our clients wait."""
    text = numbered_text(PASTED)
    async with pty(dmsg, admitted.host) as shell:
        await shell.open(BASH)
        await output_until(shell, PROMPT)
        command = f"stty -echo -icanon; echo begun-$((1+1)); head -c {PASTED} > {tmp_path}/it\n"
        await shell.write(command.encode())
        await output_until(shell, "begun-2")
        for begin in range(0, PASTED, 1000):
            assert await shell.write(text[begin : begin + 1000].encode()) == 1000
        await eventually(lambda: content(tmp_path / "it") == text)


# `skywire cli pty start`: with a key of its own, and through the node of this machine


@pytest.fixture(scope="module")
def node(ours: Ours, our_net: Network) -> Node:
    return ours.visor(our_net.discovery)


@pytest.fixture(params=["own key", "through our node"])
async def screen(
    request: pytest.FixtureRequest, go: Go, ours: Ours, admitted: Admitted, node: Node
) -> AsyncIterator[Terminal]:
    """Our command with a shell on a Go host."""
    command = [sys.executable, "-m", "skywire", "cli", "pty", "start", "--cmd", SHELL[0]]
    command += [f"--arg={argument}" for argument in SHELL[1:]]
    env = dict(ours.env)
    if request.param == "own key":
        env["DMSG_SK"] = admitted.keys[1].hex()
        command += ["--dmsg-disc", admitted.discovery, str(admitted.host.public)]
    else:
        there = await asyncio.to_thread(go.pty_host, admitted.discovery, node.public)
        command += ["--socket", str(node.socket), str(there.public)]
    async with terminal(command, env, 33, 99) as made:
        yield made


async def test_our_command_opens_a_shell_that_follows_the_window(screen: Terminal) -> None:
    await screen.ask("stty size", "33 99")
    screen.resize(44, 88)
    async with asyncio.timeout(SOON):
        while (await screen.ask("stty size", r"\d+ \d+"))[0] != "44 88":
            continue
    await screen.type("exit\r")
    assert await screen.exit_code() == 0


async def test_our_command_takes_a_paste(screen: Terminal, tmp_path: Path) -> None:
    text = numbered_text(PASTED)
    file = tmp_path / "pasted"
    await screen.ask("stty -echo -icanon min 1", "")
    await screen.type(f"echo begun-$((1+1)); head -c {PASTED} > {file}\r")
    await screen.until("begun-2")
    await screen.type(text)
    await eventually(lambda: content(file) == text)


async def test_leaving_our_command_leaves_no_shell(screen: Terminal) -> None:
    pid = int((await screen.ask("echo pid-$$-", r"pid-(\d+)-"))[1])
    await screen.type("\r~.")
    assert await screen.exit_code() == 0
    await eventually(lambda: not alive(pid))
