"""`skywire cli visor app|proxy|vpn` and `skywire app`: what is asked, printed, refused."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import NULL_KEY
from skywire.errors import Conflict, NotFound
from skywire.visor import ops_apps, ops_info
from skywire.visor.ports_shown import PortDetail
from skywire.visor.types import AppConfig, AppState, Overview
from skywire.visor.types_apps import (
    ERRORED,
    RUNNING,
    STARTING,
    STOPPED,
    AddApp,
    ConnectionSummary,
    LogsRequest,
    SetAll,
    SetAutoStart,
    SetNetworkInterface,
    SetPassword,
    SetPk,
    SetSwitch,
    SetText,
    SetWhitelist,
    StartApp,
)
from skywire.wire.gob_types import GoTime
from tests.cli.test_visor_words import Cli

PK = deterministic_key_pair(b"server")[0]
KEY = bytes(range(16))
CLIENT = AppConfig(
    "skysocks-client", "skywire", ["app", "skysocks-client", "--srv", str(PK), "--addr", ":1080"]
)


def state(name: str, status: int = RUNNING, text: str = "Running", *args: str) -> AppState:
    return AppState(AppConfig(name, "skywire", list(args), True, 44), status, text)


def test_the_apps_are_listed() -> None:
    cli = Cli({ops_apps.apps: [state("skychat"), state("x", ERRORED, "broken")]})
    assert cli.json("visor app ls") == [
        {
            "app": "skychat",
            "port": 44,
            "auto_start": True,
            "status": "running",
            "detailed_status": "Running",
        },
        {
            "app": "x",
            "port": 44,
            "auto_start": True,
            "status": "errored",
            "detailed_status": "broken",
        },
    ]
    lines = cli.text("visor app").splitlines()
    assert lines[0].split() == ["app", "port", "auto_start", "status", "detailed_status"]
    assert lines[2].split()[3:] == ["errored", "broken"]
    assert Cli({ops_apps.apps: []}).text("visor app ls") == "no apps in the visor's config\n"


@pytest.mark.parametrize(
    ("words", "function", "argument"),
    [
        ("start skychat", ops_apps.start_app, StartApp("skychat")),
        ("start skychat --internal", ops_apps.start_app, StartApp("skychat", "internal")),
        ("start skychat --external", ops_apps.start_app, StartApp("skychat", "external")),
        ("stop skychat", ops_apps.stop_app, "skychat"),
        ("kill skychat", ops_apps.kill_app, "skychat"),
        ("restart skychat", ops_apps.restart_app, "skychat"),
        ("add two skywire", ops_apps.add_app, AddApp("two", "skywire")),
        (f"deregister -k {KEY.hex()}", ops_apps.deregister_app, KEY),
        ("arg autostart a true", ops_apps.set_auto_start, SetAutoStart("a", True)),
        ("arg killswitch a false", ops_apps.set_app_killswitch, SetSwitch("a", False)),
        ("arg secure a true", ops_apps.set_app_secure, SetSwitch("a", True)),
        ("arg passcode a code", ops_apps.set_app_password, SetPassword("a", "code")),
        ("arg passcode a remove", ops_apps.set_app_password, SetPassword("a", "")),
        ("arg netifc a eth0", ops_apps.set_app_network_interface, SetNetworkInterface("a", "eth0")),
        (f"arg pk a {PK}", ops_apps.set_app_pk, SetPk("a", PK)),
        ("arg pk a remove", ops_apps.set_app_pk, SetPk("a", NULL_KEY)),
        ("arg dns a 1.1.1.1", ops_apps.set_app_dns, SetText("a", "1.1.1.1")),
        ("arg address a *:8001", ops_apps.set_app_address, SetText("a", "*:8001")),
        (f"arg whitelist a {PK}", ops_apps.set_app_whitelist, SetWhitelist("a", str(PK))),
        ("arg whitelist a remove", ops_apps.set_app_whitelist, SetWhitelist("a", "")),
    ],
)
def test_what_has_no_result_says_ok(words: str, function: Any, argument: Any) -> None:
    cli = Cli({function: None})
    assert cli.text(f"visor app {words}") == "OK\n"
    assert cli.json(f"visor app {words}") == "OK"
    assert [asked for _, asked in cli.asked] == [argument, argument]


def test_a_refusal_has_the_visors_words() -> None:
    cli = Cli({ops_apps.start_app: Conflict("app already started")})
    result = cli("visor app start skychat")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: app already started\n"


@pytest.mark.parametrize(
    "words",
    [
        "visor app arg autostart a maybe",
        "visor app arg whitelist a nokey",
        "visor app arg pk a nokey",
        "visor app deregister -k short",
        "visor app log a yesterday",
        "proxy start --addr :1",
        "proxy stop",
        "proxy stop --all --name x",
        f"vpn start {PK} --internal",
    ],
)
def test_bad_usage_is_refused_before_anybody_is_asked(words: str) -> None:
    cli = Cli({})
    assert cli(words).exit_code == 2
    assert cli.asked == []


def test_register_prints_the_key() -> None:
    cli = Cli({ops_apps.register_app: KEY})
    assert cli.text("visor app register -a mine -p /somewhere") == f"{KEY.hex()}\n"
    ((_, asked),) = cli.asked
    assert (asked.app_name, asked.proc_work_dir) == ("mine", "/somewhere/mine")
    assert asked.log_db_loc == "/somewhere/mine_log.db"
    assert any(asked.proc_key)


def test_log_prints_lines_as_they_are() -> None:
    lines = ["[t1] DEBUG x\n", "[t2] DEBUG y\n"]
    cli = Cli({ops_apps.logs_since: lines})
    assert cli.text("visor app log a") == "".join(lines)
    assert cli.json("visor app log a 2026-06-12T08:00:00.5+02:00") == lines
    begin = GoTime(1_781_244_000, 500_000_000)
    assert [asked for _, asked in cli.asked] == [
        LogsRequest(GoTime(0), "a"),
        LogsRequest(begin, "a"),
    ]
    assert Cli({ops_apps.logs_since: []}).text("visor app log a beginning") == "no logs\n"


def test_args_and_conns() -> None:
    cli = Cli({ops_apps.app: AppState(CLIENT)})
    assert cli.json("visor app args skysocks-client") == CLIENT.args
    assert cli.text("visor app args skysocks-client") == " ".join(CLIENT.args) + "\n"
    held = [ConnectionSummary(True, 5_000_000, 1, 2, 3, 4, "", 6)]
    (found,) = Cli({ops_apps.app_connections: held}).json("visor app conns x")
    assert (found["latency"], found["connection_duration"]) == (5, 6)


# Proxy


def proxy(status: int = STOPPED) -> dict[Any, Any]:
    return {
        ops_apps.apps: [AppState(CLIENT, status), state("skychat")],
        ops_apps.app: AppState(CLIENT, RUNNING, "Running"),
        ops_apps.set_all_arguments: None,
        ops_apps.start_app: None,
        ops_apps.stop_app: None,
        ops_apps.add_app: None,
        ops_apps.kill_app: None,
    }


def test_a_proxy_is_set_up_and_waited_for() -> None:
    cli = Cli(proxy())
    found = cli.json(f"proxy start {PK} --http :8080")
    assert (found["status"], found["server"], found["address"]) == ("running", str(PK), ":1080")
    arguments = {"app": "skysocks-client", "--srv": str(PK), "--addr": ":1080", "--http": ":8080"}
    assert cli.asked[1:] == [
        ("DoCustomSetting", SetAll("skysocks-client", arguments)),
        ("StartApp", StartApp("skysocks-client")),
        ("App", "skysocks-client"),
    ]


def test_one_that_runs_is_stopped_first_and_a_new_one_added() -> None:
    cli = Cli(proxy(RUNNING))
    assert cli.text("proxy start") == "running\n"
    assert [name for name, _ in cli.asked] == ["Apps", "StopApp", "StartApp", "App"]
    cli = Cli(proxy())
    cli.text(f"proxy start -k {PK} -n second")
    assert cli.asked[1] == ("AddApp", AddApp("second", "skywire"))
    cli = Cli(proxy())
    result = cli("proxy start -n third")
    assert result.exit_code == 2
    assert "no server in the config" in result.stderr


def test_one_that_fails_says_why_and_one_that_hangs_is_ended() -> None:
    cli = Cli(proxy() | {ops_apps.app: AppState(CLIENT, ERRORED, "no route")})
    result = cli("proxy start")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("Error: skysocks-client: no route\n")
    cli = Cli(proxy() | {ops_apps.app: AppState(CLIENT, STARTING, "Starting")})
    result = cli("proxy start -t 0.1")
    assert result.exit_code == 1
    assert "not running after 0.1 s; stopped" in result.stderr
    assert cli.asked[-1] == ("KillApp", "skysocks-client")


def test_proxy_status_and_stop() -> None:
    cli = Cli(proxy() | {ops_apps.stop_skysocks_clients: None})
    (row,) = cli.json("proxy status")
    assert row["args"] == CLIENT.args
    assert str(PK) in cli.text("proxy status")
    assert cli.text("proxy stop --all") == "OK\n"
    assert cli.text("proxy stop --name skysocks-client") == "OK\n"
    assert [name for name, _ in cli.asked[-2:]] == ["StopSkysocksClients", "StopApp"]


@pytest.mark.parametrize(("group", "app"), [("proxy", "skysocks"), ("vpn", "vpn-server")])
def test_servers(group: str, app: str) -> None:
    answers = {
        ops_apps.app: state(app),
        ops_apps.set_app_whitelist: None,
        ops_apps.start_app: None,
        ops_apps.stop_app: None,
    }
    cli = Cli(answers)
    assert cli.json(f"{group} server start -w {PK}")["app"] == app
    assert cli.asked[:2] == [
        ("SetAppWhitelist", SetWhitelist(app, str(PK))),
        ("StartApp", StartApp(app)),
    ]
    assert cli.text(f"{group} server status") == "running (Running)\n"
    assert cli.text(f"{group} server stop") == "OK\n"
    assert cli.asked[-1] == ("StopApp", app)


# VPN


def test_vpn() -> None:
    answers = {
        ops_apps.app: state("vpn-client", RUNNING, "Running", "app", "x", "--srv", str(PK)),
        ops_apps.start_vpn_client: None,
        ops_apps.start_app: None,
        ops_apps.stop_vpn_client: None,
        ops_info.overview: Overview(local_pk=PK),
        ops_info.ports: {"hypervisor": PortDetail("8000", "TCP")},
    }
    cli = Cli(answers)
    assert cli.json(f"vpn start {PK}")["status"] == "running"
    assert cli.text("vpn start") == "running\n"
    assert [cli.asked[0], cli.asked[2]] == [
        ("StartVPNClient", PK),
        ("StartApp", StartApp("vpn-client")),
    ]
    assert cli.json("vpn status") == {
        "status": "running",
        "detailed_status": "Running",
        "server": str(PK),
    }
    assert cli.text("vpn stop") == "OK\n"
    assert cli.asked[-1] == ("StopVPNClient", "vpn-client")
    assert cli.text("vpn url") == f"http://127.0.0.1:8000/#/vpn/{PK}/\n"
    result = Cli({ops_apps.app: NotFound("app not found")})("vpn status")
    assert (result.exit_code, result.stderr) == (1, "Error: app not found\n")


# skywire app


def test_the_program_of_apps_says_what_there_is() -> None:
    run = CliRunner().invoke
    assert "example-server-app" in run(root, ["app"]).stdout
    assert "--network" in run(root, ["app", "example-server-app", "--help"]).stdout
    alone = run(root, ["app", "example-server-app"])
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "PROC_CONFIG is not set" in alone.stderr
    assert run(root, ["app", "nobody"]).exit_code == 1
    wrong = run(root, ["app", "example-server-app", "--x"])
    assert (wrong.exit_code, "--network" in wrong.stderr) == (2, True)
    broken = run(root, ["app", "example-server-app"], env={"PROC_CONFIG": '{"proc_key":"hush"}'})
    assert broken.exit_code == 2
    assert "hush" not in broken.stderr


def test_shapes_are_shown_without_a_visor() -> None:
    found = CliRunner().invoke(root, ["cli", "proxy", "status", "--shape"]).stdout
    assert json.loads(found)["output"][0]["app_port"] == "number"
