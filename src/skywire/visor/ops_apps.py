"""What a visor does with its apps. Source: visor.md §3.2, hypervisor.md §6.1; apps.md §4."""

from typing import TYPE_CHECKING, Annotated

from skywire.appkit.arguments import set_all, set_switch, set_text
from skywire.appkit.types import PROC_KEY, ProcConfig
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.operations import Argument, Cli, operation
from skywire.visor.types import AppState
from skywire.visor.types_apps import (
    AddApp,
    AppStats,
    ConnectionSummary,
    LogsRequest,
    SetAll,
    SetAutoStart,
    SetError,
    SetNetworkInterface,
    SetPassword,
    SetPk,
    SetStatus,
    SetSwitch,
    SetText,
    SetWhitelist,
    StartApp,
)
from skywire.wire.app_hello import ProcKey
from skywire.wire.gob_types import PUBKEY, STRING, Pointer, Slice

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

VPN_CLIENT, VPN_SERVER = "vpn-client", "vpn-server"
SKYSOCKS, SKYSOCKS_CLIENT, SKYCHAT = "skysocks", "skysocks-client", "skychat"
FIRST_ADDRESS_PORT = 1025
MAX_KEY = 256  # characters of a flag's name in a map
Name = Annotated[str, STRING, Argument("NAME")]
States = Annotated[list[AppState], Slice(Pointer(AppState))]
Key = Annotated[bytes, PROC_KEY]


@operation(rpc="Apps", http="GET /visors/{pk}/apps")
async def apps(visor: "Visor") -> States:
    """The apps of the config, and how they are."""
    return visor.apps.states()


@operation(rpc="App", http="GET /visors/{pk}/apps/{app}")
async def app(visor: "Visor", name: Name) -> AppState:
    """One app of the config, and how it is."""
    return visor.apps.state(name)


@operation(rpc="StartApp")
async def start_app(visor: "Visor", request: StartApp | str) -> None:
    """Start an app as the config has it."""
    if isinstance(request, str):
        request = StartApp(request)
    await visor.apps.start(request.name, request.mode)


@operation(rpc="StopApp", cli=Cli("visor app stop", "skychat"))
async def stop_app(visor: "Visor", name: Name) -> None:
    """Ask an app to end; after ten seconds it is ended."""
    await visor.apps.launcher.stop(name)


@operation(rpc="KillApp", cli=Cli("visor app kill", "skychat"))
async def kill_app(visor: "Visor", name: Name) -> None:
    """End an app at once."""
    await visor.apps.launcher.kill(name)


@operation(rpc="RestartApp", cli=Cli("visor app restart", "skychat"))
async def restart_app(visor: "Visor", name: Name) -> None:
    """Stop an app and start it, with the arguments that the config has now."""
    await visor.apps.restart(name)


@operation(
    rpc="AddApp",
    http="POST /visors/{pk}/apps",
    cli=Cli("visor app add", "skysocks-client-2 skywire"),
)
async def add_app(visor: "Visor", request: AddApp) -> None:
    """Add an app to the config, on a free port: NAME, run by the program BINARY in bin_path."""
    visor.apps.add(request.name, request.binary)


@operation(
    rpc="RemoveApp",
    http="DELETE /visors/{pk}/apps/{app}",
    cli=Cli("visor app rm", "skysocks-client-2"),
)
async def remove_app(visor: "Visor", name: Name) -> None:
    """Take an app out of the config; one that runs is stopped first."""
    await visor.apps.remove(name)


@operation(rpc="RegisterApp")
async def register_app(visor: "Visor", config: ProcConfig) -> Key:
    """Let an app connect that this visor has not started; the answer is its key."""
    return await visor.apps.launcher.register(config)


@operation(rpc="DeregisterApp")
async def deregister_app(visor: "Visor", key: Key) -> None:
    """Forget such an app; it may connect no more."""
    visor.apps.launcher.deregister(ProcKey(key))


@operation(rpc="LogsSince")
async def logs_since(visor: "Visor", request: LogsRequest) -> list[str]:
    """What an app has printed and logged since a moment, at most a megabyte."""
    return await visor.apps.logs_since(request.name, request.since)


@operation(rpc="GetAppStats", http="GET /visors/{pk}/apps/{app}/stats")
async def app_stats(visor: "Visor", name: Name) -> AppStats:
    """The streams of an app that runs, and when it was started."""
    return visor.apps.stats(name)


@operation(rpc="GetAppError")
async def app_error(visor: "Visor", name: Name) -> str:
    """What is wrong with an app, in its own words; empty when nothing is."""
    visor.apps.state(name)
    last = visor.apps.launcher.last(name)
    return "" if last is None else last.error


@operation(
    rpc="GetAppConnectionsSummary",
    http="GET /visors/{pk}/apps/{app}/connections",
    cli=Cli("visor app conns", "skychat"),
)
async def app_connections(visor: "Visor", name: Name) -> list[ConnectionSummary]:
    """The streams of an app: are they alive, how fast, how much went through."""
    return visor.apps.connections(name)


@operation(rpc="SetAppDetailedStatus")
async def set_app_status(visor: "Visor", request: SetStatus) -> None:
    """Set what an app that runs says of itself."""
    visor.apps.running(request.name).set_status(request.status)


@operation(rpc="SetAppError")
async def set_app_error(visor: "Visor", request: SetError) -> None:
    """Set what is wrong with an app that runs."""
    visor.apps.running(request.name).set_error(request.error)


