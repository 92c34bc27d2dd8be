"""A new config of a visor. Source: config.md §2 (column "config gen"), §3.

choices = Choices(known=deployment(), sk=generate.key_pair()[1])
text = generated(choices)
"""

import secrets
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from skywire.config.deployment import Deployment
from skywire.config.document import Layout, plain
from skywire.config.load import ConfigFile
from skywire.config.model import (
    AppConfig,
    CookieConfig,
    DmsgConfig,
    HypervisorConfig,
    LauncherConfig,
    LogStoreConfig,
    PtyConfig,
    RoutingConfig,
    StcpConfig,
    TransportConfig,
    UptimeTrackerConfig,
    VisorConfig,
)
from skywire.config.values import Duration, Hidden, HostPort
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue

FORMAT = "v1.3.29"  # the Go release whose files we write; a Go program refuses other major versions
LAYOUT = Layout("  ")  # as Go's `config gen`
FILE = "skywire-config.json"

Protocol = Literal["dual", "dmsg", "http"]
System = Literal["linux", "mac", "win"]


class Places(NamedTuple):
    """Where a visor has its files."""

    config: Path
    local: str = "./local"
    bin: str = "./"
    users: str = "users.db"
    auth: bool = False  # of the hypervisor

    @classmethod
    def of_package(cls, system: System) -> "Places":
        root = {
            "linux": "/opt/skywire",
            "mac": "/Library/Application Support/Skywire",
            "win": "C:/Program Files/Skywire",
        }[system]
        name = "skywire.json" if system == "linux" else FILE
        return cls(Path(root, name), f"{root}/local", f"{root}/bin", f"{root}/users.db", auth=True)

    @classmethod
    def of_user(cls, home: Path) -> "Places":
        own = home / ".skywire"
        return cls(
            home / FILE, str(own / "local"), "/opt/skywire/apps", str(own / "users.db"), auth=True
        )

    @classmethod
    def here(cls, system: System) -> "Places":
        return cls(Path(FILE), users=str(Path.cwd() / "users.db"), auth=system != "linux")


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person may choose. `protocol`: by what the services are reached; "dual" tells both."""

    known: Deployment
    sk: SecKey
    places: Places
    protocol: Protocol = "dual"
    version: str = FORMAT
    log_level: str = "info"
    sessions: int = 2
    cli_addr: str = "localhost:3435"
    pty_socket: str = ""  # where the default is not to be
    stcp_addr: str = ":7777"
    app_addr: str = "localhost:5505"
    stcpr_port: int = 0
    sudph_port: int = 0
    min_hops: int = 0
    autoconnect: bool = True
    is_public: bool = False
    display_node_ip: bool = False
    shutdown_timeout: float = 10.0
    hypervisors: tuple[PubKey, ...] = ()
    pty_whitelist: tuple[PubKey, ...] = ()
    survey_whitelist: tuple[PubKey, ...] = ()
    route_setup_nodes: tuple[PubKey, ...] = ()
    transport_setup: tuple[PubKey, ...] = ()
    stun_servers: tuple[str, ...] = ()  # () is the deployment's
    persistent_shells: bool = False
    hypervisor: bool = False
    hypervisor_addr: str = ":8000"
    auth: bool | None = None  # None: as `places` say
    apps: tuple[AppConfig, ...] = ()


def generated(choices: Choices) -> bytes:
    """The text of the file. Raises InvalidValue naming the key of a value that cannot be."""
    config = _config(choices)
    values = {"dmsgpty" if key == "pty" else key: value for key, value in plain(config).items()}
    if config.hypervisor is None:
        del values["hypervisor"]
    text = LAYOUT.write(values)
    ConfigFile(text, "config gen")
    return text


def setup_node(choices: Choices) -> bytes:
    """The text of a route setup node's config. Source: services.md §9."""
    config = _config(choices)
    values: dict[str, Any] = {
        "public_key": config.pk.hex(),
        "secret_key": config.sk.hex(),
        "dmsg": plain(config.dmsg),
        "transport_discovery": config.transport.discovery,
        "log_level": config.log_level or "info",
    }
    return LAYOUT.write(values)


