"""`skywire cli pty` as a program: exit codes, streams, a real terminal, both ways to a node."""

import asyncio
import os
import re
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.platform.processes import Child
from skywire.platform.pty import spawn_on_terminal
from skywire.pty.control import listen_control
from skywire.pty.host import PtyHost
from skywire.pty.shell import TerminalShell
from skywire.pty.types import WinSize
from skywire.pty.whitelist import Whitelist
from skywire.rpc.server import Method, RpcServer
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.testing.deployment import deployment
from skywire.testing.old_host import OldHost
from skywire.testing.shells import FakeShell
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.wire.gob_types import EMPTY, STRING, Slice
from tests.pty.kit import over_dmsg

PTY = ["-m", "skywire", "cli", "pty"]
REMOTE, LOCAL = key_pair()[0], key_pair()[0]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "DMSG_SK"},
    "TERM": "dumb",
}
SHELL = ["--cmd", "/bin/bash", "--arg=--norc", "--arg=--noprofile"]


class Done(NamedTuple):
    code: int
    out: str
    err: str


async def pty(*arguments: str, stdin: bytes = b"") -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *PTY,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def local_node(
    tmp_path: Path, *, old: OldHost | None = None
) -> AsyncIterator[tuple[str, PtyHost]]:
    """The control socket of a node that reaches one other host, and that host, or `old`."""
    tasks = Tasks("test nodes")
    environment = {"PATH": os.environ["PATH"], "PS1": "$ "}
    async with PtyHost(Whitelist([LOCAL]), environment=environment) as remote:

        async def dial(pk: PubKey, port: int) -> Stream:
            if (pk, port) != (REMOTE, 22):
                raise DialFailed(f"{pk}:{port}: nobody there")
            ours, theirs = stream_pair(a=Address.dmsg(LOCAL, 1), b=Address.dmsg(REMOTE, 22))
            tasks.spawn((old or remote).serve(theirs))
            return ours

        async with PtyHost(Whitelist(), dial=over_dmsg(dial)) as local:
            path = str(tmp_path / "pty.sock")
            listener = await listen_control("unix", path)
            tasks.spawn(local.accept_control(listener))
            try:
                yield path, remote
            finally:
                await listener.close()
                await tasks.close()


class Output:
    def __init__(self) -> None:
        self.data = b""
        self.ended = False

    def receive_output(self, data: bytes) -> None:
        self.data += data

    def receive_end(self, reason: str) -> None:
        self.ended = True


class Person:
    """Somebody at a terminal in which the command runs."""

    def __init__(self, *arguments: str) -> None:
        self._output = Output()
        master, self._child = spawn_on_terminal(
            sys.executable, [*PTY, *arguments], ENVIRONMENT, (30, 100, 0, 0)
        )
        self._kept = os.dup(master)  # what the command leaves behind can still be looked at
        self._shell = TerminalShell(master, self._child, self._output)

    @property
    def child(self) -> Child:
        return self._child

    @property
    def screen(self) -> str:
        return self._output.data.decode(errors="replace")

    def modes(self) -> list[object]:
        return termios.tcgetattr(self._kept)[:4]

    async def types(self, text: str, then: str) -> None:
        """Until `then` (a regular expression) is on the screen, behind what was there before."""
        seen = len(self.screen)
        await self._shell.write(text.encode())
        await eventually(lambda: re.search(then, self.screen[seen:]), limit=20)

    def resize(self, rows: int, cols: int) -> None:
        self._shell.resize(WinSize(rows=rows, cols=cols))

    async def end(self) -> int:
        async with asyncio.timeout(20):
            await asyncio.shield(self._child.exited)
        assert self._child.exit_code is not None
        return self._child.exit_code

    async def close(self) -> None:
        await self._shell.stop()
        os.close(self._kept)


@asynccontextmanager
async def person(*arguments: str) -> AsyncIterator[Person]:
    someone = Person(*arguments)
    try:
        yield someone
    finally:
        await someone.close()


