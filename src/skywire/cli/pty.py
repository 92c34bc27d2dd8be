"""`skywire cli pty`: terminals and commands on other nodes, who may have one. Source: cli.md B1.

The way to another node is the control socket of the node on this machine, which dials with its
key; or, with a key or a discovery of one's own (`--sk`, `--dmsg-disc`), a dmsg client in this
process. Only the latter can come back to a session that it left (pty.md §3.2).
"""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from skywire.cli import output
from skywire.cli.dmsg_options import Identity, dialling, identity_options
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.progress import progress
from skywire.cli.runtime import run
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, NotSupported, Refused, StreamReset
from skywire.ports import DMSG_PTY

if TYPE_CHECKING:
    from skywire.pty.types import CommandExecReq, CommandExecResult, CommandReq
    from skywire.streams.stream import Stream

SOCKETS = ("/tmp/pty.sock", "/tmp/dmsgpty.sock")  # noqa: S108 - Go's defaults, 2026 and 2024
PASSED_ON = ("TERM", "COLORTERM", "LANG", "LC_ALL")  # variables a remote shell gets from here
DEFAULT_TERM = "xterm-256color"
DIAL_WAIT = 30.0  # seconds for a stream to the other node
OPEN_WAIT = 20.0  # seconds for its shell to start
CALL_WAIT = 10.0  # seconds for a local answer
EXEC_LIMIT = 300.0  # seconds; the host's own limit
EXEC_SLACK = 15.0  # seconds more for the way there and back
MAX_INPUT = 1 << 20  # bytes of standard input for `exec`
EXIT_TIME_LIMIT = 124
EXIT_TERMINATED = 143  # 128 + SIGTERM

RESULT = {
    "exit_code": int,
    "timed_out": bool,
    "duration_ms": int,
    "stdout": str,
    "stderr": str,
    "stdout_truncated": bool,
    "stderr_truncated": bool,
}

_Function = TypeVar("_Function", bound=Callable[..., object])


class Way(NamedTuple):
    """How to reach another node: the local node's control socket; or, when that is "", a client of
    our own; or, when there is a `host`, plain TCP."""

    socket: str
    identity: Identity
    host: str = ""
    scheme: str = ""  # of the local node's dial


def socket_option(function: _Function) -> _Function:
    return click.option(
        "-r",
        "--socket",
        "--cliaddr",
        "socket",
        metavar="PATH",
        help=f"Control socket of the local node. Default: {' or '.join(SOCKETS)}.",
    )(function)


def _port_option(function: _Function) -> _Function:
    return click.option(
        "-p",
        "--port",
        type=click.IntRange(1, 0xFFFF),
        default=DMSG_PTY,
        show_default=True,
        help="Port of the pty host there.",
    )(function)


def _scheme_option(function: _Function) -> _Function:
    return click.option(
        "--scheme",
        type=click.Choice(["dmsg", "skynet"]),
        help="The network to go over. Default: what works.",
    )(function)


def find_socket(path: str | None = None) -> str:
    """The control socket to use. Raises NotFound when no node runs here."""
    for candidate in (path,) if path else SOCKETS:
        try:
            if stat.S_ISSOCK(os.stat(candidate).st_mode):
                return candidate
        except OSError:
            continue
    places = path or " or ".join(SOCKETS)
    raise NotFound(f'no control socket at {places}: start a node with "skywire visor"')


def _via_option(function: _Function) -> _Function:
    return click.option(
        "--via",
        "direct",
        callback=_place,
        metavar="tcp://PK@HOST:PORT",
        help="Over plain TCP, to a node that takes terminals there; PK is the same key.",
    )(function)


def _place(_: click.Context, __: click.Parameter, text: str | None) -> "Place | None":
    if text is None:
        return None
    scheme, separator, rest = text.partition("://")
    if not separator or scheme != "tcp":
        raise click.BadParameter(f'"{text[:120]}": expected tcp://PK@HOST:PORT')
    return Place.parse(rest)


