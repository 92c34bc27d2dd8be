"""The config file of a visor, as classes. Source: config.md §1, §2, hypervisor.md §1.1.

The keys are Go's, so one file runs either implementation. Only what this program uses has a field
here; every other key stays in the file (`load.ConfigFile.update`).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from skywire.config.values import Duration, HostPort
from skywire.crypto.keys import PubKey, SecKey

PRODUCTION_DISCOVERY = "http://dmsgd.skywire.skycoin.com"

ServersType = Literal["all", "official", "community"]
Port = Annotated[int, Meta(ge=0, le=0xFFFF)]


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


class PtyConfig(msgspec.Struct, frozen=True, kw_only=True):
    dmsg_port: Annotated[Port, Meta(description="dmsg port of the terminal host; 0 = off")] = 22
    cli_network: Annotated[str, Meta(description='"unix", or "" for no control socket')] = "unix"
    cli_address: Annotated[str, Meta(description="path of the control socket")] = (
        "/tmp/dmsgpty.sock"  # noqa: S108 - Go's default; access is by file permission
    )
    whitelist: Annotated[list[PubKey], Meta(description="who may open a terminal")] = []
    persistent_sessions: Annotated[
        bool, Meta(description="shells outlive the connection and can be taken up again")
    ] = False


class CookieConfig(msgspec.Struct, frozen=True, kw_only=True):
    expires_duration: Annotated[Duration, Meta(description="how long a login lasts")] = Duration(
        12 * 3600
    )
    path: Annotated[str, Meta(description="path of the login cookie")] = "/"
    domain: Annotated[str, Meta(description="domain of the login cookie")] = ""


class HypervisorConfig(msgspec.Struct, frozen=True, kw_only=True):
    enable: Annotated[bool, Meta(description="false: as if the section were not there")] = True
    db_path: Annotated[str, Meta(description="file with the accounts")] = "users.db"
    enable_auth: Annotated[bool, Meta(description="ask for a password")] = False
    cookies: CookieConfig = CookieConfig()
    dmsg_port: Annotated[Port, Meta(description="dmsg port that visors dial")] = 46
    http_addr: Annotated[HostPort, Meta(description="where the web pages are")] = HostPort(":8000")
    enable_tls: Annotated[bool, Meta(description="serve the pages by HTTPS")] = False
    tls_cert_file: Annotated[str, Meta(description="certificate, PEM")] = "./ssl/cert.pem"
    tls_key_file: Annotated[str, Meta(description="its private key, PEM")] = "./ssl/key.pem"


class VisorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`pk` always belongs to `sk`; `pty` and `hypervisor` are None when the part is off."""

    sk: Annotated[
        SecKey, Meta(description="secret key; without one, a new pair is made and kept in the file")
    ]
    pk: Annotated[PubKey, Meta(description="its public key; may be left out")]
    version: Annotated[str, Meta(description="version that wrote the file")] = "unknown"
    dmsg: DmsgConfig = DmsgConfig()
    pty: PtyConfig | None = PtyConfig()
    hypervisors: Annotated[list[PubKey], Meta(description="who may control this visor")] = []
    hypervisor: HypervisorConfig | None = None
    cli_addr: Annotated[HostPort, Meta(description="TCP address for the command line")] = HostPort(
        "localhost:3435"
    )
    hostname: Annotated[
        str, Meta(description='name in a hypervisor\'s list; "": the name of the machine')
    ] = ""
    log_level: Annotated[str, Meta(description="debug, info, warn or error")] = "info"
