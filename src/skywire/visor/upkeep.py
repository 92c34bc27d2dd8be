"""What a visor does so that it is seen to be well: uptime, reachability, survey, log server."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from skywire.config.model import VisorConfig
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.visor import reachability, uptime
from skywire.visor.log_server import LogServer
from skywire.visor.modules import Module, Modules, State
from skywire.visor.reachability import Reachability
from skywire.visor.reward import RewardAddress
from skywire.visor.services import Services
from skywire.visor.survey import Survey
from skywire.visor.transports import Transports
from skywire.visor.types import HealthInfo
from skywire.visor.uptime import Uptime

HEALTHY, UNHEALTHY, CONNECTING = "healthy", "unhealthy", "connecting"
_WORDS = {State.RUNNING: HEALTHY, State.FAILED: UNHEALTHY}


class Upkeep:
    """`config` is asked for the current one: whitelists change while the visor runs."""

    def __init__(
        self,
        config: Callable[[], VisorConfig],
        dmsg: DmsgClient,
        services: Services,
        transports: Transports,
        reward: RewardAddress,
    ) -> None:
        self._config = config
        self._dmsg = dmsg
        now = config()
        self.survey = Survey(config, dmsg, reward)
        self._uptime = Uptime(now, services, transports.listing)
        self.reachability = Reachability(dmsg)
        self._server = LogServer(
            allowed=self._allowed,
            survey=lambda: self.survey.current,
            reward=reward.path,
            traffic=Path(now.transport.log_store.location),
            public=Path(now.dmsghttp_server_path),
        )

    def modules(self) -> Iterable[Module]:
        yield from self._server.modules(self._dmsg)
        yield from self.survey.modules()
        yield from self._uptime.modules()
        yield from self.reachability.modules()

    def _allowed(self) -> Collection[PubKey]:
        config = self._config()
        terminals = [] if config.pty is None else config.pty.whitelist
        return {*config.survey_whitelist, *config.hypervisors, *terminals}


def health(modules: Modules, *, connected: bool) -> HealthInfo:
    """`connected` to dmsg, without which nothing is well. Source: visor.md §2, hypervisor.md §5."""

    def word(name: str) -> str:
        report = modules.reports().get(name)
        return "" if report is None else _WORDS.get(report.state, CONNECTING)

    tracker = word(uptime.TRACKER) or word(uptime.DISCOVERY)
    reachable = word(reachability.NAME)
    well = connected and UNHEALTHY not in (tracker, reachable)
    return HealthInfo(
        services_health=HEALTHY if well else CONNECTING,
        uptime_tracker_health=tracker,
        autoconnect_health=word("public autoconnect"),
        transportability_health=reachable,
    )
