"""Which ports a visor has open, by what they are for. Source: visor.md §3.3 (Ports)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar
from urllib.parse import urlsplit

from skywire.appkit.arguments import get_text
from skywire.visor.modules import State
from skywire.visor.types import RUNNING
from skywire.wire.gob_types import STRING, Go

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

CHAT, CHAT_PAGES = "skychat", ":8001"  # where its pages are unless it is told otherwise
TCP, UDP, DMSG, SKYNET = "TCP", "UDP", "DMSG", "SKYNET"
# name → module, its fact (an address, a port or an URL), type
_FACTS = {
    "cli_addr": ("rpc", "rpc", TCP),
    "hypervisor": ("hypervisor", "url", TCP),
    "proc_addr": ("app server", "apps", TCP),
    "stcp_addr": ("transport stcp", "stcp", TCP),
    "stcpr": ("transport stcpr", "stcpr_port", TCP),  # ours
    "sudph": ("transport sudph", "sudph_port", UDP),
}


@dataclass(slots=True)
class PortDetail:
    """`type` is what the number is a port of: TCP, UDP, DMSG or SKYNET."""

    GO_NAME: ClassVar[str] = "PortDetail"
    port: Annotated[str, Go("Port", STRING)] = ""
    type: Annotated[str, Go("Type", STRING)] = ""


def ports(visor: "Visor") -> dict[str, PortDetail]:
    """Of what is open now."""
    found: dict[str, PortDetail] = {}
    reports = visor.modules.reports()
    for name, (module, fact, kind) in _FACTS.items():
        report = reports.get(module)
        if report is not None and report.state is State.RUNNING and fact in report.facts:
            found[name] = PortDetail(_port(str(report.facts[fact])), kind)
    if visor.config.is_public and "stcpr" in found:
        found["public_visor"] = PortDetail(found["stcpr"].port, TCP)
    if visor.config.pty is not None and visor.config.pty.dmsg_port:
        found["dmsg_pty"] = PortDetail(str(visor.config.pty.dmsg_port), DMSG)
    if visor.parts.dmsg is not None:
        for number, port in enumerate(visor.parts.dmsg.session_ports):
            found[f"dmsg_session_{number}"] = PortDetail(str(port), TCP)
        for number, port in enumerate(visor.parts.dmsg.stream_ports):
            found[f"dmsg_stream_{number}"] = PortDetail(str(port), DMSG)
    for app in visor.overview().apps:
        if app.status != RUNNING:
            continue
        found[app.app_config.name] = PortDetail(str(app.app_config.port), SKYNET)
        if app.app_config.name == CHAT:
            pages = get_text(app.app_config.args, "--addr") or CHAT_PAGES
            found["skychat_addr"] = PortDetail(_port(pages), TCP)
    return found


def _port(fact: str) -> str:
    """Of "8000", "127.0.0.1:8000" or "http://127.0.0.1:8000/"."""
    place = urlsplit(fact).netloc if "://" in fact else fact
    return place.rpartition(":")[2]
