"""The dmsg servers of a visor. Source: hypervisor.md §6.2 (2026)."""

from typing import TYPE_CHECKING

from skywire.operations import Cli, operation
from skywire.visor import description, settings
from skywire.visor.types import DmsgServer

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@operation(rpc="DmsgSessions", http="GET /visors/{pk}/dmsg/sessions", cli="dmsg sessions")
async def dmsg_sessions(visor: "Visor") -> list[DmsgServer]:
    """The dmsg servers that this visor is connected to, and how far away they are."""
    return description.dmsg_servers(visor)


@operation(rpc="DmsgConnectAll", http="POST /visors/{pk}/dmsg/connect-all", cli="dmsg connect-all")
async def dmsg_connect_all(visor: "Visor") -> None:
    """Connect to every dmsg server, until the visor restarts."""
    visor.dmsg.keep_sessions(0)


@operation(rpc="DmsgSessionsCount", http="GET /visors/{pk}/dmsg/sessions-count")
async def dmsg_sessions_count(visor: "Visor") -> int:
    """How many dmsg servers this visor wants to be connected to; 0 is every one."""
    return visor.config.dmsg.sessions_count


@operation(
    rpc="SetDmsgSessionsCount",
    http="PUT /visors/{pk}/dmsg/sessions-count",
    cli=Cli("dmsg set-sessions", "3"),
)
async def set_dmsg_sessions(visor: "Visor", count: int) -> None:
    """Stay connected to so many dmsg servers, 0 for every one; in the config file, too."""
    settings.set_dmsg_sessions(visor, count)