def _config(choices: Choices) -> VisorConfig:
    known, places, own = choices.known, choices.places, choices.sk.public()
    local = places.local
    return VisorConfig(
        version=choices.version,
        sk=choices.sk,
        pk=own,
        dmsg=_dmsg(choices),
        pty=PtyConfig(
            whitelist=list(choices.pty_whitelist),
            persistent_sessions=choices.persistent_shells,
            cli_address=choices.pty_socket or PtyConfig().cli_address,
        ),
        skywire_tcp=StcpConfig(listening_address=HostPort(choices.stcp_addr)),
        transport=TransportConfig(
            discovery=_service(choices, "transport_discovery"),
            address_resolver=_service(choices, "address_resolver"),
            public_autoconnect=choices.autoconnect,
            transport_setup=_keys("transport_setup", known.transport_setup, choices),
            log_store=LogStoreConfig(location=f"{local}/transport_logs"),
            stcpr_port=choices.stcpr_port,
            sudph_port=choices.sudph_port,
            discovery_dmsg=_twin(choices, "transport_discovery"),
            address_resolver_dmsg=_twin(choices, "address_resolver"),
        ),
        routing=RoutingConfig(
            route_setup_nodes=_keys("route_setup_nodes", known.route_setup_nodes, choices),
            route_finder=_service(choices, "route_finder"),
            min_hops=choices.min_hops,
            route_finder_dmsg=_twin(choices, "route_finder"),
        ),
        uptime_tracker=UptimeTrackerConfig(
            addr=_service(choices, "uptime_tracker"), addr_dmsg=_twin(choices, "uptime_tracker")
        ),
        launcher=LauncherConfig(
            service_discovery=_service(choices, "service_discovery"),
            apps=list(choices.apps),
            server_addr=HostPort(choices.app_addr),
            bin_path=places.bin,
            display_node_ip=choices.display_node_ip,
            service_discovery_dmsg=_twin(choices, "service_discovery"),
        ),
        survey_whitelist=_keys("survey_whitelist", known.survey_whitelist, choices),
        hypervisors=[pk for pk in choices.hypervisors if pk != own],
        cli_addr=HostPort(choices.cli_addr),
        log_level=choices.log_level,
        local_path=local,
        dmsghttp_server_path=f"{local}/custom",
        stun_servers=list(choices.stun_servers or known.stun_servers),
        shutdown_timeout=Duration(choices.shutdown_timeout),
        is_public=choices.is_public,
        hypervisor=_hypervisor(choices, own),
        conf_service_dmsg=_twin(choices, "conf"),
    )


def _dmsg(choices: Choices) -> DmsgConfig:
    servers = []
    if choices.protocol == "dmsg":
        servers = [
            {
                "version": "",
                "sequence": 0,
                "timestamp": 0,
                "static": str(PubKey.parse(server.static)),
                "server": {"address": server.server.address, "availableSessions": 0},
            }
            for server in choices.known.dmsg_servers
        ]
        if not servers:
            raise InvalidValue(
                "the deployment knows no dmsg_servers: it cannot be used by --dmsghttp"
            )
    return DmsgConfig(
        discovery=_service(choices, "dmsg_discovery"),
        sessions_count=choices.sessions,
        servers=servers,
        discovery_dmsg=_twin(choices, "dmsg_discovery"),
    )


def _service(choices: Choices, name: str) -> str:
    """Raises InvalidValue when a service that no visor does without is missing."""
    found: str = getattr(choices.known, name)
    if choices.protocol == "dmsg":
        found = getattr(choices.known, f"{name}_dmsg")
    if not found and name in ("dmsg_discovery", "transport_discovery"):
        way = "on dmsg " if choices.protocol == "dmsg" else ""
        raise InvalidValue(f"the deployment has no {name} {way}; name another with --svcconf")
    return found


def _twin(choices: Choices, name: str) -> str:
    """In the dual form each service has its dmsg address beside its URL."""
    found: str = getattr(choices.known, f"{name}_dmsg")
    return found if choices.protocol == "dual" else ""


def _keys(name: str, known: tuple[str, ...], choices: Choices) -> list[PubKey]:
    """The deployment's and those a person adds. Raises InvalidValue."""
    added: tuple[PubKey, ...] = getattr(choices, name)
    try:
        return list(dict.fromkeys([*(PubKey.parse(key) for key in known), *added]))
    except InvalidValue as error:
        raise InvalidValue(f"{name} of the deployment: {error}") from error


def _hypervisor(choices: Choices, own: PubKey) -> HypervisorConfig | None:
    """A visor that is told to be its own hypervisor runs one."""
    if not choices.hypervisor and own not in choices.hypervisors:
        return None
    auth = choices.places.auth if choices.auth is None else choices.auth
    return HypervisorConfig(
        db_path=choices.places.users,
        enable_auth=auth,
        cookies=new_cookies(),
        http_addr=HostPort(choices.hypervisor_addr),
    )


def new_cookies() -> CookieConfig:
    return CookieConfig(
        hash_key=Hidden(secrets.token_hex(64)), block_key=Hidden(secrets.token_hex(32))
    )