class Place(NamedTuple):
    """A node that takes terminals over plain TCP."""

    key: PubKey
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Place":
        """PK@HOST, PK@HOST:PORT. Raises InvalidValue."""
        from skywire.config.values import HostPort
        from skywire.pty.direct import PORT

        key, at, address = text.partition("@")
        if not at or not address:
            raise InvalidValue(f'"{text[:120]}": expected PK@HOST or PK@HOST:PORT')
        bare = ":" not in address or address.endswith("]")
        where = HostPort.parse(f"{address}:{PORT}" if bare else address)
        if not where.host or not where.port:
            raise InvalidValue(f'"{text[:120]}": expected a host, and a port of 1-65535')
        return cls(PubKey.parse(key), where.host, where.port)


def _way(
    context: click.Context,
    socket: str | None,
    scheme: str | None,
    identity: Identity,
    remote: PubKey,
    direct: Place | None,
) -> Way:
    if direct is not None:
        if socket or scheme:
            raise InvalidValue("--via goes with neither --socket nor --scheme: choose one way")
        if direct.key != remote:
            raise InvalidValue(f"--via names {direct.key}, which is another node than {remote}")
        return Way("", identity, direct.host)
    given = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
    own = [name for name in ("sk", "dmsg_disc") if context.get_parameter_source(name) in given]
    if own and socket:
        raise InvalidValue("--socket goes with neither --sk nor --dmsg-disc: choose one way")
    if own and scheme == "skynet":
        raise InvalidValue(
            "--scheme skynet needs a node: with a key of your own there is dmsg only"
        )
    if own:
        return Way("", identity)
    try:
        return Way(find_socket(socket), identity, scheme=scheme or "")
    except NotFound as error:
        raise NotFound(f"{error}, or give a key of your own with --sk") from error


@asynccontextmanager
async def _reached(way: Way, remote: PubKey, port: int) -> "AsyncIterator[Stream]":
    """A stream on which the pty service of `remote` has answered; NULL_KEY is the local node."""
    from skywire.pty.control import dial_control, proxy_uri
    from skywire.pty.mux import request_service
    from skywire.pty.types import PTY_URI

    telling = progress(lambda: f"connecting to {remote}:{port} …")
    if way.socket:
        async with telling:
            uri = PTY_URI if remote.is_null else proxy_uri(remote, port, way.scheme)
            stream: Stream = await dial_control(way.socket, uri)
        yield stream
        return
    if way.host:
        from skywire.pty.direct import dial_direct

        async with telling, asyncio.timeout(DIAL_WAIT):
            stream = await dial_direct(remote, way.host, port, way.identity.secret)
            await request_service(stream, PTY_URI)
        yield stream
        return
    async with dialling(way.identity) as client:
        try:
            async with telling, asyncio.timeout(DIAL_WAIT):
                stream = await client.dial(remote, port)
                await request_service(stream, PTY_URI)
        except TimeoutError:
            raise TimeoutError(f"{remote}:{port}: no answer within {DIAL_WAIT:g} s") from None
        yield stream


@click.command(epilog="Example: skywire cli pty start PK")
@click.argument("public_key", metavar="PK")
@_port_option
@click.option("--attach", metavar="ID", default="", help="Come back to this session.")
@click.option("-c", "--cmd", default="/bin/bash", show_default=True, help="The program to run.")
@click.option("-a", "--arg", "arguments", multiple=True, help="An argument for it; repeatable.")
@_scheme_option
@_via_option
@socket_option
@identity_options("fatal")
@click.pass_context
def start(
    context: click.Context,
    public_key: str,
    port: int,
    attach: str,
    cmd: str,
    arguments: tuple[str, ...],
    scheme: str | None,
    direct: Place | None,
    socket: str | None,
    identity: Identity,
) -> int:
    """Open a terminal on another node.

    At the start of a line, "~." leaves and "~~" types a tilde. With --sk and a host that keeps
    sessions, the shell goes on when you leave or the connection breaks; --attach comes back to it.
    """
    from skywire.pty.types import CommandReq

    remote = PubKey.parse(public_key)
    way = _way(context, socket, scheme, identity, remote, direct)
    port = direct.port if direct else port
    request = CommandReq(cmd, list(arguments), None, passed_on_environment())
    return run(open_terminal(way, remote, port, request, attach))