async def test_exec_gives_output_and_exit_code_of_the_remote_command(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, _):
        where = ["--socket", path, str(REMOTE)]
        done = await pty("exec", *where, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
        assert done == Done(7, "out\n", "err\n")
        done = await pty("exec", *where, "--", "no-such-command")
        assert done.code == 255
        assert "no-such-command" in done.err
        done = await pty("exec", "--timeout", "0.2", *where, "sleep", "1000")
        assert done.code == 124
        done = await pty("exec", "-i", "--env", "A=b c", *where, "sh", "-c", 'cat; echo "$A"',
            stdin=b"typed\n",
        )  # fmt: skip
        assert done == Done(0, "typed\nb c\n", "")
        done = await pty("exec", *where, "--json", "--", "echo", "hello")
        assert '"stdout": "hello\\n"' in done.out
        assert done.code == 0


async def test_exec_says_what_to_do_about_an_old_host(tmp_path: Path) -> None:
    async with local_node(tmp_path, old=OldHost(FakeShell)) as (path, _):
        done = await pty("exec", "--socket", path, str(REMOTE), "--", "true")
        assert done.code == 1
        assert f"{REMOTE}:22 runs no single commands" in done.err
        assert f"skywire cli pty start {REMOTE}" in done.err


async def test_what_cannot_be_reached_is_exit_code_1(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, _):
        done = await pty("exec", "--socket", path, str(LOCAL), "--", "true")
        assert done.code == 1
        assert "could not reach that host" in done.err
        done = await pty("exec", "--socket", f"{path}x", str(REMOTE), "--", "true")
        assert done.code == 1
        assert 'start a node with "skywire visor", or give a key of your own' in done.err


async def test_the_network_to_go_over_is_the_local_nodes_business(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, _):  # it is on dmsg only
        where = ["exec", "--socket", path, str(REMOTE), "--scheme"]
        assert await pty(*where, "dmsg", "--", "echo", "there") == Done(0, "there\n", "")
        assert (await pty(*where, "skynet", "--", "true")).code == 1


async def test_bad_values_are_told_before_anything_is_dialled(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    for arguments, text in (
        (["exec", "zz", "--", "true"], "invalid public key"),
        (["exec", str(REMOTE)], "Missing argument"),
        (["start", str(REMOTE), "--scheme", "skynet", "--sk", "1" * 64], "there is dmsg only"),
        (["start", str(REMOTE), "--socket", path, "--sk", "1" * 64], "choose one way"),
        (["start", str(REMOTE), "--port", "0"], "not in the range"),
    ):
        done = await pty(*arguments)
        assert done.code == 2
        assert text in done.err


async def test_the_whitelist_of_the_local_node(tmp_path: Path) -> None:
    key = str(key_pair()[0])
    async with local_node(tmp_path) as (path, _):
        assert await pty("whitelist", "--socket", path) == Done(0, "", "")
        assert await pty("whitelist-add", "--socket", path, key) == Done(0, "OK\n", "")
        assert await pty("whitelist", "--socket", path) == Done(0, f"{key}\n", "")
        assert await pty("whitelist-remove", "--socket", path, key) == Done(0, "OK\n", "")
        done = await pty("whitelist", "--socket", path, "--json")
        assert '"output": []' in done.out
        assert (await pty("whitelist-add", "--socket", path, "zz")).code == 2


async def test_an_interactive_terminal(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, remote):
        async with person("start", str(REMOTE), "--socket", path, *SHELL) as someone:
            before = someone.modes()
            await someone.types("", r"\$ ")
            assert someone.modes() != before, "raw"
            await someone.types(
                "echo $((6*7)); stty size; echo $TERM\r", r"42\r\n30 100\r\ndumb\r\n"
            )
            someone.resize(40, 132)
            await someone.types("sleep 0.2; stty size\r", r"40 132\r\n")
            await someone.types("cat\r", "cat\r\n")
            await someone.types("\x03", r"\^C")
            await someone.types("exit 3\r", "exit\r\n")
            assert await someone.end() == 0
            assert someone.modes() == before
        await eventually(lambda: remote._connections == 0)


async def test_leaving_with_the_escape_ends_a_plain_shell(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, remote):
        async with person("start", str(REMOTE), "--socket", path, *SHELL) as someone:
            before = someone.modes()
            await someone.types("", r"\$ ")
            await someone.types("echo ~~.\r", r"~~\.\r\n.*\$ ")
            await someone.types("~.", "left")
            assert await someone.end() == 0
            assert someone.modes() == before
        await eventually(lambda: remote._connections == 0)


async def test_a_lost_connection_and_a_signal_restore_the_terminal(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, _):
        async with person("start", str(REMOTE), "--socket", path, *SHELL) as someone:
            before = someone.modes()
            await someone.types("", r"\$ ")
            os.kill(someone.child.pid, 15)
            assert await someone.end() == 143
            assert someone.modes() == before
        lost = Person("start", str(REMOTE), "--socket", path, *SHELL)
        await lost.types("", r"\$ ")
    assert await lost.end() == 1
    assert lost.modes() == before
    assert "connection lost" in lost.screen
    await lost.close()


async def test_a_script_on_standard_input(tmp_path: Path) -> None:
    async with local_node(tmp_path) as (path, _):
        script = b"echo $((6*7))\nexit\n"
        done = await pty("start", "--socket", path, str(REMOTE), *SHELL, stdin=script)
        assert done.code == 0
        assert "\r\n42\r\n" in done.out
        done = await pty("start", "--socket", path, str(REMOTE), *SHELL, stdin=b"echo $((6*8))\n")
        assert done.code == 0, "the end of the input ends the shell"
        assert "\r\n48\r\n" in done.out
        done = await pty("start", "--socket", path, str(REMOTE), "--cmd", "/no/such")
        assert done.code == 1
        assert "fork/exec /no/such: no such file or directory" in done.err


async def test_with_a_key_of_ones_own_over_dmsg(tmp_path: Path) -> None:
    ours, secret = key_pair()
    key_file = tmp_path / "key"
    key_file.write_text(f"{ours}\n{secret.hex()}\n")
    tasks = Tasks("test")
    environment = {"PATH": os.environ["PATH"], "PS1": "$ "}
    async with deployment() as net:
        node = await net.client()
        async with PtyHost(
            Whitelist([ours]), persistent_sessions=True, environment=environment
        ) as host:
            listener = node.listen(22)
            tasks.spawn(host.accept(listener))
            identity = ["--dmsg-disc", net.url, "--sk", f"@{key_file}"]
            done = await pty("exec", *identity, str(node.public), "--", "echo", "hello")
            assert done == Done(0, "hello\n", "")
            done = await pty("exec", "--dmsg-disc", net.url, str(node.public), "--", "true")
            assert done.code == 1
            assert "request rejected by remote dmsgpty-host" in done.err

            async with person("start", *identity, str(node.public), *SHELL) as someone:
                await someone.types("", r"\$ ")
                await someone.types("echo pid-$$-\r", r"pid-\d+-")
                pid = re.findall(r"pid-(\d+)-", someone.screen)[-1]
                await someone.types("~.", r"--attach [0-9a-f]{16}")
                assert await someone.end() == 0
                (session,) = re.findall(r"--attach ([0-9a-f]{16})", someone.screen)
            again = ["start", *identity, str(node.public), "--attach", session]
            async with person(*again, *SHELL) as someone:
                await someone.types("", f"pid-{pid}-")
                await someone.types("echo again-$$-\r", f"again-{pid}-")
                await someone.types("exit\r", "exit")
                assert await someone.end() == 0
            await host.sweep()
            async with person(*again, *SHELL) as someone:
                await someone.types("", f"session {session} is gone: this is a new shell")
                await someone.types("exit\r", "exit")
                assert await someone.end() == 0
            await listener.close()
        await tasks.close()


async def test_the_list_of_nodes() -> None:
    async def remote_visors(_: None) -> list[str]:
        return ["b" * 66, "a" * 66]

    tasks = Tasks("test")
    listener = await listen_tcp("127.0.0.1", 0)

    async def serve(methods: dict[str, Method]) -> None:
        await RpcServer(methods).serve(await listener.accept())

    address = str(listener.address)
    method = Method(EMPTY, Slice(STRING), remote_visors)
    tasks.spawn(serve({"app-visor.RemoteVisors": method}))
    assert await pty("list", "--rpc", address) == Done(0, f"1. {'a' * 66}\n2. {'b' * 66}\n", "")
    tasks.spawn(serve({}))
    done = await pty("list", "--rpc", address)
    assert done.code == 1
    await listener.close()
    done = await pty("list", "--rpc", address)
    assert done.code == 1
    assert "RPC connection failed; is skywire running?" in done.err
    await tasks.close()


@pytest.mark.parametrize("variable", ["LANG", "COLORTERM"])
def test_what_a_remote_shell_learns_of_our_terminal(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skywire.cli.pty import PASSED_ON, passed_on_environment

    for name in PASSED_ON:
        monkeypatch.delenv(name, raising=False)
    assert passed_on_environment() == ["TERM=xterm-256color"]
    monkeypatch.setenv(variable, "x y")
    monkeypatch.setenv("TERM", "vt100")
    assert set(passed_on_environment()) == {"TERM=vt100", f"{variable}=x y"}
