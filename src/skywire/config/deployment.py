"""The public deployments, as the release of October 2024 knew them. Source: config.md §4.

Facts only: who runs which service where. `SKYDEPLOY` names a file to be read instead.
"""

import os
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from skywire.errors import InvalidValue

PRODUCTION = "prod"
TEST = "test"
VARIABLE = "SKYDEPLOY"
DOMAIN = "skywire.skycoin.com"  # of the production's services
SD_DOMAIN = "skycoin.com"  # of its service discovery
MAX_FILE = 1024 * 1024  # bytes


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """In the order in which the config bootstrapper writes it."""

    dmsg_discovery: str = ""
    transport_discovery: str = ""
    address_resolver: str = ""
    route_finder: str = ""
    route_setup_nodes: tuple[str, ...] = ()  # public keys
    transport_setup: tuple[str, ...] = ()
    uptime_tracker: str = ""
    service_discovery: str = ""
    stun_servers: tuple[str, ...] = ()  # ip:port
    dns_server: str = ""
    survey_whitelist: tuple[str, ...] = ()

    def at(self, domain: str) -> "Deployment":
        """The same services under another domain than the production's."""
        if domain == DOMAIN:
            return self
        changed = {
            name: value.replace(DOMAIN, domain)
            for name, value in msgspec.structs.asdict(self).items()
            if isinstance(value, str)
        }
        changed["service_discovery"] = self.service_discovery.replace(SD_DOMAIN, domain)
        return msgspec.structs.replace(self, **changed)


def deployment(name: str = PRODUCTION) -> Deployment:
    """Raises InvalidValue for a file that has no such deployment."""
    path = os.environ.get(VARIABLE, "")
    try:
        if path:
            with Path(path).open("rb") as file:
                text = file.read(MAX_FILE)
        else:
            text = resources.files("skywire.config").joinpath("deployment.json").read_bytes()
        document: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        return msgspec.convert(document[name], Deployment)
    except (OSError, msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
        raise InvalidValue(
            f'{path or "embedded deployments"}: no deployment "{name}" ({error!r}); '
            f"expected a JSON object with {PRODUCTION} and {TEST}"
        ) from error
