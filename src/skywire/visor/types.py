"""What a visor tells about itself: Go's structs, and their JSON. Source: hypervisor.md §5, §6.2.

An attribute has the name of its JSON key; `Go` has the name on the gob wire. Fields that only newer
nodes (2026) know are marked; older ones skip them. Times are nanoseconds where Go says duration.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID as Uuid

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.wire import gob
from skywire.wire.gob_types import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    TIME,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UUID,
    Go,
    GoTime,
    Marshaller,
    Pointer,
    Slice,
)

STOPPED, RUNNING, ERRORED, STARTING = range(4)  # states of an app


@dataclass(slots=True)
class BuildInfo:
    version: Annotated[str, Go("Version", STRING)] = ""
    commit: Annotated[str, Go("Commit", STRING)] = ""
    date: Annotated[str, Go("Date", STRING)] = ""


@dataclass(slots=True)
class AppConfig:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"args"})

    name: Annotated[str, Go("Name", STRING)] = ""
    binary: Annotated[str, Go("Binary", STRING)] = ""
    args: Annotated[list[str], Go("Args", Slice(STRING))] = field(default_factory=list)
    auto_start: Annotated[bool, Go("AutoStart", BOOL)] = False
    port: Annotated[int, Go("Port", UINT16)] = 0


@dataclass(slots=True)
class AppState:
    """`status` is 0 stopped, 1 running, 2 errored, 3 starting."""

    FLATTEN: ClassVar[str] = "app_config"  # its keys stand beside the others in JSON

    app_config: Annotated[AppConfig, Go("AppConfig", AppConfig)] = field(default_factory=AppConfig)
    status: Annotated[int, Go("Status", INT)] = 0
    detailed_status: Annotated[str, Go("DetailedStatus", STRING)] = ""


class LogEntry(NamedTuple):
    """Bytes through a transport."""

    recv: int = 0
    sent: int = 0

    def dump(self) -> bytes:
        """Two gob streams, one number each; both always, or a Go receiver fails."""
        return gob.encode(UINT64, self.recv) + gob.encode(UINT64, self.sent)

    @classmethod
    def load(cls, raw: bytes) -> "LogEntry":
        recv: int = gob.decode(UINT64, raw)
        # a gob stream of one bare number: its length, one byte, is the first
        return cls(recv, gob.decode(UINT64, raw[raw[0] + 1 :]))


LOG_ENTRY = Marshaller("transport.LogEntry", LogEntry.dump, LogEntry.load, None, gob_encoder=True)


@dataclass(slots=True)
class TransportSummary:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"log", "latency_ms"})

    id: Annotated[Uuid, Go("ID", UUID)] = NULL_UUID
    local_pk: Annotated[PubKey, Go("Local", PUBKEY)] = NULL_KEY
    remote_pk: Annotated[PubKey, Go("Remote", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("Type", STRING)] = ""
    log: Annotated[LogEntry | None, Go("Log", LOG_ENTRY)] = None
    is_setup: Annotated[bool, Go("IsSetup", BOOL)] = False
    label: Annotated[str, Go("Label", STRING)] = ""
    latency_ms: Annotated[float, Go("LatencyMS", FLOAT)] = 0.0  # 2026


@dataclass(slots=True)
class Overview:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        {
            "nat_type",
            "country_code",
            "region_name",
            "city_name",
            "latitude",
            "longitude",
            "hostname",
        }
    )

    local_pk: Annotated[PubKey, Go("PubKey", PUBKEY)] = NULL_KEY
    build_info: Annotated[BuildInfo | None, Go("BuildInfo", Pointer(BuildInfo))] = None
    app_protocol_version: Annotated[str, Go("AppProtoVersion", STRING)] = ""
    apps: Annotated[list[AppState], Go("Apps", Slice(Pointer(AppState)))] = field(
        default_factory=list
    )
    transports: Annotated[
        list[TransportSummary], Go("Transports", Slice(Pointer(TransportSummary)))
    ] = field(default_factory=list)
    routes_count: Annotated[int, Go("RoutesCount", INT)] = 0
    local_ip: Annotated[str, Go("LocalIP", STRING)] = ""
    public_ip: Annotated[str, Go("PublicIP", STRING)] = ""
    is_symmetic_nat: Annotated[bool, Go("IsSymmetricNAT", BOOL)] = False  # sic
    nat_type: Annotated[str, Go("NATType", STRING)] = ""  # 2026, to longitude
    country_code: Annotated[str, Go("CountryCode", STRING)] = ""
    region_name: Annotated[str, Go("RegionName", STRING)] = ""
    city_name: Annotated[str, Go("CityName", STRING)] = ""
    latitude: Annotated[float, Go("Latitude", FLOAT)] = 0.0
    longitude: Annotated[float, Go("Longitude", FLOAT)] = 0.0
    hypervisors: Annotated[list[PubKey], Go("Hypervisors", Slice(PUBKEY))] = field(
        default_factory=list
    )
    connected_hypervisor: Annotated[list[PubKey], Go("ConnectedHypervisor", Slice(PUBKEY))] = field(
        default_factory=list
    )
    hostname: Annotated[str, Go("Hostname", STRING)] = ""  # 2026


@dataclass(slots=True)
class HealthInfo:
    """Each is "healthy", "unhealthy" or "connecting"."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        {"uptime_tracker_health", "autoconnect_health", "transportability_health"}
    )

    services_health: Annotated[str, Go("ServicesHealth", STRING)] = ""
    uptime_tracker_health: Annotated[str, Go("UptimeTrackerHealth", STRING)] = ""  # 2026, all three
    autoconnect_health: Annotated[str, Go("AutoconnectHealth", STRING)] = ""
    transportability_health: Annotated[str, Go("TransportabilityHealth", STRING)] = ""