def passed_on_environment() -> list[str]:
    values = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    return [f"{name}={value}" for name, value in ({"TERM": DEFAULT_TERM} | values).items()]


async def open_terminal(
    way: Way, remote: PubKey, port: int, request: "CommandReq", attach: str = ""
) -> int:
    """Returns the exit code."""
    from skywire.platform.console import Console
    from skywire.pty.client import PtyClient
    from skywire.pty.terminal import End, interact, window

    console = Console()
    request.size = window(console.size())
    session, end = "", End.EXITED
    try:
        async with _reached(way, remote, port) as stream, PtyClient(stream) as client:
            try:
                async with asyncio.timeout(OPEN_WAIT):
                    session, attached = await client.open(request, attach)
            except TimeoutError:
                raise TimeoutError(f"{remote}: no shell within {OPEN_WAIT:g} s") from None
            if attach and not attached:
                output.say(f"session {attach} is gone: this is a new shell")
            with console:
                end = await interact(client, console)
    except StreamReset as error:
        output.say("")  # behind what the shell printed
        raise StreamReset(f"connection lost: {error}{_come_back(remote, session)}") from error
    if end is End.LEFT:
        output.say(f"\nleft{_come_back(remote, session)}")
    return EXIT_TERMINATED if end is End.TERMINATED else 0


def _come_back(remote: PubKey, session: str) -> str:
    if not session:
        return ""
    return (
        f'; the shell goes on, come back with "skywire cli pty start {remote} --attach {session}"'
    )


