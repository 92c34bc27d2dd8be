"""What a visor tells about itself. Source: hypervisor.md §5, §6.1."""

from typing import TYPE_CHECKING, Annotated

from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.operations import operation
from skywire.visor import ports_shown, settings
from skywire.visor.load import load_stats
from skywire.visor.ports_shown import PortDetail
from skywire.visor.types import HealthInfo, LoadStats, Overview, Summary
from skywire.wire.gob_types import PUBKEY, Slice

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@operation(rpc="Overview", http="GET /visors/{pk}")
async def overview(visor: "Visor") -> Overview:
    """Who this visor is: key, version, addresses, hypervisors."""
    return visor.overview()


@operation(rpc="Summary", http="GET /visors/{pk}/summary")
async def summary(visor: "Visor") -> Summary:
    """The overview with health, uptime, dmsg servers and the load of the machine."""
    return visor.summary(load_stats())


@operation(rpc="Health", http="GET /visors/{pk}/health", cli="visor health")
async def health(visor: "Visor") -> HealthInfo:
    """Whether the services this visor needs can be reached."""
    return visor.health()


@operation(rpc="Uptime", http="GET /visors/{pk}/uptime", cli="visor uptime")
async def uptime(visor: "Visor") -> float:
    """Seconds since the visor started."""
    return visor.uptime()


@operation(rpc="RemoteVisors")
async def remote_visors(visor: "Visor") -> list[str]:
    """Keys of the visors that are connected to this one's hypervisor."""
    return [str(pk) for pk in visor.managed.online()] if visor.managed is not None else []


@operation(rpc="Ports", http="GET /visors/{pk}/ports")
async def ports(visor: "Visor") -> dict[str, PortDetail]:
    """The ports that are open on this visor, by what they are for."""
    return ports_shown.ports(visor)


@operation(rpc="IsDMSGClientReady")
async def is_dmsg_ready(visor: "Visor") -> bool:
    """Whether this visor is connected to dmsg; if not, it is an error."""
    if not visor.dmsg.sessions:
        raise Unavailable("dmsg client is not ready")
    return True


@operation(rpc="HostStats", http="GET /visors/{pk}/host-stats", cli="visor load")
async def host_stats(visor: "Visor") -> LoadStats:
    """How busy the machine of this visor is."""
    return load_stats()


@operation(rpc="AddHypervisor")
async def add_hypervisor(visor: "Visor", pk: PubKey) -> None:
    """Let another visor control this one, from now on and in the config file, too."""
    settings.add_hypervisor(visor, pk)


@operation(rpc="AddPtyWhitelist")
async def add_pty_whitelist(visor: "Visor", keys: Annotated[list[PubKey], Slice(PUBKEY)]) -> None:
    """Let the owners of `keys` open terminals on this visor until it restarts.

    A hypervisor sends the keys of its own hypervisors, so that these reach the visor, too. Ours:
    one that is a hypervisor itself passes them on, so that they reach its visors as well.
    """
    visor.allow_terminals(keys)