@dataclass(slots=True)
class RouteDescriptor:
    dst_pk: Annotated[PubKey, Go("DstPK", PUBKEY)] = NULL_KEY
    src_pk: Annotated[PubKey, Go("SrcPK", PUBKEY)] = NULL_KEY
    dst_port: Annotated[int, Go("DstPort", UINT16)] = 0
    src_port: Annotated[int, Go("SrcPort", UINT16)] = 0


@dataclass(slots=True)
class ConsumeFields:
    route_descriptor: Annotated[RouteDescriptor, Go("RouteDescriptor", RouteDescriptor)] = field(
        default_factory=RouteDescriptor
    )


@dataclass(slots=True)
class ForwardFields:
    route_descriptor: Annotated[RouteDescriptor, Go("RouteDescriptor", RouteDescriptor)] = field(
        default_factory=RouteDescriptor
    )
    next_rid: Annotated[int, Go("NextRID", UINT32)] = 0
    next_tid: Annotated[Uuid, Go("NextTID", UUID)] = NULL_UUID


@dataclass(slots=True)
class IntermediaryForwardFields:
    next_rid: Annotated[int, Go("NextRID", UINT32)] = 0
    next_tid: Annotated[Uuid, Go("NextTID", UUID)] = NULL_UUID


@dataclass(slots=True)
class RuleSummary:
    """`rule_type` is 0 consume, 1 forward, 2 intermediary forward; `keep_alive` in ns."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        {"app_fields", "forward_fields", "intermediary_forward_fields"}
    )

    keep_alive: Annotated[int, Go("KeepAlive", DURATION)] = 0
    rule_type: Annotated[int, Go("Type", UINT8)] = 0
    key_route_id: Annotated[int, Go("KeyRouteID", UINT32)] = 0
    app_fields: Annotated[ConsumeFields | None, Go("ConsumeFields", Pointer(ConsumeFields))] = None
    forward_fields: Annotated[ForwardFields | None, Go("ForwardFields", Pointer(ForwardFields))] = (
        None
    )
    intermediary_forward_fields: Annotated[
        IntermediaryForwardFields | None,
        Go("IntermediaryForwardFields", Pointer(IntermediaryForwardFields)),
    ] = None


@dataclass(slots=True)
class RouteRow:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"rule_summary"})

    key: Annotated[int, Go("Key", UINT32)] = 0
    rule: Annotated[str, Go("Rule", STRING)] = ""  # hexadecimal
    rule_summary: Annotated[RuleSummary | None, Go("Summary", Pointer(RuleSummary))] = None


@dataclass(slots=True)
class Hop:
    tp_id: Annotated[str, Go("TpID", STRING)] = ""
    from_: Annotated[str, Go("From", STRING)] = ""
    to: Annotated[str, Go("To", STRING)] = ""
    tp_type: Annotated[str, Go("TpType", STRING)] = ""


@dataclass(slots=True)
class RouteGroupInfo:
    """2026's form, with 2024's two fields, the encoded rules, behind it.

    So either receiver finds what it knows: structs without a common field would be an error (§6.2).
    """

    NOT_JSON: ClassVar[frozenset[str]] = frozenset({"consume_rule", "fwd_rule"})

    consume_rule_id: Annotated[int, Go("ConsumeRuleID", UINT32)] = 0
    fwd_rule_id: Annotated[int, Go("FwdRuleID", UINT32)] = 0
    desc: Annotated[RouteDescriptor, Go("Desc", RouteDescriptor)] = field(
        default_factory=RouteDescriptor
    )
    fwd_next_tp_id: Annotated[str, Go("FwdNextTpID", STRING)] = ""
    initiator: Annotated[bool, Go("Initiator", BOOL)] = False
    hops: Annotated[list[Hop], Go("Hops", Slice(Hop))] = field(default_factory=list)
    consume_rule: Annotated[bytes, Go("ConsumeRule", BYTES)] = b""  # 2024, both
    fwd_rule: Annotated[bytes, Go("FwdRule", BYTES)] = b""


@dataclass(slots=True)
class DmsgStats:
    """How a hypervisor reaches a visor: through which server, and the round trip in ns."""

    public_key: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    server_public_key: Annotated[PubKey, Go("ServerPK", PUBKEY)] = NULL_KEY
    round_trip: Annotated[int, Go("RoundTrip", DURATION)] = 0


@dataclass(slots=True)
class DmsgServer:
    UNITS: ClassVar[dict[str, str]] = {"latency": "ns"}

    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    latency: Annotated[int, Go("Latency", DURATION)] = 0


@dataclass(slots=True)
class PersistentTransport:
    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("NetType", STRING)] = ""


@dataclass(slots=True)
class LoadStats:
    """Load of the machine (§8); a metric that cannot be read is 0."""

    load1: Annotated[float, Go("Load1", FLOAT)] = 0.0
    load5: Annotated[float, Go("Load5", FLOAT)] = 0.0
    load15: Annotated[float, Go("Load15", FLOAT)] = 0.0
    cpu_cores: Annotated[int, Go("CPUCores", INT)] = 0
    mem_used_percent: Annotated[float, Go("MemUsedPercent", FLOAT)] = 0.0
    disk_used_percent: Annotated[float, Go("DiskUsedPercent", FLOAT)] = 0.0


@dataclass(slots=True)
class Summary:
    """Always with an overview: a hypervisor of 2024 does not survive its absence (§4.2)."""

    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        {
            "route_groups",
            "is_hypervisor",
            "hypervisor_addr",
            "connected_dmsg_servers",
            "dmsg_servers",
            "offline_since",
            "last_seen_at",
            "config_version",
            "load",
        }
    )

    overview: Annotated[Overview | None, Go("Overview", Pointer(Overview))] = None
    health: Annotated[HealthInfo | None, Go("Health", Pointer(HealthInfo))] = None
    uptime: Annotated[float, Go("Uptime", FLOAT)] = 0.0  # seconds
    routes: Annotated[list[RouteRow], Go("Routes", Slice(RouteRow))] = field(default_factory=list)
    route_groups: Annotated[list[RouteGroupInfo], Go("RouteGroups", Slice(RouteGroupInfo))] = field(
        default_factory=list
    )  # 2026
    is_hypervisor: Annotated[bool, Go("IsHypervisor", BOOL)] = False
    hypervisor_addr: Annotated[str, Go("HypervisorAddr", STRING)] = ""  # 2026
    dmsg_stats: Annotated[DmsgStats | None, Go("DmsgStats", Pointer(DmsgStats))] = None
    connected_dmsg_servers: Annotated[list[str], Go("ConnectedDmsgServers", Slice(STRING))] = field(
        default_factory=list
    )  # 2026
    dmsg_servers: Annotated[list[DmsgServer], Go("DMSGServers", Slice(DmsgServer))] = field(
        default_factory=list
    )  # 2026
    online: Annotated[bool, Go("Online", BOOL)] = False
    offline_since: Annotated[GoTime | None, Go("OfflineSince", Pointer(TIME))] = None  # 2026
    last_seen_at: Annotated[GoTime | None, Go("LastSeenAt", Pointer(TIME))] = None  # 2026
    min_hops: Annotated[int, Go("MinHops", UINT16)] = 0
    persistent_transports: Annotated[
        list[PersistentTransport], Go("PersistentTransports", Slice(PersistentTransport))
    ] = field(default_factory=list)
    skybian_build_version: Annotated[str, Go("SkybianBuildVersion", STRING)] = ""
    reward_address: Annotated[str, Go("RewardAddress", STRING)] = ""
    build_tag: Annotated[str, Go("BuildTag", STRING)] = ""
    config_version: Annotated[str, Go("ConfigVersion", STRING)] = ""  # 2026
    public_autoconnect: Annotated[bool, Go("PublicAutoconnect", BOOL)] = False
    is_public: Annotated[bool, Go("IsPublic", BOOL)] = False  # 2026
    load: Annotated[LoadStats | None, Go("Load", Pointer(LoadStats))] = None  # 2026


def to_json(value: Any) -> Any:
    """Plain dicts, lists and texts with the keys of Go's JSON. Empty lists stay lists."""
    if isinstance(value, PubKey | Uuid):
        return str(value)
    if isinstance(value, GoTime):
        return rfc3339(value)
    if isinstance(value, LogEntry):
        return value._asdict()
    if isinstance(value, list):
        return [to_json(part) for part in value]
    if isinstance(value, dict):
        return {str(key): to_json(part) for key, part in value.items()}
    if not is_dataclass(value):
        return value
    omit: frozenset[str] = getattr(value, "OMIT_EMPTY", frozenset())
    hidden: frozenset[str] = getattr(value, "NOT_JSON", frozenset())
    flatten: str = getattr(value, "FLATTEN", "")
    divided: dict[str, int] = getattr(value, "DIVIDED", {})  # JSON has another unit there
    result: dict[str, Any] = {}
    for one in fields(value):
        part = getattr(value, one.name)
        if one.name in divided:
            part //= divided[one.name]
        if one.name in hidden:
            continue
        if one.name == flatten:
            result |= to_json(part)
        elif part or isinstance(part, LogEntry) or one.name not in omit:
            result[one.name.removesuffix("_")] = to_json(part)
    return result


def rfc3339(time: GoTime) -> str:
    """In UTC with microseconds; Go's zero time for one that no calendar has."""
    try:
        moment = datetime.fromtimestamp(time.seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "0001-01-01T00:00:00Z"
    moment = moment.replace(microsecond=time.nanoseconds // 1000)
    return moment.isoformat().replace("+00:00", "Z")
