"""Which hypervisors control a visor, and whether it is one. Ours, but for `AddHypervisor`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from skywire.crypto.keys import PubKey
from skywire.operations import operation
from skywire.visor import settings
from skywire.wire.gob_types import BOOL, STRING, Go

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@dataclass(slots=True)
class HypervisorIn:
    """`address` (host:port) is for a config that has no hypervisor section yet."""

    GO_NAME: ClassVar[str] = "HypervisorIn"
    enable: Annotated[bool, Go("Enable", BOOL)] = False
    address: Annotated[str, Go("Addr", STRING)] = ""


@dataclass(slots=True)
class HypervisorOut:
    """`live`: it is so from now on; otherwise once the visor has read its config again."""

    GO_NAME: ClassVar[str] = "HypervisorOut"
    live: Annotated[bool, Go("Live", BOOL)] = False
    url: Annotated[str, Go("URL", STRING)] = ""  # of its pages, when it runs
    users: Annotated[str, Go("Users", STRING)] = ""  # file with the accounts, if it asks for one


@operation(rpc="SetHypervisor")
async def set_hypervisor(visor: "Visor", request: HypervisorIn) -> HypervisorOut:
    """Have this visor be a hypervisor, or no longer: in its config file, and at once."""
    live = await settings.set_hypervisor(visor, request.enable, request.address)
    config = visor.config.hypervisor
    if config is None:
        return HypervisorOut(live)
    users = config.db_path if config.enable_auth else ""
    return HypervisorOut(live, await settings.hypervisor_url(visor) if live else "", users)


@operation(rpc="RemoveHypervisor")
async def remove_hypervisor(visor: "Visor", pk: PubKey) -> None:
    """Let a hypervisor no longer control this visor, from now on and in the config file, too."""
    await settings.remove_hypervisor(visor, pk)
