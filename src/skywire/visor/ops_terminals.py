"""The terminals of a visor, and what it does on other visors'. Source: pty.md §5, §6; ours."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.operations import operation
from skywire.ports import DMSG_PTY
from skywire.pty.types import CommandExecReq, CommandExecResult
from skywire.visor.caller import caller
from skywire.visor.types_terminals import TerminalSession, TerminalSessionsIn
from skywire.wire.gob_types import PUBKEY, STRING, UINT16, Go

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@dataclass(slots=True)
class DmsgPtyExecArgs:
    """Port 0 is the usual one; the scheme is "dmsg", "skynet" or "" for whatever works."""

    GO_NAME: ClassVar[str] = "DmsgPtyExecArgs"
    remote_pk: Annotated[PubKey, Go("RemotePK", PUBKEY)] = NULL_KEY
    remote_port: Annotated[int, Go("RemotePort", UINT16)] = 0
    req: Annotated[CommandExecReq, Go("Req", CommandExecReq)] = field(
        default_factory=CommandExecReq
    )
    scheme: Annotated[str, Go("Scheme", STRING)] = ""


@operation(rpc="DmsgPtyExec")
async def execute_remotely(visor: "Visor", request: DmsgPtyExecArgs) -> CommandExecResult:
    """Run a command on another visor, which must have this one's key in its whitelist."""
    return await visor.execute_remotely(
        request.remote_pk, request.remote_port or DMSG_PTY, request.req, request.scheme
    )


@operation(rpc="TerminalSessions", http="GET /visors/{pk}/sessions")
async def terminal_sessions(visor: "Visor", request: TerminalSessionsIn) -> list[TerminalSession]:
    """The kept terminal sessions of this visor, with the last lines of each.

    The caller is told of those that its key has started; the visor itself of all.
    """
    return visor.own_terminals().sessions(caller(), request.lines, request.id)


@operation(rpc="EndTerminalSession", http="DELETE /visors/{pk}/sessions/{sid}")
async def end_terminal_session(visor: "Visor", id: str) -> None:
    """End a terminal session of this visor, with all that runs in it."""
    await visor.own_terminals().end_session(id, caller())
