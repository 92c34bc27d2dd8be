"""Go's terminal command on our hosts: over the network, and on our control socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.interop.go import Go, PtyHost
from tests.interop.ours import SOON, Network, Node, Ours
from tests.interop.terminal import SHELL, Terminal, content, numbered_text, terminal

GO_ERRORS = ("Read loop closed with error", "Failed to execute", "ERROR")
PASTED = 10_000  # characters


@pytest.fixture(scope="module")
def host(go: Go, go_net: Network) -> PtyHost:
    """A Go host, whose key our nodes let in; Go's command asks it to bring it to them."""
    return go.pty_host(go_net.discovery)


@pytest.fixture(scope="module")
def classic(ours: Ours, go_net: Network, host: PtyHost) -> Node:
    return ours.visor(go_net.discovery, pty={"whitelist": [str(host.public)]})


@pytest.fixture(scope="module")
def persistent(ours: Ours, go_net: Network, host: PtyHost) -> Node:
    pty = {"whitelist": [str(host.public)], "persistent_sessions": True}
    return ours.visor(go_net.discovery, pty=pty)


@pytest.fixture(params=["classic", "persistent"])
def node(request: pytest.FixtureRequest) -> Node:
    """Shells end with the connection, or are kept."""
    found: Node = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["network", "control socket"])
async def shell(
    request: pytest.FixtureRequest, go: Go, host: PtyHost, node: Node
) -> AsyncIterator[Terminal]:
    """Go's command with a shell of ours, either way."""
    if request.param == "network":
        command = go.pty_command(host.socket, *SHELL, remote=node.public)
    else:
        command = go.pty_command(node.socket, *SHELL)
    async with terminal(command, go.env) as made:
        yield made


def check_good_end(screen: str) -> None:
    for error in GO_ERRORS:
        assert error not in screen


async def test_a_command_prints_and_ends(go: Go, host: PtyHost, node: Node) -> None:
    """T40: the natural end is the text Go knows, so that it logs no error and exits with 0."""
    line = "echo answer-$((6*7)); exit 3"
    for command in (
        go.pty_command(host.socket, "/bin/sh", "-c", line, remote=node.public),
        go.pty_command(node.socket, "/bin/sh", "-c", line),
    ):
        async with terminal(command, go.env) as screen:
            assert await screen.exit_code() == 0
            await screen.until("answer-42")
            check_good_end(screen.output)


async def test_a_shell_follows_the_window(shell: Terminal) -> None:
    await shell.ask("echo $((20+3))-x", "23-x")
    shell.resize(41, 123)
    async with asyncio.timeout(SOON):
        while (await shell.ask("stty size", r"\d+ \d+"))[0] != "41 123":
            continue
    await shell.type("exit\r")
    assert await shell.exit_code() == 0
    check_good_end(shell.output)


async def test_ctrl_c_reaches_the_program(shell: Terminal) -> None:
    await shell.until("ready> ")
    await shell.type("bash -c 'echo begun-$((1+1)); exec sleep 1000'\r")
    await shell.until("begun-2")
    await shell.type("\x03")
    await shell.ask("echo $?-code", "130-code")


async def test_pasted_text_arrives_in_order(shell: Terminal, tmp_path: Path) -> None:
    text = numbered_text(PASTED)
    file = tmp_path / "pasted"
    await shell.ask("stty -echo -icanon min 1", "")
    await shell.type(f"echo begun-$((1+1)); head -c {len(text)} > {file}\r")
    await shell.until("begun-2")
    await shell.type(text)
    await eventually(lambda: content(file) == text)


async def test_much_output_arrives_intact(shell: Terminal) -> None:
    found = await shell.ask("seq 1 30000 | tr '\\n' ,", r"(1,2,[\d,]*30000,)")
    assert found[1] == "".join(f"{number}," for number in range(1, 30001))