class _Exec(click.Command):
    """Without `--`, all that follows PK belongs to the remote command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = "--" in args
        return super().parse_args(ctx, args)


@click.command("exec", cls=_Exec, epilog="Example: skywire cli pty exec PK -- uname -a")
@click.argument("public_key", metavar="PK")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_port_option
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.001, max=EXEC_LIMIT),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of the command.",
)
@click.option("--env", "environment", multiple=True, metavar="KEY=VALUE", help="Set a variable.")
@click.option("-i", "--stdin", "with_input", is_flag=True, help="Pass standard input on.")
@_scheme_option
@_via_option
@socket_option
@identity_options("fatal")
@output.json_option(shape=RESULT)
@click.pass_context
def execute(
    context: click.Context,
    public_key: str,
    command: tuple[str, ...],
    port: int,
    timeout: float,
    environment: tuple[str, ...],
    with_input: bool,
    scheme: str | None,
    direct: Place | None,
    socket: str | None,
    identity: Identity,
    as_json: bool,
) -> int:
    """Run one command on another node, without a terminal.

    "skywire cli pty exec PK -- COMMAND ARGUMENT…". The command's output comes here, and its exit
    code is ours; 124 stands for the time limit, 1 for a node that cannot be reached. Output beyond
    16 MiB is cut off.
    """
    from skywire.pty.types import CommandExecReq

    remote = PubKey.parse(public_key)
    way = _way(context, socket, scheme, identity, remote, direct)
    port = direct.port if direct else port
    name, *arguments = command
    data = sys.stdin.buffer.read(MAX_INPUT + 1) if with_input else b""
    if len(data) > MAX_INPUT:
        raise InvalidValue(f"standard input is longer than {MAX_INPUT} bytes")
    wanted = CommandExecReq(name, arguments, list(environment), data, round(timeout * 1000))
    result = run(_execute(way, remote, port, wanted, timeout + EXEC_SLACK))
    _show(result, as_json=as_json)
    return EXIT_TIME_LIMIT if result.timed_out else result.exit_code & 0xFF


async def _execute(
    way: Way, remote: PubKey, port: int, wanted: "CommandExecReq", limit: float
) -> "CommandExecResult":
    from skywire.pty.client import MAX_EXEC_MESSAGE, PtyClient, is_missing

    async with (
        _reached(way, remote, port) as stream,
        PtyClient(stream, max_message=MAX_EXEC_MESSAGE) as client,
    ):
        try:
            async with asyncio.timeout(limit):
                return await client.execute(wanted)
        except Refused as error:
            if not is_missing(error):
                raise
            raise NotSupported(
                f"{remote}:{port} runs no single commands, it is older than that ({error}); "
                f'open a terminal there: "skywire cli pty start {remote}"'
            ) from error
        except TimeoutError:
            raise TimeoutError(f"{remote}:{port}: no answer within {limit:g} s") from None


def _show(result: "CommandExecResult", *, as_json: bool) -> None:
    if as_json:
        found = {name: getattr(result, name) for name in RESULT}
        shown = {
            name: value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in found.items()
        }
        output.emit(shown, as_json=True)
        return
    for stream, data in ((sys.stdout.buffer, result.stdout), (sys.stderr.buffer, result.stderr)):
        stream.write(data)
        stream.flush()
    for name, cut in (("stdout", result.stdout_truncated), ("stderr", result.stderr_truncated)):
        if cut:
            output.say(f"{name} was longer than 16 MiB; the rest is missing")
    if result.timed_out:
        output.say(f"the command was killed at its time limit, after {result.duration_ms} ms")


async def _whitelist_call(path: str, method: str, keys: list[PubKey] | None) -> list[PubKey]:
    from skywire.pty.client import whitelist_call
    from skywire.pty.control import dial_control
    from skywire.pty.types import WHITELIST_URI

    stream = await dial_control(path, WHITELIST_URI)
    try:
        async with asyncio.timeout(CALL_WAIT):
            found: list[PubKey] | None = await whitelist_call(stream, f"whitelist.{method}", keys)
    except TimeoutError:
        raise TimeoutError(f"{path}: no answer within {CALL_WAIT:g} s") from None
    return sorted(found or [])


@click.command(epilog="Example: skywire cli pty whitelist")
@socket_option
@output.json_option(shape=[str])
def whitelist(socket: str | None, as_json: bool) -> None:
    """Show whose keys may open terminals on the local node."""
    keys = run(_whitelist_call(find_socket(socket), "Whitelist", None))
    output.emit(keys, as_json=as_json, text="\n".join(map(str, keys)))


@click.command("whitelist-add", epilog="Example: skywire cli pty whitelist-add PK")
@click.argument("public_keys", metavar="PK…", nargs=-1, required=True)
@socket_option
@output.json_option(shape=str)
def whitelist_add(public_keys: tuple[str, ...], socket: str | None, as_json: bool) -> None:
    """Let more keys open terminals, until the local node restarts.

    To let them in for good, put them into "whitelist" in the section "pty" of the node's config.
    """
    keys = [PubKey.parse(text) for text in public_keys]
    run(_whitelist_call(find_socket(socket), "WhitelistAdd", keys))
    output.emit(keys, as_json=as_json, text="OK")


@click.command("whitelist-remove", epilog="Example: skywire cli pty whitelist-remove PK")
@click.argument("public_keys", metavar="PK…", nargs=-1, required=True)
@socket_option
@output.json_option(shape=str)
def whitelist_remove(public_keys: tuple[str, ...], socket: str | None, as_json: bool) -> None:
    """Let keys open no more terminals; those that are open stay."""
    keys = [PubKey.parse(text) for text in public_keys]
    run(_whitelist_call(find_socket(socket), "WhitelistRemove", keys))
    output.emit(keys, as_json=as_json, text="OK")


@click.command("list", epilog="Example: skywire cli pty list")
@node_options
@output.json_option(shape=[str])
def list_nodes(node: NodeAddress, as_json: bool) -> None:
    """List the nodes that are connected to the local one's hypervisor."""
    from skywire.visor import ops_info

    keys = sorted(node.ask(ops_info.remote_visors))
    text = "\n".join(f"{number}. {key}" for number, key in enumerate(keys, 1))
    output.emit(keys, as_json=as_json, text=text)