# The config


@operation(rpc="SetAutoStart")
async def set_auto_start(visor: "Visor", request: SetAutoStart) -> None:
    """Start an app with the visor, or not."""
    visor.apps.set_auto_start(request.name, request.auto_start)


@operation(rpc="SetAppPassword")
async def set_app_password(visor: "Visor", request: SetPassword) -> None:
    """Set or remove the passcode of a server app, or the one a VPN client gives."""
    _set(visor, request.name, "--passcode", request.secret, SKYSOCKS, VPN_CLIENT, VPN_SERVER)


@operation(rpc="SetAppWhitelist")
async def set_app_whitelist(visor: "Visor", request: SetWhitelist) -> None:
    """Set whose keys a server app lets in; none is everybody."""
    keys = [part.strip() for part in request.whitelist.split(",") if part.strip()]
    text = ",".join(str(PubKey.parse(key)) for key in keys)
    _set(visor, request.name, "--whitelist", text, SKYSOCKS, VPN_SERVER)


@operation(rpc="SetAppNetworkInterface")
async def set_app_network_interface(visor: "Visor", request: SetNetworkInterface) -> None:
    """Set the interface by which a VPN server reaches the internet."""
    _set(visor, request.name, "--netifc", request.interface, VPN_SERVER)


@operation(rpc="SetAppPK")
async def set_app_pk(visor: "Visor", request: SetPk) -> None:
    """Set the server of a client app."""
    server = "" if request.pk.is_null else str(request.pk)
    _set(visor, request.name, "--srv", server, VPN_CLIENT, SKYSOCKS_CLIENT)


@operation(rpc="SetAppKillswitch")
async def set_app_killswitch(visor: "Visor", request: SetSwitch) -> None:
    """Have a VPN client let nothing pass outside the tunnel, even when it is down."""
    found = visor.apps.require(request.name, VPN_CLIENT)
    visor.apps.set_arguments(found.name, set_switch(found.args, "killswitch", request.value))


@operation(rpc="SetAppSecure")
async def set_app_secure(visor: "Visor", request: SetSwitch) -> None:
    """Have a VPN server keep its clients off its own network."""
    found = visor.apps.require(request.name, VPN_SERVER)
    visor.apps.set_arguments(found.name, set_switch(found.args, "secure", request.value))


@operation(rpc="SetAppAddress")
async def set_app_address(visor: "Visor", request: SetText) -> None:
    """Set where skychat has its page: ":port" on this machine only, or "*:port"."""
    host, _, port = request.value.rpartition(":")
    numeric = port.isascii() and port.isdigit() and len(port) <= 5
    if host not in ("", "*") or not numeric or not FIRST_ADDRESS_PORT <= int(port) <= 0xFFFF:
        raise InvalidValue(
            f'address "{request.value[:60]}": expected ":port" or "*:port", '
            f"{FIRST_ADDRESS_PORT} to 65535"
        )
    _set(visor, request.name, "--addr", request.value, SKYCHAT)


@operation(rpc="SetAppDNS")
async def set_app_dns(visor: "Visor", request: SetText) -> None:
    """Set the name server that a VPN client uses while it is connected."""
    _set(visor, request.name, "--dns", request.value, VPN_CLIENT)


@operation(rpc="DoCustomSetting")
async def set_all_arguments(visor: "Visor", request: SetAll) -> None:
    """Replace the arguments of an app by those of a map."""
    found = visor.apps.config(request.name)
    values: list[tuple[str, str | bool]] = []
    for key, value in request.values.items():
        if not isinstance(value, str | bool | int | float) or not 0 < len(key) <= MAX_KEY:
            raise InvalidValue(f'setting "{key[:60]}": expected a text, a number or a switch')
        plain = value if isinstance(value, bool | str) else f"{value:.15g}"
        values.append((key, plain))
    kind = found.args[1] if len(found.args) > 1 and found.args[0] == "app" else found.name
    visor.apps.set_arguments(found.name, set_all(kind, values))


def _set(visor: "Visor", name: str, flag: str, value: str, *kinds: str) -> None:
    found = visor.apps.require(name, *kinds)
    visor.apps.set_arguments(name, set_text(found.args, flag, value))


# VPN and proxy


@operation(rpc="StartVPNClient")
async def start_vpn_client(visor: "Visor", pk: Annotated[PubKey, PUBKEY]) -> None:
    """Connect the VPN to a server, this time only."""
    await visor.apps.start_with(VPN_CLIENT, ["app", VPN_CLIENT, "--srv", str(pk)])


@operation(rpc="StopVPNClient")
async def stop_vpn_client(visor: "Visor", name: Name) -> None:
    """Disconnect the VPN."""
    await visor.apps.launcher.stop(name)


@operation(rpc="StartSkysocksClient")
async def start_skysocks_client(visor: "Visor", pk: str) -> None:
    """Connect the proxy client to a server, this time only; "" is the configured one."""
    if not pk:
        await visor.apps.start(SKYSOCKS_CLIENT)
        return
    server = str(PubKey.parse(pk))
    arguments = ["app", SKYSOCKS_CLIENT, "--srv", server, "--addr", ":1080"]
    await visor.apps.start_with(SKYSOCKS_CLIENT, arguments)


@operation(rpc="StopSkysocksClients")
async def stop_skysocks_clients(visor: "Visor") -> None:
    """Disconnect all proxy clients."""
    await visor.apps.stop_all(SKYSOCKS_CLIENT)
