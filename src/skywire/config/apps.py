"""The apps of a new config. Source: config.md §2, apps.md §1."""

import msgspec

from skywire.config.arguments import with_switch, with_text
from skywire.config.model import AppConfig

PROGRAM = "skywire"  # the apps are commands of it
VPN_CLIENT = "vpn-client"
SKYCHAT = "skychat"
SKYSOCKS = "skysocks"
SKYSOCKS_CLIENT = "skysocks-client"
VPN_SERVER = "vpn-server"


class AppChoices(msgspec.Struct, frozen=True, kw_only=True):
    """ "" and None leave an argument out."""

    dns: str = "1.1.1.1"
    chat_addr: str = ":8001"
    proxy_server_pk: str = ""
    proxy_client: bool = False  # start it with the visor
    proxy_server: bool = True
    proxy_server_passcode: str = ""
    vpn_killswitch: bool | None = None
    vpn_server_pk: str = ""
    vpn_client_passcode: str = ""
    vpn_server: bool = False
    vpn_server_passcode: str = ""
    vpn_server_secure: bool | None = None
    vpn_server_interface: str = ""
    without: tuple[str, ...] = ()  # names
    examples: bool = False


def default_apps(choices: AppChoices) -> tuple[AppConfig, ...]:
    """In Go's order."""
    vpn_client = with_text(_command(VPN_CLIENT), "--dns", choices.dns)
    vpn_client = with_switch(vpn_client, "--killswitch", choices.vpn_killswitch)
    vpn_client = with_text(vpn_client, "--srv", choices.vpn_server_pk)
    vpn_client = with_text(vpn_client, "--passcode", choices.vpn_client_passcode)
    proxy_client = [*_command(SKYSOCKS_CLIENT), "--addr", ":1080"]
    proxy_client = with_text(proxy_client, "--srv", choices.proxy_server_pk)
    proxy_server = with_text(_command(SKYSOCKS), "--passcode", choices.proxy_server_passcode)
    vpn_server = with_text(_command(VPN_SERVER), "--passcode", choices.vpn_server_passcode)
    vpn_server = with_text(vpn_server, "--netifc", choices.vpn_server_interface)
    vpn_server = with_switch(vpn_server, "--secure", choices.vpn_server_secure)
    chat = [*_command(SKYCHAT), "--addr", choices.chat_addr]
    apps = [
        _app(VPN_CLIENT, vpn_client, 43, start=False),
        _app(SKYCHAT, chat, 1, start=True),
        _app(SKYSOCKS, proxy_server, 3, start=choices.proxy_server),
        _app(SKYSOCKS_CLIENT, proxy_client, 13, start=choices.proxy_client),
        _app(VPN_SERVER, vpn_server, 44, start=choices.vpn_server),
    ]
    if choices.examples:
        apps.append(AppConfig(name="example-server-app", port=45))
    return tuple(app for app in apps if app.name not in choices.without)


def _command(name: str) -> list[str]:
    return ["app", name]


def _app(name: str, arguments: list[str], port: int, *, start: bool) -> AppConfig:
    return AppConfig(name=name, binary=PROGRAM, args=arguments, auto_start=start, port=port)
