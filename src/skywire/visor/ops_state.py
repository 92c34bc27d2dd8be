"""How each part of the visor is, since when and why. Ours: Go tells three words (visor.md §2)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from skywire.operations import operation
from skywire.visor.modules import State
from skywire.wire.gob_types import FLOAT, STRING, Go, Map

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

MAX_REASON = 500  # characters
RUNNING, FAILED, WAITING = State.RUNNING.value, State.FAILED.value, State.WAITING.value
OFF = "off"  # by the config
DMSG, RPC, ROUTING, REACHABILITY = "dmsg", "rpc", "routing", "reachability"  # names of parts


@dataclass(slots=True)
class PartState:
    """`state`: waiting, starting, running, failed or off; `age_s`: how long it has been that."""

    name: Annotated[str, Go("Name", STRING)] = ""
    state: Annotated[str, Go("State", STRING)] = ""
    age_s: Annotated[float, Go("Age", FLOAT)] = 0.0
    reason: Annotated[str, Go("Reason", STRING)] = ""
    facts: Annotated[dict[str, str], Go("Facts", Map(STRING, STRING))] = field(default_factory=dict)


@operation(rpc="PartStates", http="GET /visors/{pk}/parts", cli="visor state")
async def part_states(visor: "Visor") -> list[PartState]:
    """Each part of the visor: whether it runs, since when, and why not."""
    states = [
        PartState(
            name,
            report.state.value,
            report.age,
            report.reason[:MAX_REASON],
            {key: str(value) for key, value in report.facts.items()},
        )
        for name, report in visor.modules.reports().items()
    ]
    return [*states, _routing(visor)]


def _routing(visor: "Visor") -> PartState:
    """Runs with the visor; without setup nodes nobody may lay routes to it."""
    nodes = visor.config.routing.route_setup_nodes
    if visor.parts.routes is None or not nodes:
        reason = "routing.route_setup_nodes is empty: nobody may lay routes to this visor"
        return PartState(ROUTING, OFF, visor.uptime(), reason)
    return PartState(ROUTING, RUNNING, visor.uptime(), "", {"setup_nodes": str(len(nodes))})
