"""Config files: read tolerantly, refuse clearly, rewrite without loss."""

import json
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.config.deployment import TEST, deployment
from skywire.config.load import ConfigFile, write_private
from skywire.config.model import PRODUCTION_DISCOVERY
from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable

PK, SK, _ = deterministic_key_pair(b"config")
OTHER, _, _ = deterministic_key_pair(b"other")

GO_FILE: dict[str, Any] = {
    "version": "v1.3.29",
    "sk": SK.hex(),
    "pk": PK.hex(),
    "dmsg": {
        "discovery": "http://127.0.0.1:9090",
        "sessions_count": 2,
        "servers": [],
        "servers_type": "all",
        "carriers": {"tcp": True},
    },
    "dmsgpty": {
        "dmsg_port": 22,
        "cli_network": "unix",
        "cli_address": "/run/pty.sock",
        "whitelist": [OTHER.hex()],
    },
    "skywire-tcp": {"pk_table": None, "listening_address": ":7777"},
    "launcher": {"apps": [{"name": "skychat", "port": 1}]},
    "hypervisors": [OTHER.hex()],
    "cli_addr": "localhost:3435",
    "log_level": "",
    "survey_whitelist": None,
    "hypervisor": {
        "db_path": "users.db",
        "enable_auth": True,
        "cookies": {"hash_key": "ab" * 64, "expires_duration": 43200000000000},
        "http_addr": ":8000",
        "tp_viz": {"enable": True},
    },
}


def parse(document: object) -> ConfigFile:
    return ConfigFile(json.dumps(document), "test.json")


def test_a_go_file_is_read() -> None:
    config = parse(GO_FILE).config
    assert (config.pk, config.sk) == (PK, SK)
    assert config.dmsg.sessions_count == 2
    assert config.pty is not None
    assert (config.pty.cli_address, config.pty.whitelist) == ("/run/pty.sock", [OTHER])
    assert config.hypervisors == [OTHER]
    assert config.hypervisor is not None
    assert config.hypervisor.http_addr.port == 8000
    assert float(config.hypervisor.cookies.expires_duration) == 43200


def test_the_empty_object_is_a_valid_config_with_a_new_key() -> None:
    file = parse({})
    assert file.new_key
    assert file.config.pk == file.config.sk.public()
    assert file.config.dmsg.discovery == PRODUCTION_DISCOVERY
    assert file.config.hypervisor is None
    assert file.config.pty is not None
    assert parse({}).config.sk != file.config.sk


def test_a_secret_key_alone_gives_the_public_key() -> None:
    file = parse({"sk": SK.hex()})
    assert (file.config.pk, file.new_key) == (PK, False)


@pytest.mark.parametrize("name", ["pty", "dmsgpty"])
def test_both_names_of_the_terminal_section_work(name: str) -> None:
    config = parse({"sk": SK.hex(), name: {"persistent_sessions": True}}).config
    assert config.pty is not None
    assert config.pty.persistent_sessions
    assert parse({"sk": SK.hex(), name: None}).config.pty is None


def test_the_newer_name_wins() -> None:
    config = parse({"sk": SK.hex(), "dmsgpty": {"dmsg_port": 1}, "pty": {"dmsg_port": 2}}).config
    assert config.pty is not None
    assert config.pty.dmsg_port == 2


def test_a_null_leaves_the_default() -> None:
    config = parse({"sk": SK.hex(), "dmsg": {"servers": None}, "hypervisors": None}).config
    assert (config.dmsg.servers, config.hypervisors) == ([], [])


