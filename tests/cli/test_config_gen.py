"""`skywire cli config gen`."""

import json
import stat
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli.config_gen_options import SECTIONS
from skywire.cli.main import root
from skywire.config.deployment import TEST, deployment
from skywire.config.environment import VARIABLES
from skywire.config.load import ConfigFile
from skywire.config.model import VisorConfig
from skywire.config.setup import RouteSetupConfig
from skywire.config.setup import read as read_setup
from skywire.crypto.generate import deterministic_key_pair

PK, SK, _ = deterministic_key_pair(b"config")
OTHER, _, _ = deterministic_key_pair(b"other")
THIRD, _, _ = deterministic_key_pair(b"third")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("SKYENV", "SKYDEPLOY", "SKYWIRETEST"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(root, ["cli", "config", "gen", *arguments])
    return result.exit_code, result.stdout, result.stderr


def made(*arguments: str) -> VisorConfig:
    """The config that is printed."""
    code, out, err = run("-n", *arguments)
    assert code == 0, err
    return ConfigFile(out, "printed").config


def args_of(config: VisorConfig, name: str) -> list[str]:
    return next(app.args for app in config.launcher.apps if app.name == name)


def test_a_config_is_written_for_its_owner_only() -> None:
    code, out, err = run("--json")
    path = Path("skywire-config.json")
    file = ConfigFile.load(path)
    assert (code, err) == (0, "")
    assert json.loads(out)["output"] == {
        "file": "skywire-config.json",
        "pk": str(file.config.pk),
        "backup": "",
        "hypervisor": False,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not file.new_key
    assert path.read_text().startswith('{\n  "version": "v1.3.29",\n  "sk": "')
    assert list(file.document)[3:6] == ["dmsg", "dmsgpty", "skywire-tcp"]
    assert "hypervisor" not in file.document


def test_the_services_are_told_both_ways_one_way_or_the_other() -> None:
    known = deployment()
    both, on_dmsg, http = made(), made("-d"), made("--http")
    assert both.transport.discovery == known.transport_discovery
    assert both.transport.discovery_dmsg == known.transport_discovery_dmsg
    assert both.conf_service_dmsg == known.conf_dmsg
    assert both.dmsg.servers == []
    assert on_dmsg.dmsg.discovery == known.dmsg_discovery_dmsg
    assert on_dmsg.routing.route_finder == known.route_finder_dmsg
    assert (on_dmsg.dmsg.discovery_dmsg, len(on_dmsg.dmsg.servers)) == ("", 8)
    assert http.launcher.service_discovery == known.service_discovery
    assert http.launcher.service_discovery_dmsg == ""
    assert len(both.routing.route_setup_nodes) == 2
    assert len(both.transport.transport_setup) == 10
    assert len(both.survey_whitelist) == 7
    assert made("-t").dmsg.discovery == deployment(TEST).dmsg_discovery


def test_every_option_has_its_place_in_the_config() -> None:
    config = made(
        *("-s", SK.hex(), "-j", f"{OTHER},{THIRD}", "--dmsgpty", str(OTHER)),
        *("--survey", str(OTHER), "--routesetup", str(OTHER), "--tpsetup", str(OTHER)),
        *("--minsess", "0", "--stcpr", "7001", "--sudph", "7002", "--minhops", "2"),
        *("--cliaddr", "127.0.0.1:4000", "--stun", "stun.example:3478", "--loglvl", "DEBUG"),
        *("--shutdown", "3s", "--version", "v1.9.9", "--binpath", "/opt/bin", "-y", "-z", "-l"),
        *("--persistent", "-i", "-e", "--hvaddr", "127.0.0.1:9000"),
        *("--ptysock", "pty.sock", "--stcpaddr", "127.0.0.1:7001", "--appaddr", "localhost:5506"),
    )
    assert config.pty is not None
    assert config.skywire_tcp is not None
    assert config.pty.cli_address == "pty.sock"
    assert config.skywire_tcp.listening_address == "127.0.0.1:7001"
    assert config.launcher.server_addr == "localhost:5506"
    assert (config.sk, config.pk, config.version) == (SK, PK, "v1.9.9")
    assert config.hypervisors == [OTHER, THIRD]
    assert config.pty is not None
    assert (config.pty.whitelist, config.pty.persistent_sessions) == ([OTHER], True)
    assert config.survey_whitelist[-1] == config.routing.route_setup_nodes[-1] == OTHER
    assert config.transport.transport_setup[-1] == OTHER
    assert config.dmsg.sessions_count == 0
    assert (config.transport.stcpr_port, config.transport.sudph_port) == (7001, 7002)
    assert config.routing.min_hops == 2
    assert (config.cli_addr, config.stun_servers) == ("127.0.0.1:4000", ["stun.example:3478"])
    assert (config.log_level, float(config.shutdown_timeout)) == ("debug", 3)
    assert (config.launcher.bin_path, config.launcher.display_node_ip) == ("/opt/bin", True)
    assert (config.transport.public_autoconnect, config.is_public) == (False, True)
    assert config.hypervisor is not None
    assert (config.hypervisor.enable_auth, config.hypervisor.http_addr.port) == (True, 9000)
    assert len(config.hypervisor.cookies.hash_key) == 128
    assert len(config.hypervisor.cookies.block_key) == 64


def test_the_apps_are_the_references() -> None:
    config = made("-m")
    assert [(app.name, app.port, app.auto_start) for app in config.launcher.apps] == [
        ("vpn-client", 43, False),
        ("skychat", 1, True),
        ("skysocks", 3, True),
        ("skysocks-client", 13, False),
        ("vpn-server", 44, False),
        ("example-server-app", 45, False),
    ]
    assert args_of(config, "skychat") == ["app", "skychat", "--addr", ":8001"]
    assert args_of(config, "vpn-client") == ["app", "vpn-client", "--dns", "1.1.1.1"]
    assert args_of(config, "example-server-app") == []


def test_options_of_the_apps() -> None:
    config = made(
        *("--proxyclientpk", str(OTHER), "--startproxyclient", "--noproxyserver"),
        *("--proxyserverpass", "p1", "--killsw", "--addvpn", str(OTHER), "--vpnpass", "p2", "-v"),
        *("--vpnserverpass", "p3", "--secure", "false", "--netifc", "eth0", "-g", "skychat"),
        *("--chataddr", ":8002"),
    )
    starts = {app.name: app.auto_start for app in config.launcher.apps}
    assert starts == {
        "vpn-client": False,
        "skysocks": False,
        "skysocks-client": True,
        "vpn-server": True,
    }
    assert args_of(config, "skysocks")[2:] == ["--passcode", "p1"]
    assert args_of(config, "skysocks-client")[2:] == ["--addr", ":1080", "--srv", str(OTHER)]
    assert args_of(config, "vpn-client")[4:] == [
        "--killswitch=true",
        "--srv",
        str(OTHER),
        "--passcode",
        "p2",
    ]
    assert args_of(config, "vpn-server")[2:] == [
        "--passcode",
        "p3",
        "--netifc",
        "eth0",
        "--secure=false",
    ]
    assert args_of(made("--chataddr", ":8002"), "skychat")[3] == ":8002"


def test_a_passcode_that_no_app_takes_is_not_written() -> None:
    code, out, err = run("-n", "--proxyclientpass", "p1")
    assert (code, "p1" in out) == (0, False)
    assert "SOCKS user or password" in err


def test_ones_own_key_as_hypervisor_runs_one() -> None:
    config = made("-s", SK.hex(), "-j", f"{PK} {OTHER}")
    assert config.hypervisors == [OTHER]
    assert config.hypervisor is not None


def test_places_of_a_package_and_of_a_user() -> None:
    pkg, user = made("-p", "-i"), made("-u")
    assert (pkg.local_path, pkg.launcher.bin_path) == ("/opt/skywire/local", "/opt/skywire/bin")
    assert pkg.transport.log_store.location == "/opt/skywire/local/transport_logs"
    assert pkg.hypervisor is not None
    assert (pkg.hypervisor.db_path, pkg.hypervisor.enable_auth) == ("/opt/skywire/users.db", True)
    assert user.local_path.endswith("/home/.skywire/local")
    assert user.hypervisor is not None
    assert user.hypervisor.enable_auth
    assert made("-p", "-k", "win").local_path == "C:/Program Files/Skywire/local"
    assert made("-p", "-i", "-c").hypervisor != pkg.hypervisor
    Path("home").mkdir()
    assert run("-u")[0] == 0
    assert Path("home/skywire-config.json").exists()


def test_a_file_that_is_there_stays() -> None:
    run()
    before = Path("skywire-config.json").read_bytes()
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "Specify the '-r --regen' flag" in err
    assert Path("skywire-config.json").read_bytes() == before
    assert run("-n")[0] == 0


def test_a_new_file_keeps_the_key_and_what_it_is_told_to() -> None:
    run("-s", SK.hex(), "-j", str(OTHER), "--dmsgpty", str(OTHER), "-t")
    code, _, err = run("-r", "-x", "-j", str(THIRD))
    file = ConfigFile.load("skywire-config.json").config
    assert (code, file.sk) == (0, SK)
    assert "skywire-config.json.bak" in err
    assert file.hypervisors == [THIRD, OTHER]
    assert file.pty is not None
    assert file.pty.whitelist == [OTHER]
    assert file.dmsg.discovery == deployment().dmsg_discovery
    assert ConfigFile.load("skywire-config.json.bak").config.hypervisors == [OTHER]
    run("-r")
    assert ConfigFile.load("skywire-config.json").config.hypervisors == []


def test_a_file_may_be_replaced_with_its_key_and_a_copy_stays() -> None:
    run("-s", SK.hex())
    assert run("-f")[0] == 0
    assert ConfigFile.load("skywire-config.json").config.sk != SK
    assert ConfigFile.load("skywire-config.json.bak").config.sk == SK


@pytest.mark.parametrize("text", ["{", '{"prod": {}}', "{}"])
def test_no_key_is_kept_of_what_is_no_config(text: str) -> None:
    Path("skywire-config.json").write_text(text)
    code, _, err = run("-r")
    assert code == 2
    assert "skywire-config.json" in err
    assert Path("skywire-config.json").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "-u"], "-p and -u exclude"),
        (["-c", "-e"], "-c and -e exclude"),
        (["-r", "-f"], "-f and -r exclude"),
        (["-d", "--http"], "exclude"),
        (["-x"], "-x needs -r"),
        (["-N"], "-N needs -n"),
        (["-j", "02ab"], "66 hexadecimal"),
        (["--addvpn", "x"], "66 hexadecimal"),
        (["-s", "TOPSECRET"], "expected 64 hexadecimal"),
        (["--minsess", "5000"], "5000"),
        (["--stcpr", "70000"], "70000"),
        (["--cliaddr", "3435"], "host:port"),
        (["--shutdown", "soon"], "expected a duration"),
        (["--loglvl", "loud"], "loud"),
        (["--secure", "perhaps"], "perhaps"),
        (["--version", "v2.0.0"], "config version is incompatible"),
        (["-S", "none.json"], "none.json: No such file"),
        (["-D", "none.json"], "none.json: No such file"),
        (["--nodefaults"], "no dmsg_discovery"),
        (["-g"], "requires an argument"),
    ],
)
def test_a_bad_option_is_refused_and_nothing_written(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "TOPSECRET" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_told() -> None:
    code, _, err = run("-o", "none/c.json")
    assert (code, "cannot write" in err) == (1, True)


def test_services_from_files() -> None:
    servers = [{"static": str(OTHER), "server": {"address": "192.0.2.1:80"}}]
    on_dmsg = {"dmsg_servers": servers, "dmsg_discovery": f"dmsg://{OTHER}:80"}
    Path("s.json").write_text(json.dumps({"prod": {"route_finder": "http://rf.example"}}))
    Path("d.json").write_text(json.dumps({"prod": on_dmsg}))
    config = made("-S", "s.json", "-D", "d.json")
    assert config.routing.route_finder == "http://rf.example"
    assert config.dmsg.discovery_dmsg == f"dmsg://{OTHER}:80"
    assert config.transport.discovery == deployment().transport_discovery
    assert [each["static"] for each in made("-d", "-D", "d.json").dmsg.servers] == [str(OTHER)]


def test_a_deployment_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.json"
    own = {"dmsg_discovery": "http://d.example", "transport_discovery": "http://t.example"}
    path.write_text(json.dumps({"prod": own}))
    monkeypatch.setenv("SKYDEPLOY", str(path))
    config = made()
    assert config.transport.discovery == "http://t.example"
    assert config.routing.route_setup_nodes == []
    code, _, err = run("-n", "-d")
    assert (code, "no dmsg_servers" in err) == (2, True)


@pytest.fixture
def config_service() -> Iterator[tuple[str, list[str]]]:
    """URL of a config service, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"route_finder": "http://rf.example"}).encode()
            self.send_response(200 if self.path != "/broken" else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_config_service_is_asked_on_request(config_service: tuple[str, list[str]]) -> None:
    url, asked = config_service
    assert made("-a", url).routing.route_finder == "http://rf.example"
    assert made("-a", f"{url}/broken,{url}").routing.route_finder == "http://rf.example"
    assert asked == ["/", "/broken", "/"]
    code, out, err = run("-n", "-a", f"{url}/broken")
    assert (code, out) == (1, "")
    assert "no config service answered" in err
    assert "500" in err


def test_nobody_is_asked_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config_service: tuple[str, list[str]]
) -> None:
    url, asked = config_service
    own = {"dmsg_discovery": "http://d", "transport_discovery": "http://t", "conf": url}
    Path("deploy.json").write_text(json.dumps({"prod": own}))
    monkeypatch.setenv("SKYDEPLOY", str(tmp_path / "deploy.json"))
    made()
    made("--nofetch")
    assert asked == []
    assert made("--fetch").routing.route_finder == "http://rf.example"
    assert asked == ["/"]


def test_the_printed_form() -> None:
    code, out, _ = run("-n", "-N")
    assert (code, out.count("\n")) == (0, 1)
    assert run("-o", "STDOUT")[1].startswith("{\n")


def test_the_config_of_a_setup_node() -> None:
    code, _, _ = run("--sn", "-o", "sn.json", "-s", SK.hex())
    config = read_setup(Path("sn.json"), RouteSetupConfig)
    assert (code, config.public_key) == (0, PK)
    assert config.transport_discovery == deployment().transport_discovery


def test_a_hypervisor_without_password_is_told() -> None:
    assert "hypervisor.enable_auth: false" in run("-i")[2]
    assert run("-i", "-e", "-o", "b.json")[2] == ""


def env_file(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("skywire.conf").write_text(text)
    monkeypatch.setenv("SKYENV", "skywire.conf")


def test_defaults_come_from_the_file_skyenv_names(monkeypatch: pytest.MonkeyPatch) -> None:
    env_file(
        f"""ISHYPERVISOR=true
HYPERVISORPKS=('{OTHER}' '{THIRD}')
SK='{SK.hex()}'
MINDMSGSESS=8
DISABLEPUBLICAUTOCONN=1
VPNSEVERSECURE=false
LOGLVL=debug
CLIADDR=''
REWARDSKYADDR='something for another program'
""",
        monkeypatch,
    )
    config = made()
    assert (config.sk, config.hypervisors) == (SK, [OTHER, THIRD])
    assert (config.dmsg.sessions_count, config.log_level) == (8, "debug")
    assert config.hypervisor is not None
    assert not config.transport.public_autoconnect
    assert args_of(config, "vpn-server")[2:] == ["--secure=false"]
    assert config.cli_addr == "localhost:3435"
    assert made("--minsess", "1").dmsg.sessions_count == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HYPERVISORPKS=('02ab')", "HYPERVISORPKS: "),
        ("MINDMSGSESS=many", "MINDMSGSESS: "),
        ("ISHYPERVISOR=maybe", "ISHYPERVISOR: "),
        ("SK=TOPSECRET", "SK: no secret key"),
        ("MINDMSGSESS=(1 2)", "MINDMSGSESS: expected one value"),
        ("STCPRPORT=70000", "STCPRPORT: "),
        ("if x", "line 1"),
    ],
)
def test_a_bad_default_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    env_file(text, monkeypatch)
    code, out, err = run("-n")
    assert (code, out) == (2, "")
    assert expected in err
    assert "skywire.conf" in err
    assert "TOPSECRET" not in err


def test_the_template_names_options_that_are_there() -> None:
    options = {str(option.name) for listed in SECTIONS.values() for option in listed}
    assert {each.option for each in VARIABLES} <= options
    code, out, _ = run("-q")
    assert code == 0
    assert "#HYPERVISORPKS=('')" in out
    assert not Path("skywire-config.json").exists()


def test_the_help_has_sections_and_every_option_once() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for title in [*SECTIONS, "Output"]:
        assert f"\n{title}:\n" in out
    shown: Sequence[str] = [line.split(",")[0].strip() for line in out.splitlines()]
    assert shown.count("-r") == shown.count("-j") == 1
    assert "--nofetch" not in out
