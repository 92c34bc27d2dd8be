"""Every RPC method of the specification is served. Source: visor.md §3.2, hypervisor.md §6."""

from typing import NamedTuple

import pytest

from skywire.operations import operations
from skywire.visor.go_types import go_type, go_types
from skywire.visor.rpc import OPERATIONS
from skywire.wire.gob_types import Array, GoTypes, Map, Pointer, Slice, spelling, struct_type

NONE = "struct {}"


class Listed(NamedTuple):
    """Argument and answer as Go spells them; an argument may have two forms.

    A struct is spelled by its fields, which are what counts on the wire; large ones are named, and
    tested elsewhere.
    """

    argument: str
    answer: str = NONE


NAMED = {
    "AppState",
    "ConnectionSummary",
    "HVVisorEntry",
    "HVVisorTree",
    "HealthInfo",
    "LoadStats",
    "Overview",
    "RouteGroupInfo",
    "Summary",
    "TransportSummary",
}
PROC_CONFIG = (
    "{AppName string, AppSrvAddr string, ProcKey appcommon.ProcKey, ProcArgs []string, "
    "ProcEnvs []string, ProcWorkDir string, VisorPK cipher.PubKey, RoutingPort uint16, "
    "BinaryLoc string, LogDBLoc string, LogStorePath string}"
)
ADD_TRANSPORT = (
    "{RemotePK cipher.PubKey, TpType string, Timeout time.Duration, "
    "Label string, NoRegister bool, SkipLatencyProbe bool}"
)
HV_ADD_TRANSPORT = (
    "{PK cipher.PubKey, Remote cipher.PubKey, TpType string, Label string, Timeout time.Duration}"
)
ENTRY = "{ID uuid.UUID, Edges [2]cipher.PubKey, Type string, Label string}"
PING = "{PK cipher.PubKey, Tries int, PcktSize int, PubVisCount int}"
HEALTH = (
    "{Name string, URL string, Status string, Version string, Error string, "
    "LatencyMS float64, Transport string}"
)

# visor.md §3.2: the complete list of 2024
OF_2024 = {
    "Overview": Listed(NONE, "Overview"),
    "Summary": Listed(NONE, "Summary"),
    "Health": Listed(NONE, "HealthInfo"),
    "Uptime": Listed(NONE, "float64"),
    "Reload": Listed(NONE),
    "Shutdown": Listed(NONE),
    "SetRewardAddress": Listed("string", "string"),
    "GetRewardAddress": Listed(NONE, "string"),
    "DeleteRewardAddress": Listed(NONE),
    "LogsSince": Listed("{TimeStamp time.Time, AppName string}", "[]string"),
    "App": Listed("string", "AppState"),
    "Apps": Listed(NONE, "[]*AppState"),
    "StartApp": Listed("{AppName string, LauncherMode string} | string"),
    "StopApp": Listed("string"),
    "KillApp": Listed("string"),
    "RestartApp": Listed("string"),
    "AddApp": Listed("{AppName string, BinaryName string}"),
    "RegisterApp": Listed(PROC_CONFIG, "appcommon.ProcKey"),
    "DeregisterApp": Listed("appcommon.ProcKey"),
    "SetAppDetailedStatus": Listed("{AppName string, Status string}"),
    "SetAppError": Listed("{AppName string, Err string}"),
    "SetAutoStart": Listed("{AppName string, AutoStart bool}"),
    "SetAppPassword": Listed("{AppName string, Password string}"),
    "SetAppNetworkInterface": Listed("{AppName string, NetIfc string}"),
    "SetAppPK": Listed("{AppName string, PK cipher.PubKey}"),
    "SetAppKillswitch": Listed("{AppName string, Val bool}"),
    "SetAppSecure": Listed("{AppName string, Val bool}"),
    "SetAppAddress": Listed("{AppName string, Val string}"),
    "DoCustomSetting": Listed("{AppName string, Val map[string]interface {}}"),
    "GetAppStats": Listed("string", "{Connections []ConnectionSummary, StartTime *time.Time}"),
    "GetAppError": Listed("string", "string"),
    "GetAppConnectionsSummary": Listed("string", "[]ConnectionSummary"),
    "StartVPNClient": Listed("cipher.PubKey"),
    "StopVPNClient": Listed("string"),
    "StartSkysocksClient": Listed("string"),
    "StopSkysocksClients": Listed(NONE),
    "FetchUptimeTrackerData": Listed("string", "[]uint8"),
    "VPNServers": Listed("{Version string, Country string}", "[]servicedisc.Service"),
    "ProxyServers": Listed("{Version string, Country string}", "[]servicedisc.Service"),
    "TransportTypes": Listed(NONE, "[]string"),
    "Transports": Listed(
        "{FilterTypes []string, FilterPubKeys []cipher.PubKey, ShowLogs bool}",
        "[]*TransportSummary",
    ),
    "Transport": Listed("uuid.UUID", "TransportSummary"),
    "AddTransport": Listed(ADD_TRANSPORT, "TransportSummary"),
    "RemoveTransport": Listed("uuid.UUID"),
    "RemoveAllTransports": Listed(NONE),
    "DiscoverTransportsByPK": Listed("cipher.PubKey", f"[]*{ENTRY}"),
    "DiscoverTransportByID": Listed("uuid.UUID", ENTRY),
    "RoutingRules": Listed(NONE, "[][]uint8"),
    "RoutingRule": Listed("uint32", "[]uint8"),
    "SaveRoutingRule": Listed("[]uint8"),
    "RemoveRoutingRule": Listed("uint32"),
    "RouteGroups": Listed(NONE, "[]RouteGroupInfo"),
    "SetMinHops": Listed("uint16"),
    "GetPersistentTransports": Listed(NONE, "[]{PK cipher.PubKey, NetType string}"),
    "SetPersistentTransports": Listed("[]{PK cipher.PubKey, NetType string}"),
    "SetPublicAutoconnect": Listed("bool"),
    "RemoteVisors": Listed(NONE, "[]string"),
    "Ports": Listed(NONE, "map[string]{Port string, Type string}"),
    "IsDMSGClientReady": Listed(NONE, "bool"),
    "RegisterHTTPPort": Listed("int"),
    "DeregisterHTTPPort": Listed("int"),
    "ListHTTPPorts": Listed(NONE, "[]int"),
    "Connect": Listed("{RemotePK cipher.PubKey, RemotePort int, LocalPort int}", "uuid.UUID"),
    "Disconnect": Listed("uuid.UUID"),
    "List": Listed(NONE, "map[uuid.UUID]*{ID uuid.UUID, LocalPort int, RemotePort int}"),
    "DialPing": Listed(PING),
    "Ping": Listed(PING, "[]time.Duration"),
    "StopPing": Listed("cipher.PubKey"),
    "TestVisor": Listed(PING, "[]{PK string, Max string, Min string, Mean string, Status string}"),
}