@pytest.mark.parametrize("section", [None, {"enable": False}])
def test_a_hypervisor_that_is_off_is_none(section: object) -> None:
    assert parse({"sk": SK.hex(), "hypervisor": section}).config.hypervisor is None


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ({"dmsg": {"sessions_count": "two"}}, ["dmsg.sessions_count", '"two"', "expected int"]),
        ({"dmsgpty": {"dmsg_port": 70000}}, ["dmsgpty.dmsg_port", "70000", "<= 65535"]),
        ({"pty": {"whitelist": ["02"]}}, ["pty.whitelist[", '"02"', "66 hexadecimal"]),
        ({"pty": {"whitelist": [7]}}, ["pty.whitelist[", "7", "expected"]),
        ({"cli_addr": "3435"}, ["cli_addr", '"3435"', "host:port"]),
        ({"hypervisor": {"cookies": {"expires_duration": "soon"}}}, ["expires_duration", "soon"]),
        ({"pk": OTHER.hex()}, ["pk", str(OTHER), "does not belong to sk", str(PK)]),
        ({"hypervisors": {}}, ["hypervisors", "expected array"]),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    document: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse({"sk": SK.hex()} | document)
    for part in ["test.json: ", *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize("sk", ["x", SK.hex()[:-2] + "zz", "0" * 64, 5, [SK.hex()]])
def test_a_bad_secret_key_is_refused_and_not_shown(sk: object) -> None:
    with pytest.raises(InvalidValue, match="config has invalid secret key") as caught:
        parse({"sk": sk})
    assert SK.hex()[:16] not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b"\xff\xfe{", b"[" * 100_000, b"nul"])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"^f: "):
        ConfigFile(text, "f")


@given(st.binary(max_size=64) | st.text(max_size=64))
def test_any_text_is_read_or_refused(text: bytes | str) -> None:
    with suppress(InvalidValue):
        ConfigFile(text, "f")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.sampled_from([*GO_FILE, "pty"]),
    json_values,
)
def test_any_value_of_a_known_key_is_read_or_refused(key: str, value: object) -> None:
    with suppress(InvalidValue):
        parse(GO_FILE | {key: value})


def test_a_rewrite_keeps_unknown_keys_and_changes_one_value(tmp_path: Path) -> None:
    path = tmp_path / "visor.json"
    path.write_text(json.dumps(GO_FILE))
    file = ConfigFile.load(path)
    assert file.config.pty is not None
    file.update(
        msgspec.structs.replace(
            file.config,
            log_level="debug",
            pty=msgspec.structs.replace(file.config.pty, whitelist=[OTHER, PK]),
        )
    )
    expected = json.loads(json.dumps(GO_FILE))
    expected["log_level"] = "debug"
    expected["dmsgpty"]["whitelist"] = [OTHER.hex(), PK.hex()]
    written = json.loads(path.read_text())
    assert written == expected
    assert list(written) == list(GO_FILE)
    assert ConfigFile.load(path).config == file.config


def test_a_rewrite_keeps_a_text_that_is_no_unicode(tmp_path: Path) -> None:
    path = tmp_path / "visor.json"
    path.write_text('{"log_level": "", "hostname": "", "unknown": "half \\ud800"}')
    file = ConfigFile.load(path)
    file.update(file.config)
    assert json.loads(path.read_bytes())["unknown"] == "half \ud800"


def test_a_rewrite_is_private_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "visor.json"
    path.write_text("{}")
    path.chmod(0o644)
    file = ConfigFile.load(path)
    file.update(file.config)  # persists the generated key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["visor.json"]
    again = ConfigFile.load(path)
    assert (again.new_key, again.config.sk) == (False, file.config.sk)


def test_a_section_can_be_turned_on(tmp_path: Path) -> None:
    path = tmp_path / "visor.json"
    path.write_text(json.dumps({"sk": SK.hex(), "pty": None}))
    file = ConfigFile.load(path)
    other = parse({"sk": SK.hex(), "pty": {"dmsg_port": 5}}).config
    file.update(msgspec.structs.replace(file.config, pty=other.pty))
    assert json.loads(path.read_text())["pty"]["dmsg_port"] == 5


def test_a_config_without_file_is_not_written() -> None:
    file = parse({"sk": SK.hex()})
    file.update(msgspec.structs.replace(file.config, log_level="warn"))
    assert file.config.log_level == "warn"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"config file not found: .*none\.json"):
        ConfigFile.load(tmp_path / "none.json")
    with pytest.raises(InvalidValue, match="not readable"):
        ConfigFile.load(tmp_path)


