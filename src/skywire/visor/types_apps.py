"""What a visor tells about its apps, and is asked: Go's structs. Source: visor.md §3.2, §3.3.

Status: 0 stopped, 1 running, 2 errored, 3 starting.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.operations import Argument, Option
from skywire.wire.gob_types import (
    BOOL,
    DURATION,
    INT64,
    INTERFACE,
    PUBKEY,
    STRING,
    TIME,
    UINT32,
    UINT64,
    ZERO_TIME,
    Go,
    GoTime,
    Map,
    Pointer,
    Slice,
)

STOPPED, RUNNING, ERRORED, STARTING = range(4)
STATUS = ("stopped", "running", "errored", "starting")  # in words


@dataclass(slots=True)
class ConnectionSummary:
    """Speeds in bytes/s; `latency` in ns, in JSON in ms; `connection_duration` in seconds."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"connection_duration"})
    DIVIDED: ClassVar[dict[str, int]] = {"latency": 1_000_000}
    UNITS: ClassVar[dict[str, str]] = {
        "latency": "ms",
        "upload_speed": "B/s",
        "download_speed": "B/s",
        "bandwidth_sent": "B",
        "bandwidth_received": "B",
        "connection_duration": "s",
    }

    is_alive: Annotated[bool, Go("IsAlive", BOOL)] = False
    latency: Annotated[int, Go("Latency", DURATION)] = 0
    upload_speed: Annotated[int, Go("UploadSpeed", UINT32)] = 0
    download_speed: Annotated[int, Go("DownloadSpeed", UINT32)] = 0
    bandwidth_sent: Annotated[int, Go("BandwidthSent", UINT64)] = 0
    bandwidth_received: Annotated[int, Go("BandwidthReceived", UINT64)] = 0
    error: Annotated[str, Go("Error", STRING)] = ""
    connection_duration: Annotated[int, Go("ConnectionDuration", INT64)] = 0


@dataclass(slots=True)
class AppStats:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"start_time"})

    connections: Annotated[list[ConnectionSummary], Go("Connections", Slice(ConnectionSummary))] = (
        field(default_factory=list)
    )
    start_time: Annotated[GoTime | None, Go("StartTime", Pointer(TIME))] = None


@dataclass(slots=True)
class StartApp:
    """`mode` is "internal", "external" or "": as the config says."""

    GO_NAME: ClassVar[str] = "StartAppIn"
    name: Annotated[str, Go("AppName", STRING), Argument()] = ""
    mode: Annotated[
        str, Go("LauncherMode", STRING), Option("internal or external; default: as configured.")
    ] = ""

    def older_form(self) -> str:
        """As visors of 2024 take it."""
        return self.name


@dataclass(slots=True)
class LogsRequest:
    """Lines behind `since`."""

    GO_NAME: ClassVar[str] = "AppLogsRequest"
    since: Annotated[GoTime, Go("TimeStamp", TIME)] = ZERO_TIME
    name: Annotated[str, Go("AppName", STRING)] = ""


@dataclass(slots=True)
class AddApp:
    GO_NAME: ClassVar[str] = "AddAppIn"
    name: Annotated[str, Go("AppName", STRING), Argument()] = ""
    binary: Annotated[str, Go("BinaryName", STRING), Argument()] = ""


@dataclass(slots=True)
class SetStatus:
    GO_NAME: ClassVar[str] = "SetAppStatusIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    status: Annotated[str, Go("Status", STRING)] = ""


@dataclass(slots=True)
class SetError:
    GO_NAME: ClassVar[str] = "SetAppErrorIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    error: Annotated[str, Go("Err", STRING)] = ""


@dataclass(slots=True)
class SetAutoStart:
    GO_NAME: ClassVar[str] = "SetAutoStartIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    auto_start: Annotated[bool, Go("AutoStart", BOOL)] = False


@dataclass(slots=True)
class SetPassword:
    """`secret` "" removes it."""

    GO_NAME: ClassVar[str] = "SetAppPasswordIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    secret: Annotated[str, Go("Password", STRING)] = ""


@dataclass(slots=True)
class SetWhitelist:
    """2026: keys with commas between them; "" lets everybody in."""

    GO_NAME: ClassVar[str] = "SetAppWhitelistIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    whitelist: Annotated[str, Go("Whitelist", STRING)] = ""


@dataclass(slots=True)
class SetNetworkInterface:
    GO_NAME: ClassVar[str] = "SetAppNetworkInterfaceIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    interface: Annotated[str, Go("NetIfc", STRING)] = ""


@dataclass(slots=True)
class SetPk:
    GO_NAME: ClassVar[str] = "SetAppPKIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY


@dataclass(slots=True)
class SetSwitch:
    GO_NAME: ClassVar[str] = "SetAppBoolIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    value: Annotated[bool, Go("Val", BOOL)] = False


@dataclass(slots=True)
class SetText:
    GO_NAME: ClassVar[str] = "SetAppStringIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    value: Annotated[str, Go("Val", STRING)] = ""


@dataclass(slots=True)
class SetAll:
    """`values`: texts, switches and numbers by flag; the key "app" says which app it is."""

    GO_NAME: ClassVar[str] = "SetAppMapIn"
    name: Annotated[str, Go("AppName", STRING)] = ""
    values: Annotated[dict[str, Any], Go("Val", Map(STRING, INTERFACE))] = field(
        default_factory=dict
    )
