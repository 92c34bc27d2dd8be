"""What a visor and its apps tell each other: Go's structs. Source: apps.md §2, §3.2, §3.3.

Attributes of `ProcConfig` have the names of its JSON keys, in Go's order.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar

import msgspec

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue
from skywire.wire.app_hello import KEY_SIZE, NULL_PROC_KEY, ProcKey
from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    INT,
    INT64,
    PUBKEY,
    STRING,
    TIME,
    UINT8,
    UINT16,
    ZERO_TIME,
    Array,
    Go,
    GoTime,
    Pointer,
    Slice,
)

PROC_CONFIG = "PROC_CONFIG"  # the variable of a process's environment
MAX_PROC_CONFIG = 256 * 1024  # bytes

# What an app says of itself; others are shown as they are. Source: apps.md §4
STARTING = "Starting"
RUNNING = "Running"
CONNECTING = "Connecting"
RECONNECTING = "Connection failed, reconnecting"
SHUTTING_DOWN = "Shutting down"
STOPPED = "Stopped"

PROC_KEY = Array(UINT8, KEY_SIZE, "appcommon.ProcKey")
ListenerId = Annotated[int, UINT16]
Seconds = Annotated[int, INT64]


@dataclass(slots=True)
class Addr:
    """`net` is "skynet" or "dmsg"."""

    net: Annotated[str, Go("Net", STRING)] = ""
    pk: Annotated[PubKey, Go("PubKey", PUBKEY)] = NULL_KEY
    port: Annotated[int, Go("Port", UINT16)] = 0


@dataclass(slots=True)
class DialResp:
    conn_id: Annotated[int, Go("ConnID", UINT16)] = 0
    local_port: Annotated[int, Go("LocalPort", UINT16)] = 0


@dataclass(slots=True)
class AcceptResp:
    remote: Annotated[Addr, Go("Remote", Addr)] = field(default_factory=Addr)
    conn_id: Annotated[int, Go("ConnID", UINT16)] = 0


@dataclass(slots=True)
class IoError:
    """How a read or a write ended, as Go tells it."""

    GO_NAME: ClassVar[str] = "RPCIOErr"
    text: Annotated[str, Go("Text", STRING)] = ""
    is_net: Annotated[bool, Go("IsNetErr", BOOL)] = False
    is_timeout: Annotated[bool, Go("IsTimeoutErr", BOOL)] = False
    is_temporary: Annotated[bool, Go("IsTemporaryErr", BOOL)] = False


@dataclass(slots=True)
class WriteReq:
    conn_id: Annotated[int, Go("ConnID", UINT16)] = 0
    data: Annotated[bytes, Go("B", BYTES)] = b""


@dataclass(slots=True)
class WriteResp:
    written: Annotated[int, Go("N", INT)] = 0
    error: Annotated[IoError | None, Go("Err", Pointer(IoError))] = None


@dataclass(slots=True)
class ReadReq:
    conn_id: Annotated[int, Go("ConnID", UINT16)] = 0
    size: Annotated[int, Go("BufLen", INT)] = 0


@dataclass(slots=True)
class ReadResp:
    data: Annotated[bytes, Go("B", BYTES)] = b""
    size: Annotated[int, Go("N", INT)] = 0
    error: Annotated[IoError | None, Go("Err", Pointer(IoError))] = None


@dataclass(slots=True)
class DeadlineReq:
    conn_id: Annotated[int, Go("ConnID", UINT16)] = 0
    deadline: Annotated[GoTime, Go("Deadline", TIME)] = ZERO_TIME


@dataclass(slots=True)
class Event:
    """`data` is JSON."""

    type: Annotated[str, Go("Type", STRING)] = ""
    data: Annotated[bytes, Go("Data", BYTES)] = b""


@dataclass(slots=True)
class ProcConfig:
    """All an app needs to begin: its name, its arguments, and how to reach its visor."""

    app_name: Annotated[str, Go("AppName", STRING)] = ""
    app_server_addr: Annotated[str, Go("AppSrvAddr", STRING)] = ""
    proc_key: Annotated[bytes, Go("ProcKey", PROC_KEY)] = NULL_PROC_KEY
    proc_args: Annotated[list[str], Go("ProcArgs", Slice(STRING))] = field(default_factory=list)
    proc_envs: Annotated[list[str], Go("ProcEnvs", Slice(STRING))] = field(default_factory=list)
    proc_work_dir: Annotated[str, Go("ProcWorkDir", STRING)] = ""
    visor_pk: Annotated[PubKey, Go("VisorPK", PUBKEY)] = NULL_KEY
    routing_port: Annotated[int, Go("RoutingPort", UINT16)] = 0
    binary_loc: Annotated[str, Go("BinaryLoc", STRING)] = ""
    log_db_loc: Annotated[str, Go("LogDBLoc", STRING)] = ""
    log_store_path: Annotated[str, Go("LogStorePath", STRING)] = ""

    def encode(self) -> str:
        """The JSON of `PROC_CONFIG`."""
        document: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        document["proc_key"] = self.proc_key.hex()
        document["visor_pk"] = self.visor_pk.hex()
        document["proc_envs"] = self.proc_envs or None  # as Go writes no list
        return msgspec.json.encode(document).decode()

    @classmethod
    def parse(cls, text: str) -> "ProcConfig":
        """Raises InvalidValue, without the text: the key in it is a secret."""
        try:
            if len(text) > MAX_PROC_CONFIG:
                raise InvalidValue(f"it is longer than {MAX_PROC_CONFIG} characters")
            document = msgspec.json.decode(text, type=_Document)
            return cls(
                document.app_name,
                document.app_server_addr,
                ProcKey.parse(document.proc_key),
                document.proc_args or [],
                document.proc_envs or [],
                document.proc_work_dir,
                PubKey.parse(document.visor_pk),
                document.routing_port,
                document.binary_loc,
                document.log_db_loc,
                document.log_store_path,
            )
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidValue(f"{PROC_CONFIG} is not what a visor sets: {error}") from None
        except InvalidValue as error:
            raise InvalidValue(f"{PROC_CONFIG} is not what a visor sets: {error}") from error


class _Document(msgspec.Struct):
    app_name: str
    app_server_addr: str
    proc_key: str
    visor_pk: str
    proc_args: list[str] | None = None
    proc_envs: list[str] | None = None
    proc_work_dir: str = ""
    routing_port: int = 0
    binary_loc: str = ""
    log_db_loc: str = ""
    log_store_path: str = ""