def test_a_directory_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot write .*nothing changed"):
        write_private(tmp_path / "missing" / "f", b"x")
    (tmp_path / "d").mkdir()
    with pytest.raises(Unavailable):
        write_private(tmp_path / "d", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["d"]


def test_the_model_never_shows_the_secret_key() -> None:
    file = parse(GO_FILE)
    assert SK.hex() not in repr(file.config)
    assert isinstance(file.config.pk, PubKey)
    assert file.config.cli_addr == HostPort("localhost:3435")


def test_the_public_deployment_is_for_those_who_are_in_it_only() -> None:
    public, private = parse({}).config, parse(GO_FILE).config
    assert public.transport.discovery == "http://tpd.skywire.skycoin.com"
    assert public.transport.address_resolver == "http://ar.skywire.skycoin.com"
    assert public.routing.route_finder == "http://rf.skywire.skycoin.com"
    assert len(public.routing.route_setup_nodes) == 2
    assert public.stun_servers
    assert private.transport.discovery == private.routing.route_finder == ""
    assert private.routing.route_setup_nodes == []
    assert private.stun_servers == []
    assert private.launcher.service_discovery == ""


@pytest.mark.parametrize("on_dmsg", [False, True])
def test_a_file_gets_the_services_of_the_deployment_it_names(on_dmsg: bool) -> None:
    known = deployment() if on_dmsg else deployment(TEST)
    end = "_dmsg" if on_dmsg else ""
    config = parse({"dmsg": {"discovery": getattr(known, f"dmsg_discovery{end}")}}).config
    assert config.transport.discovery == getattr(known, f"transport_discovery{end}")
    assert config.routing.route_finder == getattr(known, f"route_finder{end}")
    assert config.launcher.service_discovery == getattr(known, f"service_discovery{end}")
    assert config.uptime_tracker is not None
    assert config.uptime_tracker.addr == getattr(known, f"uptime_tracker{end}")
    assert config.stun_servers == list(known.stun_servers)


def test_the_test_deployment_is_had_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYWIRETEST", "1")
    config = parse({}).config
    assert config.dmsg.discovery == "http://dmsgd.skywire.dev"
    assert config.transport.discovery == "http://tpd.skywire.dev"
    monkeypatch.setenv("SKYWIRETEST", "0")
    assert parse({}).config.dmsg.discovery == PRODUCTION_DISCOVERY


def test_without_any_deployment_a_file_gets_no_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.json").write_text("{}")
    monkeypatch.setenv("SKYDEPLOY", str(tmp_path / "none.json"))
    config = parse({}).config
    assert config.dmsg.discovery == config.transport.discovery == ""
    assert not config.stun_servers
    assert not config.routing.route_setup_nodes


def test_a_tracker_that_is_off_is_none() -> None:
    assert parse({"uptime_tracker": None}).config.uptime_tracker is None
    assert parse({"uptime_tracker": {"addr": ""}}).config.uptime_tracker is not None


def test_what_a_public_file_says_stays() -> None:
    config = parse({"transport": {"discovery": "", "stcpr_port": 7}, "stun_servers": []}).config
    assert config.transport.discovery == ""
    assert config.transport.stcpr_port == 7
    assert config.transport.address_resolver == "http://ar.skywire.skycoin.com"
    assert config.stun_servers == []


def test_stcp_has_a_table_of_keys() -> None:
    config = parse(GO_FILE).config
    assert config.skywire_tcp is not None
    assert (config.skywire_tcp.pk_table, config.skywire_tcp.listening_address) == ({}, ":7777")
    assert parse({"skywire-tcp": None}).config.skywire_tcp is None
    assert parse({}).config.skywire_tcp is None
    with pytest.raises(InvalidValue, match=r'skywire-tcp\.pk_table: "03ab": '):
        parse({"skywire-tcp": {"pk_table": {"03ab": "10.0.0.1:7777"}}})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"transport": 7}, "transport: 7 is not accepted"),
        ({"routing": {"min_hops": -1}}, r"routing\.min_hops: -1 is not accepted"),
        ({"routing": {"route_setup_nodes": ["x"]}}, r"route_setup_nodes\[0\]: \"x\" is not"),
        ({"transport": {"log_store": {"type": "bbolt"}}}, r"log_store\.type: \"bbolt\" is not"),
        (
            {"persistent_transports": [{"pk": OTHER.hex(), "type": "smoke"}]},
            r"persistent_transports\[0\]\.type: \"smoke\" is not accepted",
        ),
    ],
)
def test_bad_values_of_transports_and_routes_are_named(document: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        parse(document)
