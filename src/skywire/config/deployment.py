"""The public deployments, as the programs of June 2026 know them. Source: 3088, config.md §4.

Facts only: who runs which service where. `SKYDEPLOY` names a file to be read instead.
"""

import os
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire.entry import Entry

PRODUCTION = "prod"
TEST = "test"
VARIABLE = "SKYDEPLOY"
TESTING = "SKYWIRETEST"  # "1": the test deployment, in place of production
DOMAIN = "skywire.skycoin.com"  # of the production's services
SD_DOMAIN = "skycoin.com"  # of its service discovery
MAX_FILE = 1024 * 1024  # bytes
SERVICES = (
    "dmsg_discovery",
    "transport_discovery",
    "address_resolver",
    "route_finder",
    "uptime_tracker",
    "service_discovery",
    "conf",
    "reward_system",
)  # each has a URL and, with "_dmsg" after its name, a twin on dmsg


class ServerAddress(msgspec.Struct, frozen=True):
    address: str  # host:port


class KnownServer(msgspec.Struct, frozen=True):
    """A dmsg server that needs no discovery. Addresses change, keys stay: what is learnt wins."""

    static: str  # its public key
    server: ServerAddress


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """First what the config bootstrapper tells, in its order; then what only the file knows.

    "" and () mean that the deployment has none. Keys are texts: a file may hold wrong ones.
    """

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

    conf: str = ""
    reward_system: str = ""
    dmsg_discovery_dmsg: str = ""  # dmsg://<pk>:<port>, as all that follow
    transport_discovery_dmsg: str = ""
    address_resolver_dmsg: str = ""
    route_finder_dmsg: str = ""
    uptime_tracker_dmsg: str = ""
    service_discovery_dmsg: str = ""
    conf_dmsg: str = ""
    reward_system_dmsg: str = ""
    dmsg_servers: tuple[KnownServer, ...] = ()

    def at(self, domain: str) -> "Deployment":
        """The same services under another domain than the production's, and not on dmsg."""
        if domain == DOMAIN:
            return self
        changed: dict[str, Any] = {
            name: value.replace(DOMAIN, domain)
            for name, value in msgspec.structs.asdict(self).items()
            if isinstance(value, str)
        }
        changed["service_discovery"] = self.service_discovery.replace(SD_DOMAIN, domain)
        changed |= {f"{name}_dmsg": "" for name in SERVICES}
        return msgspec.structs.replace(self, **changed, dmsg_servers=())

    def told(self) -> "Deployment":
        """What the config bootstrapper tells: nothing of what only the file knows."""
        hidden = {f"{name}_dmsg": "" for name in SERVICES}
        return msgspec.structs.replace(self, **hidden, conf="", reward_system="", dmsg_servers=())

    def server_entries(self) -> list[Entry]:
        """The dmsg servers as unsigned entries. Raises InvalidValue for a key that is none."""
        return [
            Entry.of_server(PubKey.parse(known.static), known.server.address, available=0)
            for known in self.dmsg_servers
        ]

    def twin(self, url: str) -> str:
        """The dmsg address of what `url` asks a service for, its path and query kept; "" if none.

        "http://tpd.skywire.skycoin.com/metrics?days=1" → "dmsg://02b3…:80/metrics?days=1"
        """
        for name in SERVICES:
            base, on_dmsg = getattr(self, name).rstrip("/"), getattr(self, f"{name}_dmsg")
            rest = url.removeprefix(base)
            if base and on_dmsg and url.startswith(base) and rest[:1] in ("", "/", "?"):
                return f"{on_dmsg.rstrip('/')}{rest}"
        return ""


def deployment(name: str = PRODUCTION) -> Deployment:
    """Raises InvalidValue for a file that has no such deployment.

    The empty object is a file on purpose: it knows no deployment at all.
    """
    path = os.environ.get(VARIABLE, "")
    try:
        if path:
            with Path(path).open("rb") as file:
                text = file.read(MAX_FILE)
        else:
            text = resources.files("skywire.config").joinpath("deployment.json").read_bytes()
        document: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        if not document:
            return Deployment()
        return msgspec.convert(document[name], Deployment)
    except (OSError, msgspec.MsgspecError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(
            f'{path or "embedded deployments"}: no deployment "{name}" ({error!r}); '
            f"expected a JSON object with {PRODUCTION} and {TEST}"
        ) from error


def base_deployment() -> Deployment:
    """What a file that names no deployment means: production, or what TESTING asks for."""
    return deployment(TEST if os.environ.get(TESTING) == "1" else PRODUCTION)


def of_discovery(url: str) -> Deployment | None:
    """The deployment whose dmsg discovery that is, by HTTP or on dmsg. None: a private one."""
    for name in (PRODUCTION, TEST):
        try:
            known = deployment(name)
        except InvalidValue:  # a file need not have both
            continue
        if url and url in (known.dmsg_discovery, known.dmsg_discovery_dmsg):
            return known
    return None