async def test_a_command_that_dies_leaves_no_classic_shell(go: Go, classic: Node) -> None:
    async with terminal(go.pty_command(classic.socket, *SHELL), go.env) as screen:
        pid = await shell_pid(screen)
        await screen.hang_up()
        await eventually(lambda: not alive(pid))


async def test_a_go_host_that_dies_leaves_no_classic_shell(
    go: Go, go_net: Network, ours: Ours
) -> None:
    """It is the one that has the stream to us, not the command it serves."""
    middle = await asyncio.to_thread(go.pty_host, go_net.discovery)
    node = await asyncio.to_thread(
        lambda: ours.visor(go_net.discovery, pty={"whitelist": [str(middle.public)]})
    )
    command = go.pty_command(middle.socket, *SHELL, remote=node.public)
    async with terminal(command, go.env) as screen:
        pid = await shell_pid(screen)
        middle.program.kill()
        await eventually(lambda: not alive(pid))


async def shell_pid(screen: Terminal) -> int:
    """Of a shell with a program in the foreground."""
    pid = int((await screen.ask("echo pid-$$-", r"pid-(\d+)-"))[1])
    await screen.type("echo begun-$((1+1)); sleep 1000\r")
    await screen.until("begun-2")
    assert alive(pid)
    return pid


async def test_our_node_brings_go_to_other_hosts(
    go: Go, go_net: Network, ours: Ours, classic: Node
) -> None:
    """The proxy of our control socket, to a Go host and to another node of ours."""
    there = await asyncio.to_thread(go.pty_host, go_net.discovery, classic.public)
    other = await asyncio.to_thread(
        lambda: ours.visor(go_net.discovery, pty={"whitelist": [str(classic.public)]})
    )
    for remote in (there.public, other.public):
        command = go.pty_command(classic.socket, *SHELL, remote=remote)
        async with terminal(command, go.env) as screen:
            await screen.ask("echo $((20+3))-x", "23-x")
            await screen.type("exit\r")
            assert await screen.exit_code() == 0
            check_good_end(screen.output)


async def test_a_foreign_go_host_gets_no_shell(go: Go, go_net: Network, classic: Node) -> None:
    stranger = await asyncio.to_thread(go.pty_host, go_net.discovery)
    command = go.pty_command(stranger.socket, "/bin/echo", "never", remote=classic.public)
    async with terminal(command, go.env) as screen:
        assert await screen.exit_code() == 1
        assert "Failed to execute command: " in screen.output
        assert "never\r\n" not in screen.output
    refused = f"pty refused: key is not in the whitelist key={stranger.public}"
    await eventually(lambda: refused in classic.program.output)


async def test_go_changes_our_whitelist(
    go: Go, go_net: Network, ours: Ours, tmp_path: Path, host: PtyHost
) -> None:
    """Go's commands know one socket only, in the directory for temporary files."""
    socket = tmp_path / "dmsgpty.sock"
    node = await asyncio.to_thread(
        lambda: ours.visor(go_net.discovery, pty={"cli_address": str(socket)})
    )
    (tmp_path / "config.json").write_text("{}")

    async def whitelist(*arguments: str) -> str:
        command = ("dmsg", "pty", "cli", *arguments)
        env = {"TMPDIR": str(tmp_path)}
        got = await asyncio.to_thread(lambda: go.run(*command, env=env, cwd=tmp_path))
        assert got.returncode == 0, got
        return got.stdout.decode() + got.stderr.decode()

    assert str(node.public) in await whitelist("whitelist")
    assert str(host.public) not in await whitelist("whitelist")
    await whitelist("whitelist-add", str(host.public))
    assert str(host.public) in await whitelist("whitelist")
    command = go.pty_command(host.socket, "/bin/echo", "let-in", remote=node.public)
    async with terminal(command, go.env) as screen:
        assert await screen.exit_code() == 0
        await screen.until("let-in")
    await whitelist("whitelist-remove", str(host.public))
    assert str(host.public) not in await whitelist("whitelist")
