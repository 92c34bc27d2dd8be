"""The terminal sessions that a node keeps: `skywire cli pty sessions`, `end`. Ours.

Another node is asked by the visor at `--rpc`, with the key of that one: it tells of the sessions
that this key has started.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skywire.cli import figures, output
from skywire.cli.node import NodeAddress, node_options
from skywire.cli.values import KEY
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, NotSupported, Refused

if TYPE_CHECKING:
    from skywire.visor.types_terminals import TerminalSession

MAX_LINES = 200
SESSION = {
    "id": str,
    "owner": str,
    "mine": bool,
    "command": str,
    "started": str,
    "idle": float,
    "viewers": int,
    "rows": int,
    "cols": int,
    "end": str,
    "last_lines": [str],
}

_Answer = TypeVar("_Answer")


@click.command(epilog="Example: skywire cli pty sessions PK")
@click.argument("public_key", metavar="[PK]", type=KEY, required=False)
@click.option("--id", "name", metavar="ID", default="", help="Only this session, and its output.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, MAX_LINES),
    metavar="LINES",
    help="Lines of output with each session. Default: 3; with --id: 200.",
)
@node_options
@output.json_option(shape=[SESSION])
def sessions(
    node: NodeAddress, public_key: PubKey | None, name: str, lines: int | None, as_json: bool
) -> None:
    """List the terminal sessions that a node keeps, with their last lines.

    Without PK, those of the local node: all of them. Of another node, those that the local one has
    started there; nobody attaches by looking.
    """
    from skywire.visor import ops_terminals
    from skywire.visor.types import to_json
    from skywire.visor.types_terminals import TerminalSessionsIn

    wanted = TerminalSessionsIn(lines or (MAX_LINES if name else 0), name)
    found = _ask(node, public_key, ops_terminals.terminal_sessions, wanted)
    text: str | output.Table
    if name:
        text = "\n".join(output.harmless(line) for one in found for line in one.last_lines)
    else:
        text = _table(found) if found else "no sessions"
    output.emit(to_json(found), as_json=as_json, text=text)


def _table(found: "list[TerminalSession]") -> output.Table:
    now = time.time()
    rows = []
    for one in found:
        state = f"ended: {one.end}" if one.end else f"{one.viewers} viewing"
        if not one.viewers and not one.end:
            state = f"idle {figures.age(one.idle)}"
        started = figures.age(max(0.0, now - one.started.unix_ns() / 1e9))
        last = one.last_lines[-1] if one.last_lines else ""
        owner = "the node" if one.owner.is_null else str(one.owner)
        cells = (one.id, owner, started, state, one.command, last)
        rows.append([output.harmless(cell) for cell in cells])
    return output.Table(["id", "owner", "age", "state", "command", "last line"], rows)


@click.command(epilog="Example: skywire cli pty end ID PK")
@click.argument("name", metavar="ID")
@click.argument("public_key", metavar="[PK]", type=KEY, required=False)
@node_options
@output.json_option(shape=str)
def end(node: NodeAddress, name: str, public_key: PubKey | None, as_json: bool) -> None:
    """End a terminal session that a node keeps, with all that runs in it.

    Without PK, one of the local node; of another node, one that the local one has started there.
    """
    from skywire.visor import ops_terminals

    _ask(node, public_key, ops_terminals.end_terminal_session, name)
    output.emit("OK", as_json=as_json)


def _ask(
    node: NodeAddress,
    pk: PubKey | None,
    function: Callable[..., Awaitable[_Answer]],
    argument: Any,
) -> _Answer:
    """Raises NotFound for a session that is not there, NotSupported when the node keeps none."""
    from skywire.pty.types import NO_SESSIONS, OLD_HOST, SESSION_NOT_FOUND

    if pk is not None and node.via is not None:
        raise InvalidValue("PK goes without --via: both name the node to ask")
    asked = node if pk is None else node._replace(via=pk)
    try:
        return asked.ask(function, argument)
    except NotSupported as error:
        raise NotSupported(f"not supported by this node: {error}") from error
    except Refused as error:
        reason = str(error.reason)
        if SESSION_NOT_FOUND in reason:
            raise NotFound(f'{asked}: no such session; see "skywire cli pty sessions"') from error
        if any(word in reason for word in (NO_SESSIONS, *OLD_HOST)):
            raise NotSupported(f"not supported by this node: {reason}") from error
        raise
