"""The config file of a visor, as classes. Source: config.md §1, §2, hypervisor.md §1.1.

The keys are Go's, in Go's order, so one file runs either implementation. A key that no field has
stays in the file (`load.ConfigFile.update`). `optional` ones, which not every Go program knows, are
written only when they say something else than their default.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from skywire.config.values import Duration, Hidden, HostPort, Nanoseconds
from skywire.crypto.keys import PubKey, SecKey

PRODUCTION_DISCOVERY = "http://dmsgd.skywire.skycoin.com"

ServersType = Literal["all", "official", "community"]
LogStoreType = Literal["file", "memory"]
TransportType = Literal["stcp", "stcpr", "sudph", "dmsg"]
Port = Annotated[int, Meta(ge=0, le=0xFFFF)]
OPTIONAL = "optional"


def optional(description: str) -> Meta:
    return Meta(description=description, extra={OPTIONAL: True})


OTHERS = optional("of the Go program; kept and not used")


class DmsgConfig(msgspec.Struct, frozen=True, kw_only=True):
    discovery: Annotated[str, Meta(description="URL of the dmsg discovery")] = PRODUCTION_DISCOVERY
    sessions_count: Annotated[
        int, Meta(ge=0, le=4096, description="servers to stay connected to; 0 = all")
    ] = 1
    servers: Annotated[
        list[dict[str, Any]], Meta(description="discovery entries of servers known in advance")
    ] = []
    servers_type: Annotated[
        ServersType, Meta(description="which servers to use: all, official or community")
    ] = "all"
    discovery_dmsg: Annotated[str, optional("dmsg:// address of the discovery")] = ""
    protocol: Annotated[Any, OTHERS] = None
    carriers: Annotated[Any, OTHERS] = None
    server: Annotated[Any, OTHERS] = None


class PtyConfig(msgspec.Struct, frozen=True, kw_only=True):
    dmsg_port: Annotated[Port, Meta(description="dmsg port of the terminal host; 0 = off")] = 22
    cli_network: Annotated[str, Meta(description='"unix", or "" for no control socket')] = "unix"
    cli_address: Annotated[str, Meta(description="path of the control socket")] = (
        "/tmp/dmsgpty.sock"  # noqa: S108 - Go's default; access is by file permission
    )
    whitelist: Annotated[list[PubKey], Meta(description="who may open a terminal")] = []
    persistent_sessions: Annotated[
        bool, optional("shells outlive the connection and can be taken up again")
    ] = False
    ssh_listen: Annotated[
        HostPort, optional('where to take terminals over plain TCP, such as ":2022"; "": nowhere')
    ] = HostPort("")


class CookieConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The keys are for the Go program: our cookies are random numbers that need none."""

    hash_key: Annotated[Hidden, Meta(description="64 bytes in hex, for the Go program")] = Hidden()
    block_key: Annotated[Hidden, Meta(description="32 bytes in hex, for the Go program")] = Hidden()
    expires_duration: Annotated[Nanoseconds, Meta(description="how long a login lasts")] = (
        Nanoseconds(12 * 3600)
    )
    path: Annotated[str, Meta(description="path of the login cookie")] = "/"
    domain: Annotated[str, Meta(description="domain of the login cookie")] = ""


class HypervisorConfig(msgspec.Struct, frozen=True, kw_only=True):
    enable: Annotated[bool, optional("false: as if the section were not there")] = True
    db_path: Annotated[str, Meta(description="file with the accounts")] = "users.db"
    enable_auth: Annotated[bool, Meta(description="ask for a password")] = False
    cookies: CookieConfig = CookieConfig()
    dmsg_port: Annotated[Port, Meta(description="dmsg port that visors dial")] = 46
    http_addr: Annotated[HostPort, Meta(description="where the web pages are")] = HostPort(":8000")
    enable_tls: Annotated[bool, Meta(description="serve the pages by HTTPS")] = False
    tls_cert_file: Annotated[str, Meta(description="certificate, PEM")] = "./ssl/cert.pem"
    tls_key_file: Annotated[str, Meta(description="its private key, PEM")] = "./ssl/key.pem"
    ui_disable: Annotated[Any, OTHERS] = None
    dmsg_ui_port: Annotated[Any, OTHERS] = None
    tp_viz: Annotated[Any, OTHERS] = None
    lan_dmsg_server: Annotated[Any, OTHERS] = None


class StcpConfig(msgspec.Struct, frozen=True, kw_only=True):
    pk_table: Annotated[
        dict[str, str], Meta(description="addresses (host:port) of visors to reach by stcp")
    ] = {}
    listening_address: Annotated[
        HostPort, Meta(description='where to take stcp transports; "": nowhere')
    ] = HostPort(":7777")


class LogStoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    type: Annotated[
        LogStoreType, Meta(description='"file": write down the traffic per day; "memory": do not')
    ] = "file"
    location: Annotated[str, Meta(description="directory of these files")] = (
        "./local/transport_logs"
    )
    rotation_interval: Annotated[Duration, Meta(description="how long the files are kept")] = (
        Duration(168 * 3600)
    )


class TransportConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Of a private deployment: "" and [] are off. See `load` for the public one."""

    discovery: Annotated[
        str,
        Meta(
            description="URL of the transport discovery, http:// or dmsg://; its default is "
            "production's if the dmsg discovery is, else off"
        ),
    ] = ""
    address_resolver: Annotated[
        str, Meta(description="URL of the address resolver, for stcpr and sudph; default likewise")
    ] = ""
    public_autoconnect: Annotated[
        bool, Meta(description="keep transports to some public visors")
    ] = True
    transport_setup: Annotated[
        list[PubKey], Meta(description="who may open and close transports of this visor")
    ] = []
    log_store: LogStoreConfig = LogStoreConfig()
    stcpr_port: Annotated[Port, Meta(description="TCP port for stcpr; 0: any")] = 0
    sudph_port: Annotated[Port, Meta(description="UDP port for sudph; 0: any")] = 0
    discovery_dmsg: Annotated[str, optional("dmsg:// address of the discovery")] = ""
    address_resolver_dmsg: Annotated[str, optional("dmsg:// address of the resolver")] = ""


class RoutingConfig(msgspec.Struct, frozen=True, kw_only=True):
    route_setup_nodes: Annotated[
        list[PubKey],
        Meta(
            description="who may lay routes through this visor, and lays its own; "
            "default: production's if the dmsg discovery is"
        ),
    ] = []
    route_finder: Annotated[
        str,
        Meta(
            description="URL of the route finder; default likewise. Without one, paths are "
            "calculated here"
        ),
    ] = ""
    route_finder_timeout: Annotated[
        Duration, Meta(description="how long the route finder may take")
    ] = Duration(10.0)
    min_hops: Annotated[Port, Meta(description="transports a route has at least")] = 0
    automatic_transports: Annotated[
        bool,
        optional(
            "ours: open a transport to a visor before a route to it; false: "
            "routes use the transports that are there"
        ),
    ] = True
    route_finder_dmsg: Annotated[str, optional("dmsg:// address of the route finder")] = ""
    calculate_routes: Annotated[
        bool, optional("calculate paths here, even if there is a route finder")
    ] = False
    enable_cascade_route_setup: Annotated[Any, OTHERS] = None


class UptimeTrackerConfig(msgspec.Struct, frozen=True, kw_only=True):
    addr: Annotated[
        str,
        Meta(
            description='URL of the uptime tracker, http:// or dmsg://; "": off; default: '
            "production's if the dmsg discovery is"
        ),
    ] = ""
    addr_dmsg: Annotated[str, optional("its dmsg:// address")] = ""


class AppConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, description="unique among the apps")]
    binary: Annotated[str, Meta(description="file in bin_path")] = ""
    args: Annotated[list[str], optional("its arguments")] = []
    auto_start: Annotated[bool, Meta(description="start it with the visor")] = False
    port: Annotated[Port, Meta(description="routing port")] = 0
    launcher_mode: Annotated[Any, OTHERS] = None
    restart_policy: Annotated[Any, OTHERS] = None
    user: Annotated[Any, OTHERS] = None


class LauncherConfig(msgspec.Struct, frozen=True, kw_only=True):
    service_discovery: Annotated[
        str, Meta(description="URL of the service discovery, which knows the public visors")
    ] = ""
    apps: Annotated[
        list[AppConfig],
        Meta(description="name, binary, args, auto_start, port of each app"),
    ] = []
    server_addr: Annotated[HostPort, Meta(description="TCP address for the apps")] = HostPort(
        "localhost:5505"
    )
    bin_path: Annotated[str, Meta(description="directory of the apps' programs")] = "./"
    display_node_ip: Annotated[
        bool, Meta(description="publish the IP address with the services of this visor")
    ] = False
    service_discovery_dmsg: Annotated[str, optional("dmsg:// address of the discovery")] = ""


class PersistentTransport(msgspec.Struct, frozen=True, kw_only=True):
    pk: PubKey
    type: TransportType


class VisorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`pk` belongs to `sk`; `pty`, `skywire_tcp`, `uptime_tracker`, `hypervisor`: None when off."""

    version: Annotated[str, Meta(description="version that wrote the file")] = "unknown"
    sk: Annotated[
        SecKey, Meta(description="secret key; without one, a new pair is made and kept in the file")
    ]
    pk: Annotated[PubKey, Meta(description="its public key; may be left out")]
    dmsg: DmsgConfig = DmsgConfig()
    pty: PtyConfig | None = PtyConfig()
    skywire_tcp: StcpConfig | None = msgspec.field(name="skywire-tcp", default=None)
    transport: TransportConfig = TransportConfig()
    routing: RoutingConfig = RoutingConfig()
    uptime_tracker: UptimeTrackerConfig | None = UptimeTrackerConfig()
    launcher: LauncherConfig = LauncherConfig()
    survey_whitelist: Annotated[
        list[PubKey], Meta(description="who may read the survey of this machine")
    ] = []
    hypervisors: Annotated[list[PubKey], Meta(description="who may control this visor")] = []
    cli_addr: Annotated[HostPort, Meta(description="TCP address for the command line")] = HostPort(
        "localhost:3435"
    )
    log_level: Annotated[str, Meta(description="debug, info, warn or error")] = "info"
    local_path: Annotated[str, Meta(description="directory of what the visor writes")] = "./local"
    dmsghttp_server_path: Annotated[
        str, Meta(description="directory of files that everybody may fetch over dmsg")
    ] = "./local/custom"
    stun_servers: Annotated[
        list[str], Meta(description="host:port of servers that tell what NAT is in front of us")
    ] = []
    shutdown_timeout: Annotated[
        Duration, Meta(description="for the Go program; ours stops within 5 s")
    ] = Duration(10.0)
    is_public: Annotated[
        bool, Meta(description="let others find this visor, when it has a public address")
    ] = False
    persistent_transports: Annotated[
        list[PersistentTransport],
        Meta(description="transports to open again whenever they are missing: pk, type"),
    ] = []
    hypervisor: HypervisorConfig | None = None
    hostname: Annotated[
        str, optional('name in a hypervisor\'s list; "": the name of the machine')
    ] = ""
    conf_service_dmsg: Annotated[str, optional("dmsg:// address of the config service")] = ""
    dmsg_web: Annotated[Any, OTHERS] = None
    skynet_web: Annotated[Any, OTHERS] = None
    rewards: Annotated[Any, OTHERS] = None
