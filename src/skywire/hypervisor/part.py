"""The hypervisor as a part of a visor's process. Source: hypervisor.md §1, §4.4.

visor.add_part("hypervisor", hypervisor_part(visor))
"""

from pathlib import Path

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound
from skywire.hypervisor.connection import ControlStream
from skywire.hypervisor.context import Context
from skywire.hypervisor.server import serving
from skywire.hypervisor.visors import Visors
from skywire.ports import DMSG_CONTROL
from skywire.pty.dialing import Dial
from skywire.stores.fleet import FleetStore
from skywire.streams.stream import Stream
from skywire.visor.client import LocalVisor
from skywire.visor.modules import Part, Report
from skywire.visor.visor import Visor

FLEET_FILE = "fleet.db"  # beside the accounts


def hypervisor_part(visor: Visor, *, csrf: bool = True) -> Part:
    """For `Visor.add_part`. Raises InvalidValue when the config has no hypervisor section."""
    config = visor.config.hypervisor
    if config is None:
        raise InvalidValue("the config has no hypervisor section")

    async def dial_control(pk: PubKey) -> ControlStream:
        stream = await visor.dmsg.dial(pk, DMSG_CONTROL)
        return ControlStream(stream, PubKey(bytes.fromhex(stream.server)))

    async def run(report: Report) -> None:
        store = FleetStore(Path(config.db_path).with_name(FLEET_FILE))
        push = [*visor.config.hypervisors, *visor.above]
        visors = Visors(dial_control=dial_control, push=push, store=store)
        context = Context.from_config(
            visor.pk,
            config,
            visors,
            terminal_dial(visor),
            csrf=csrf,
            dmsg_servers=lambda: visor.dmsg.sessions,
        )
        listener = visor.dmsg.listen(config.dmsg_port)
        visor.managed = visors
        try:
            visors.attach_own(visor.pk, LocalVisor(visor))
            await visors.restore()
            async with serving(context) as url:
                report.up(url=url)
                await visors.serve(listener)
        finally:
            visor.managed = None
            await listener.close()
            await visors.close()

    return run


def terminal_dial(visor: Visor) -> Dial:
    """Reaches the terminals of any visor; our own without the way through a server."""

    async def dial(pk: PubKey, port: int, scheme: str) -> Stream:
        if pk != visor.pk:
            return await visor.network.dial_by_scheme(pk, port, scheme)
        if visor.terminals is None:
            raise NotFound("this visor has no terminals: its config has no pty section")
        return await visor.terminals.dial_own()

    return dial
