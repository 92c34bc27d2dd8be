"""The survey of this machine, which a visor with a reward address offers. Source: visor.md §7.

Setting an address is the consent. The survey is made when the visor starts, once a day, and when
the address changes; it is kept in `<local_path>/node-info.json`. Ours differs on purpose: it is
also made for a visor that does not run as root, without what only root can read.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from skywire import __version__
from skywire.config.load import write_private
from skywire.config.model import VisorConfig
from skywire.crypto.address import parse_address
from skywire.crypto.keys import NULL_KEY
from skywire.dmsg.client import DmsgClient
from skywire.errors import InvalidValue, SkywireError
from skywire.http.app import go_time
from skywire.visor.modules import Module, Report
from skywire.visor.reward import RewardAddress

log = logging.getLogger(__name__)

NAME = "node-info.json"
INTERVAL = 24 * 3600.0  # seconds
ADDRESS_TRIES = 8  # questions to dmsg servers for our address
ADDRESS_PAUSE = 5.0  # seconds between them
ADDRESS_LIMIT = 20.0  # seconds for one
EMPTY: dict[str, Any] = {  # what is told before there is one: Go's zero value
    "timestamp": "0001-01-01T00:00:00Z",
    "public_key": str(NULL_KEY),
    "skycoin_address": "",
    "go_os": "",
    "go_arch": "",
    "zcalusic_sysinfo": {},
    "ip_address": "",
    "uuid": str(uuid.UUID(int=0)),
    "skywire_version": "",
    "dmsg_servers": [],
}


class Survey:
    """`current` is the last one made; `EMPTY` while there is none."""

    def __init__(
        self, config: Callable[[], VisorConfig], dmsg: DmsgClient, reward: RewardAddress
    ) -> None:
        self.current = EMPTY
        self._config = config
        self._dmsg = dmsg
        self._reward = reward
        self._path = Path(config().local_path) / NAME
        self._wanted = asyncio.Event()
        reward.on_change.append(self._wanted.set)

    def modules(self) -> Iterable[Module]:
        yield Module("survey", self._keep)

    async def _keep(self, report: Report) -> None:
        while True:
            self._wanted.clear()
            try:
                address = self._address()
                report.up()
                self.current = await self.make(address) if address else EMPTY
            except InvalidValue as error:
                self.current = EMPTY
                log.error("no survey reason=%s", error)
                report.down(error)
            if self.current is not EMPTY:
                await asyncio.to_thread(self._write)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._wanted.wait()

    def _address(self) -> str:
        """Raises InvalidValue for a text that is no Skycoin address; "" is none."""
        address = self._reward.get()
        if address:
            try:
                parse_address(address)
            except InvalidValue as error:
                raise InvalidValue(f"{self._reward.path}: {error}") from error
        return address

    async def make(self, address: str) -> dict[str, Any]:
        """A new one, for this Skycoin address; asks dmsg servers for ours."""
        from skywire.platform import hardware  # seldom needed

        ip_address = await self._own_address()
        system, blocks, product, memory = await asyncio.to_thread(
            lambda: (
                hardware.system_information(),
                hardware.block_information(),
                hardware.product_information(),
                hardware.memory_information(),
            )
        )
        return {
            "timestamp": go_time(datetime.now(UTC)),
            "public_key": str(self._config().pk),
            "skycoin_address": address,
            "go_os": "linux",
            "go_arch": hardware.go_arch(),
            "zcalusic_sysinfo": system,
            "ip_address": ip_address,
            "ghw_blockinfo": blocks,
            "ghw_productinfo": product,
            "ghw_memoryinfo": memory,
            "uuid": str(uuid.uuid4()),
            "skywire_version": f"v{__version__}",
            "services": services(self._config()),
            "dmsg_servers": [str(server) for server in self._dmsg.sessions],
        }

    async def _own_address(self) -> str:
        """As a dmsg server sees it; "" when none tells."""
        for attempt in range(ADDRESS_TRIES):
            if attempt:
                await asyncio.sleep(ADDRESS_PAUSE)
            try:
                async with asyncio.timeout(ADDRESS_LIMIT):
                    return await self._dmsg.look_up_ip()
            except (SkywireError, TimeoutError) as error:
                log.info("own address unknown attempt=%d error=%s", attempt + 1, error or "time")
        return ""

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, as_text(self.current).encode())
        except (OSError, SkywireError) as error:
            log.warning("survey not stored path=%s error=%s", self._path, error)


def as_text(survey: dict[str, Any]) -> str:
    """JSON as Go writes it: indented by tabs, without a line feed at the end."""
    text = msgspec.json.format(msgspec.json.encode(survey), indent=4)
    lines = []
    for line in text.decode().splitlines():
        bare = line.lstrip(" ")
        lines.append("\t" * ((len(line) - len(bare)) // 4) + bare)
    return "\n".join(lines)


def services(config: VisorConfig) -> dict[str, Any]:
    """The services as configured, by the names of the config bootstrapper."""
    tracker = config.uptime_tracker
    return {
        "dmsg_discovery": config.dmsg.discovery,
        "transport_discovery": config.transport.discovery,
        "address_resolver": config.transport.address_resolver,
        "route_finder": config.routing.route_finder,
        "route_setup_nodes": [str(pk) for pk in config.routing.route_setup_nodes],
        "transport_setup": [str(pk) for pk in config.transport.transport_setup],
        "uptime_tracker": "" if tracker is None else tracker.addr,
        "service_discovery": config.launcher.service_discovery,
        "stun_servers": list(config.stun_servers),
        "survey_whitelist": [str(pk) for pk in config.survey_whitelist],
    }
