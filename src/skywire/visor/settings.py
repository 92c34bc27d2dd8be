"""Settings that are changed while a visor runs: in its config file, and at once.

All raise Unavailable when the file cannot be written; then nothing has changed.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire.routes import MAX_HOPS

MAX_SESSIONS = 4096  # as in the config

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


def set_min_hops(visor: "Visor", hops: int) -> None:
    """For routes that are dialled from now on. Raises InvalidValue."""
    if not 0 <= hops <= MAX_HOPS:
        raise InvalidValue(f"{hops} hops: expected 0 to {MAX_HOPS}")
    routes, transports = visor.routes, visor.transports
    _update(visor, "routing", min_hops=hops)
    routes.set_min_hops(hops)
    transports.min_hops = hops


def set_calculate_routes(visor: "Visor", wanted: bool) -> None:
    """For routes that are dialled from now on."""
    routes = visor.routes
    _update(visor, "routing", calculate_routes=wanted)
    routes.calculates = wanted


def set_dmsg_sessions(visor: "Visor", count: int) -> None:
    """0: every server. Those that are connected stay. Raises InvalidValue."""
    if not 0 <= count <= MAX_SESSIONS:
        raise InvalidValue(f"{count} sessions: expected 0, for every server, to {MAX_SESSIONS}")
    dmsg = visor.dmsg
    _update(visor, "dmsg", sessions_count=count)
    dmsg.keep_sessions(count)


async def set_public_autoconnect(visor: "Visor", wanted: bool) -> None:
    module = visor.transports.autoconnect_module
    _update(visor, "transport", public_autoconnect=wanted)
    if module is None:  # the config names no services to ask
        return
    running = module.name in visor.modules.reports()
    if wanted and not running:
        visor.modules.start_all([module])
    elif not wanted and running:
        await visor.modules.stop(module.name)


def add_hypervisor(visor: "Visor", pk: PubKey) -> None:
    """Let `pk` control this visor, and connect to it. Raises InvalidValue."""
    if pk == visor.pk:
        raise InvalidValue(f"{pk} is this visor itself: expected another one's key")
    if pk in visor.config.hypervisors:
        return
    hypervisors = [*visor.config.hypervisors, pk]
    visor.file.update(msgspec.structs.replace(visor.config, hypervisors=hypervisors))
    if visor.terminals is not None:
        visor.terminals.allow([pk])
    if visor.managed is not None:
        visor.managed.admit([pk])
    visor.connect_to_hypervisor(pk)


def _update(visor: "Visor", section: str, **values: Any) -> None:
    changed = msgspec.structs.replace(getattr(visor.config, section), **values)
    visor.file.update(msgspec.structs.replace(visor.config, **{section: changed}))
