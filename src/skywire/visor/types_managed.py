"""What is told about the visors of a hypervisor. Source: hypervisor.md §6.2, §8."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Self

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.visor.types import LoadStats, Overview, Summary, TransportSummary
from skywire.wire.gob_types import BOOL, FLOAT, INT, PUBKEY, STRING, Go, Pointer, Slice


@dataclass(slots=True)
class HVVisorEntry:
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset(
        {
            "is_local",
            "version",
            "build_tag",
            "local_ip",
            "public_ip",
            "country_code",
            "symmetric_nat",
            "transport_summaries",
            "reward_address",
            "config_version",
            "services_health",
            "hostname",
            "error",
            "proxied_via",
            "uptime_seconds",
            "load",
        }
    )

    pk: Annotated[PubKey, Go("PK", PUBKEY)] = NULL_KEY
    online: Annotated[bool, Go("Online", BOOL)] = False
    is_local: Annotated[bool, Go("IsLocal", BOOL)] = False
    version: Annotated[str, Go("Version", STRING)] = ""
    build_tag: Annotated[str, Go("BuildTag", STRING)] = ""
    uptime_seconds: Annotated[float, Go("Uptime", FLOAT)] = 0.0
    local_ip: Annotated[str, Go("LocalIP", STRING)] = ""
    public_ip: Annotated[str, Go("PublicIP", STRING)] = ""
    country_code: Annotated[str, Go("CountryCode", STRING)] = ""
    symmetric_nat: Annotated[bool, Go("IsSymmetricNAT", BOOL)] = False
    transports: Annotated[int, Go("Transports", INT)] = 0
    transport_summaries: Annotated[
        list[TransportSummary], Go("TransportSummaries", Slice(Pointer(TransportSummary)))
    ] = field(default_factory=list)
    apps: Annotated[int, Go("Apps", INT)] = 0
    reward_address: Annotated[str, Go("RewardAddress", STRING)] = ""
    config_version: Annotated[str, Go("ConfigVersion", STRING)] = ""
    services_health: Annotated[str, Go("ServicesHealth", STRING)] = ""
    hostname: Annotated[str, Go("Hostname", STRING)] = ""
    error: Annotated[str, Go("Error", STRING)] = ""
    proxied_via: Annotated[PubKey | None, Go("ProxiedVia", Pointer(PUBKEY))] = None
    load: Annotated[LoadStats | None, Go("Load", Pointer(LoadStats))] = None

    @classmethod
    def of(cls, pk: PubKey, summary: Summary) -> Self:
        overview = summary.overview or Overview()
        return cls(
            pk,
            online=True,
            version=overview.build_info.version if overview.build_info else "",
            build_tag=summary.build_tag,
            uptime_seconds=summary.uptime,
            local_ip=overview.local_ip,
            public_ip=overview.public_ip,
            country_code=overview.country_code,
            symmetric_nat=overview.is_symmetic_nat,
            transports=len(overview.transports),
            transport_summaries=overview.transports,
            apps=len(overview.apps),
            reward_address=summary.reward_address,
            config_version=summary.config_version,
            services_health=summary.health.services_health if summary.health else "",
            hostname=overview.hostname,
            load=summary.load,
        )


@dataclass(slots=True)
class HVSection:
    """The visors of one hypervisor; `via_chain` are the hypervisors on the way to it."""

    GO_NAME: ClassVar[str] = "HVVisorTreeNode"
    OMIT_EMPTY: ClassVar[frozenset[str]] = frozenset({"via_chain", "sub_error"})

    hypervisor_pk: Annotated[PubKey, Go("HypervisorPK", PUBKEY)] = NULL_KEY
    via_chain: Annotated[list[PubKey], Go("ViaChain", Slice(PUBKEY))] = field(default_factory=list)
    visors: Annotated[list[HVVisorEntry], Go("Visors", Slice(HVVisorEntry))] = field(
        default_factory=list
    )
    sub_error: Annotated[str, Go("SubError", STRING)] = ""


@dataclass(slots=True)
class HVVisorTree:
    sections: Annotated[list[HVSection], Go("Sections", Slice(HVSection))] = field(
        default_factory=list
    )