# visor.md §3.2: clients of 2024 have stubs for these
STUBS_OF_2024 = {
    "RuntimeLogs": Listed(NONE, "string"),
    "SetAppDNS": Listed("{AppName string, Val string}"),
    "GetLogRotationInterval": Listed(NONE, "time.Duration"),
    "SetLogRotationInterval": Listed("time.Duration"),
}

# hypervisor.md §6.1, §6.2
OF_2026 = {
    "SetAppWhitelist": Listed("{AppName string, Whitelist string}"),
    "AddPtyWhitelist": Listed("[]cipher.PubKey"),
    "AddHypervisor": Listed("cipher.PubKey"),
    "HostStats": Listed(NONE, "LoadStats"),
    "HVListVisors": Listed(NONE, "[]HVVisorEntry"),
    "HVListDirectVisors": Listed(NONE, "[]HVVisorEntry"),
    "HVListVisorsTree": Listed(NONE, "HVVisorTree"),
    "HVVisorSummary": Listed("cipher.PubKey", "Summary"),
    "HVStartApp": Listed("{PK cipher.PubKey, AppName string}"),
    "HVStopApp": Listed("{PK cipher.PubKey, AppName string}"),
    "HVSetAutoStart": Listed("{PK cipher.PubKey, AppName string, Autostart bool}"),
    "HVSetMinHops": Listed("{PK cipher.PubKey, Hops uint16}"),
    "HVSetRewardAddress": Listed("{PK cipher.PubKey, Addr string}", "string"),
    "HVAddTransport": Listed(HV_ADD_TRANSPORT, "TransportSummary"),
    "HVRemoveTransport": Listed("{PK cipher.PubKey, TID uuid.UUID}"),
    "HVRemoveRoutingRule": Listed("{PK cipher.PubKey, Key uint32}"),
    "HVSetPublicAutoconnect": Listed("{PK cipher.PubKey, Enable bool}"),
    "HVSetCalculateRoutes": Listed("{PK cipher.PubKey, Enable bool}"),
    "HVSetMuxRoutes": Listed("{PK cipher.PubKey, N int}"),
    "HVSetDmsgSessionsCount": Listed("{PK cipher.PubKey, Count int}"),
    "HVLogsSince": Listed("{PK cipher.PubKey, Since time.Time, AppName string}", "[]string"),
    "HVReload": Listed("cipher.PubKey"),
    "HVShutdown": Listed("cipher.PubKey"),
    "HVServiceHealth": Listed("cipher.PubKey", f"[]{HEALTH}"),
    "HVDmsgSessions": Listed("cipher.PubKey", "[]{PK cipher.PubKey, Latency time.Duration}"),
    "HVDmsgConnectAll": Listed("cipher.PubKey"),
}
REFERENCE = OF_2024 | STUBS_OF_2024 | OF_2026

SERVED = {known.rpc: known for known in operations()}


def test_every_method_of_the_reference_is_served() -> None:
    assert len(OPERATIONS) == len({module.__name__ for module in OPERATIONS})
    assert REFERENCE.keys() - SERVED.keys() == set()


def test_no_two_operations_have_one_name() -> None:
    assert len({known.name for known in operations()}) == len(operations())


def test_every_operation_says_what_it_does() -> None:
    for known in operations():
        assert known.help.partition("\n")[0].endswith("."), known.name


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_argument_and_answer_have_the_types_of_the_reference(name: str) -> None:
    listed, known = REFERENCE[name], SERVED[name]
    assert spelled(go_types(known.request)) == listed.argument
    assert spelled(go_type(known.answer)) == listed.answer


def spelled(kinds: GoTypes) -> str:
    match kinds:
        case tuple():
            return " | ".join(map(spelled, kinds))
        case Pointer(target=target):
            return f"*{spelled(target)}"
        case Slice(elem=elem):
            return f"[]{spelled(elem)}"
        case Array(elem=elem, length=length) if not kinds.name:
            return f"[{length}]{spelled(elem)}"
        case Map(key=key, value=value):
            return f"map[{spelled(key)}]{spelled(value)}"
        case type() if spelling(kinds) not in NAMED:
            fields = struct_type(kinds).fields
            return f"{{{', '.join(f'{one.name} {spelled(one.type)}' for one in fields)}}}"
    return spelling(kinds)
