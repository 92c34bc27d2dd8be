"""Settings that are changed while a visor runs: in its config file, and at once.

All raise Unavailable when the file cannot be written; then nothing has changed.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from skywire.config.generate import new_cookies
from skywire.config.model import HypervisorConfig
from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, Unavailable
from skywire.wire.routes import MAX_HOPS

MAX_SESSIONS = 4096  # as in the config
HYPERVISOR = "hypervisor"  # the part of that name
HYPERVISOR_ADDRESS = "127.0.0.1:8000"  # where its pages are unless somebody says
HYPERVISOR_LIMIT = 3.0  # seconds until they are there

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


async def remove_hypervisor(visor: "Visor", pk: PubKey) -> None:
    """The opposite. Terminals that it has open stay. Raises NotFound."""
    before = visor.config.hypervisors
    if pk not in before:
        known = ", ".join(map(str, before)) or "there is none"
        raise NotFound(f"{pk} is no hypervisor of this visor; its hypervisors: {known}")
    hypervisors = [key for key in before if key != pk]
    visor.file.update(msgspec.structs.replace(visor.config, hypervisors=hypervisors))
    admitted = visor.config.pty.whitelist if visor.config.pty is not None else ()
    if visor.terminals is not None and pk not in admitted:
        visor.terminals.host.whitelist.remove([pk])
    await visor.disconnect_from_hypervisor(pk)


async def set_hypervisor(visor: "Visor", wanted: bool, address: str) -> bool:
    """Whether it is so now; otherwise it needs a new start. Raises InvalidValue.

    `address` is for a config without the section; it then asks for a password.
    """
    place = Path(visor.file.path).parent if visor.file.path is not None else Path()
    new = HypervisorConfig(
        db_path=str((place / "users.db").absolute()),
        enable_auth=True,
        cookies=new_cookies(),
        http_addr=HostPort.parse(address or HYPERVISOR_ADDRESS),
    )
    visor.file.set_hypervisor(wanted, new)
    running = HYPERVISOR in visor.modules.reports()
    if wanted and not running:
        if visor.make_hypervisor is None:
            return False
        visor.modules.start(HYPERVISOR, visor.make_hypervisor())
    elif not wanted and running:
        await visor.modules.stop(HYPERVISOR)
    return True


async def hypervisor_url(visor: "Visor") -> str:
    """Of its pages. Raises Unavailable when they are not there soon, and why."""
    report = visor.modules[HYPERVISOR]
    with suppress(TimeoutError):
        async with asyncio.timeout(HYPERVISOR_LIMIT):
            await report.ran.wait()
    if "url" not in report.facts:
        raise Unavailable(f"the hypervisor does not run: {report.reason or report.state.value}")
    return str(report.facts["url"])


def _update(visor: "Visor", section: str, **values: Any) -> None:
    changed = msgspec.structs.replace(getattr(visor.config, section), **values)
    visor.file.update(msgspec.structs.replace(visor.config, **{section: changed}))
