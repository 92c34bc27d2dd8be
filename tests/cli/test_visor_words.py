"""`skywire cli visor|tp|route|rg|reward`: what is asked, what is printed, what is refused."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.errors import DialFailed, Unavailable
from skywire.visor import ops_info, ops_node, ops_reward, ops_routes, ops_transports
from skywire.visor.ports_shown import PortDetail
from skywire.visor.types import (
    BuildInfo,
    DmsgServer,
    DmsgStats,
    HealthInfo,
    LogEntry,
    Overview,
    PersistentTransport,
    RouteGroupInfo,
    Summary,
    TransportSummary,
)
from skywire.visor.types import RouteDescriptor as ShownDescriptor
from skywire.wire.rule import RouteDescriptor, Rule
from skywire.wire.transport import transport_id
from tests.cli.fake_rpc import fake_rpc

OWN, OTHER, SERVER = (deterministic_key_pair(name)[0] for name in (b"a", b"b", b"c"))
ID = UUID("c3e57348-8d67-07d2-b958-d1447aefdfaf")
ADDRESS = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"
OVERVIEW = Overview(
    local_pk=OWN, build_info=BuildInfo("v1.3.29", "abc", "2026-06-12"), public_ip="192.0.2.1"
)
SUMMARY = Summary(
    overview=OVERVIEW,
    health=HealthInfo("healthy"),
    uptime=3725.4,
    dmsg_stats=DmsgStats(OWN, SERVER, 846_436),
    min_hops=2,
)
LINK = TransportSummary(ID, OWN, OTHER, "stcpr", LogEntry(7, 9), False, "user", 1.25)


def fits(value: Any, shape: Any) -> bool:
    """Whether a result is what its skeleton says; a value may be missing."""
    if isinstance(shape, list) and isinstance(value, list):
        return all(fits(each, shape[0]) for each in value)
    if isinstance(shape, dict) and isinstance(value, dict):
        names = {key: shape.get(key, shape.get("…")) for key in value}
        return None not in names.values() and all(fits(value[key], names[key]) for key in value)
    words = {"string": (str,), "number": (int, float), "boolean": (bool,), "any": (object,)}
    return value is None or (isinstance(shape, str) and isinstance(value, words[shape]))


class Cli:
    """Runs commands at a visor that answers `answers`; `asked` is what it was asked."""

    def __init__(self, answers: dict[Any, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, words: str) -> Result:
        with fake_rpc(self.answers) as fake:
            result = CliRunner().invoke(root, ["cli", "--rpc", fake.address, *words.split()])
        self.asked += fake.asked
        return result

    def text(self, words: str) -> str:
        result = self(words)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def json(self, words: str) -> Any:
        """What `--json` prints, which is what `--shape` says."""
        found = json.loads(self.text(f"{words} --json"))["output"]
        shape = json.loads(CliRunner().invoke(root, ["cli", *words.split(), "--shape"]).stdout)
        assert fits(found, shape["output"]), (found, shape)
        return found


def test_visor_info() -> None:
    cli = Cli({ops_info.summary: SUMMARY})
    found = cli.json("visor info")
    assert {key: found[key] for key in list(found)[:10]} == {
        "public_key": str(OWN),
        "symmetric_nat": False,
        "ip": "192.0.2.1",
        "dmsg_server": str(SERVER),
        "ping": "846.436µs",
        "visor_version": "v1.3.29",
        "skybian_version": "",
        "uptime_tracker": "healthy",
        "time_online": 3725.4,
        "build_tag": "",
    }
    lines = cli.text("visor info").splitlines()
    assert lines[0].split() == ["Public", "key", str(OWN)]
    assert lines[4].split() == ["Time", "online", "1h2m5s"]
    assert json.loads(cli.text("visor info --shape"))["output"].keys() == found.keys()


def test_a_summary_with_nothing_in_it() -> None:
    cli = Cli({ops_info.summary: Summary()})
    assert cli.json("visor info")["dmsg_server"] == ""
    assert cli.json("visor dmsg-servers") == []


def test_the_dmsg_servers_of_both_generations() -> None:
    new = Summary(dmsg_servers=[DmsgServer(SERVER, 5)], connected_dmsg_servers=[str(OTHER)])
    assert Cli({ops_info.summary: new}).json("visor dmsg-servers") == [
        {"public_key": str(SERVER), "round_trip": 5},
        {"public_key": str(OTHER), "round_trip": 0},
    ]
    assert Cli({ops_info.summary: new}).json("visor info")["dmsg_server"] == str(SERVER)
    old = Cli({ops_info.summary: SUMMARY}).json("visor dmsg-servers")
    assert old == [{"public_key": str(SERVER), "round_trip": 846_436}]


def test_key_version_address_ports() -> None:
    cli = Cli({ops_info.overview: OVERVIEW, ops_info.ports: {"rpc": PortDetail("3435", "TCP")}})
    assert cli.text("visor pk") == cli.text("pk") == f"{OWN}\n"
    assert cli.text("visor ver") == (
        'Version "v1.3.29" built on "2026-06-12" against commit "abc"\n'
    )
    assert cli.json("visor ip")["ip"] == "192.0.2.1"
    assert cli.json("visor ports") == {"rpc": {"Port": "3435", "Type": "TCP"}}
    assert cli.text("visor ports").splitlines()[1].split() == ["rpc", "TCP", "3435"]


def test_the_key_of_a_config_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    public, secret = key_pair()
    file.write_text(json.dumps({"sk": secret.hex()}))
    assert Cli({}).text(f"visor pk -i {file}") == f"{public}\n"
    assert Cli({})(f"visor pk -p -i {file}").exit_code == 2


@pytest.mark.parametrize(
    ("answer", "text", "code"),
    [(True, "true\n", 0), (Unavailable("dmsg client is not ready"), "false\n", 1)],
)
def test_ready_is_an_exit_code(answer: Any, text: str, code: int) -> None:
    result = Cli({ops_info.is_dmsg_ready: answer})("visor ready")
    assert (result.stdout, result.exit_code) == (text, code)


# Transports


def test_the_list_of_transports() -> None:
    cli = Cli({ops_transports.transports: [LINK], ops_transports.transport: LINK})
    row = {
        "type": "stcpr",
        "id": str(ID),
        "remote_pk": str(OTHER),
        "mode": "regular",
        "label": "user",
        "latency_ms": 1.25,
        "received": 7,
        "sent": 9,
    }
    assert cli.json("tp") == cli.json("tp ls") == cli.json(f"tp -i {ID}") == [row]
    cells = cli.text(f"tp -t stcpr,dmsg -p {OTHER} -L").splitlines()[1].split()
    assert cells == ["stcpr", str(ID), str(OTHER), "regular", "user", "1.2", "ms", "7", "9"]
    wanted = cli.asked[-1][1]
    assert (wanted.types, wanted.keys, wanted.show_logs) == (["stcpr", "dmsg"], [OTHER], False)
    assert Cli({ops_transports.transports: []}).text("tp") == "no transports\n"
    assert cli("tp -i xyz").exit_code == 2
    types = Cli({ops_transports.transport_types: ["stcpr", "dmsg"]})
    assert types.text("tp -u") == "stcpr\ndmsg\n"


def test_add_tries_the_types_in_turn() -> None:
    failing = Cli(
        {
            ops_transports.transport_types: ["dmsg", "stcpr"],
            ops_transports.add_transport: DialFailed("save transport: nobody"),
        }
    )
    result = failing(f"tp add {OTHER}")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: no transport to {OTHER}: stcpr: save transport: nobody; "
        "dmsg: save transport: nobody\n"
    )
    tried = [request.type for rpc, request in failing.asked if rpc == "AddTransport"]
    assert tried == ["stcpr", "dmsg"]
    good = Cli({ops_transports.add_transport: LINK})
    assert good.json(f"tp add -r {OTHER} -t stcpr --label home")[0]["id"] == str(ID)
    assert good.asked[-1][1].label == "home"
    assert good("tp add").exit_code == 2
    one = Cli({ops_transports.add_transport: DialFailed("save transport: nobody")})
    assert one(f"tp add {OTHER} -t dmsg").stderr == "Error: save transport: nobody\n"


def test_remove_wants_one_or_all() -> None:
    cli = Cli({ops_transports.remove_transport: None, ops_transports.remove_all_transports: None})
    assert cli.text(f"tp rm {ID}") == cli.text(f"tp rm -i {ID}") == "OK\n"
    assert cli.json("tp rm -a") == "OK"
    assert [rpc for rpc, _ in cli.asked] == [*["RemoveTransport"] * 2, "RemoveAllTransports"]
    assert cli("tp rm").exit_code == cli(f"tp rm {ID} -a").exit_code == 2


def test_an_id_is_calculated() -> None:
    assert Cli({}).text(f"tp id {OTHER} {OWN} dmsg") == f"{transport_id(OWN, OTHER, 'dmsg')}\n"


def test_what_is_kept_up() -> None:
    cli = Cli(
        {
            ops_transports.persistent_transports: [PersistentTransport(OTHER, "dmsg")],
            ops_transports.set_persistent_transports: None,
            ops_transports.set_public_autoconnect: None,
        }
    )
    assert cli.json("tp persistent") == [{"pk": str(OTHER), "type": "dmsg"}]
    assert len(cli.json(f"tp persistent add {OWN} stcpr")) == 2
    assert cli.asked[-1][1][1] == PersistentTransport(OWN, "stcpr")
    assert cli.text(f"tp persistent rm {OTHER} dmsg") == "none\n"
    cli.text("tp auto off")
    assert cli.asked[-1] == ("SetPublicAutoconnect", False)


# Routes

ENDS = RouteDescriptor(OTHER, OWN, 6, 5)
RULES = [
    Rule.intermediary(9, 10_000_000_000, 3, ID),
    Rule.consume(2, 30_000_000_000, ENDS),
    Rule.forward(7, 30_000_000_000, ENDS.inverted(), 8, ID),
]
ROUTES: dict[Any, Any] = {
    ops_info.overview: OVERVIEW,
    ops_routes.routing_rules: [rule.encode() for rule in RULES],
}


def test_the_list_of_rules() -> None:
    rows = Cli(ROUTES).json("route")
    assert [row["id"] for row in rows] == [2, 7, 9]
    both = {"local_port": 5, "remote_port": 6, "remote_pk": str(OTHER)}
    assert rows[0].items() >= {"type": "Consume", "next_route_id": None, **both}.items()
    assert rows[1].items() >= {"type": "Forward", "next_route_id": 8, **both}.items()
    assert rows[2]["remote_pk"] is None
    assert rows[2]["expire-at"] == 10_000_000_000
    assert Cli(ROUTES).text("route").splitlines()[3].split() == [
        *("9", "IntermediaryForward", "-", "-", "-", "3", str(ID), "10s")
    ]
    assert Cli(ROUTES).text("route -n") == "1\n"
    assert [row["id"] for row in Cli(ROUTES).json("route -i 7")] == [7]
    assert Cli(ROUTES)("route -i 8").exit_code == 1


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (f"a -i 2 -l {OWN} -m 5 -p {OTHER} -q 6", RULES[1]),
        (f"b -i 9 -j 3 -k {ID} -a 10s", RULES[0]),
        (f"c -i 7 -j 8 -k {ID} -l {OWN} -m 5 -p {OTHER} -q 6", RULES[2]),
    ],
)
def test_add_makes_the_rule(words: str, rule: Rule) -> None:
    cli = Cli({ops_routes.save_routing_rule: None})
    key = rule.key_route_id
    assert cli.json(f"route add {words}") == {"routing_route_key": key}
    assert cli.asked == [("SaveRoutingRule", rule.encode())]
    assert cli(f"route add {words.partition(' -a')[0][:-9]}").exit_code == 2


def test_remove_and_min_hops() -> None:
    cli = Cli(
        {
            ops_routes.remove_routing_rule: None,
            ops_routes.set_min_hops: None,
            ops_info.summary: SUMMARY,
        }
    )
    assert cli.text("route rm 7") == "OK\n"
    assert cli.text("route minhops") == "2\n"
    assert cli.text("route minhops 3") == "3\n"
    assert cli.asked[0] == ("RemoveRoutingRule", 7)
    assert cli.asked[-1] == ("SetMinHops", 3)
    assert cli("route rm x").exit_code == cli("route minhops 70000").exit_code == 2


def test_how_long_traffic_files_are_kept() -> None:
    cli = Cli(
        {
            ops_node.log_rotation_interval: 168 * 3600 * 10**9,
            ops_node.set_log_rotation_interval: None,
        }
    )
    assert cli.text("tp rotation") == "168h0m0s\n"
    assert cli.json("tp rotation 14h") == "14h0m0s"
    assert cli.asked[-1] == ("SetLogRotationInterval", 14 * 3600 * 10**9)
    assert cli("tp rotation soon").exit_code == 2


def test_route_groups_and_a_visor_that_would_die_of_the_question() -> None:
    shown = ShownDescriptor(dst_pk=OWN, src_pk=OTHER, dst_port=5, src_port=6)
    group = RouteGroupInfo(consume_rule_id=2, fwd_rule_id=7, desc=shown, initiator=True)
    new = Cli(ROUTES | {ops_info.add_pty_whitelist: None, ops_routes.route_groups: [group]})
    (row,) = new.json("rg")
    assert (row["local_port"], row["remote_pk"], row["initiator"]) == (5, str(OTHER), True)
    old = Cli(ROUTES | {ops_routes.route_groups: [group]})
    (row,) = old.json("route groups")
    assert (row["consume_rule_id"], row["forward_rule_id"]) == (2, 7)
    assert "RouteGroups" not in [rpc for rpc, _ in old.asked]
    assert old.text("rg").splitlines()[1].split()[:3] == ["5", str(OTHER), "6"]


# Reward


def test_the_reward_address() -> None:
    cli = Cli(
        {
            ops_reward.reward_address: f"{ADDRESS}\n",
            ops_reward.set_reward_address: ADDRESS,
            ops_reward.delete_reward_address: None,
        }
    )
    assert cli.text("reward") == f"Reward address:\n  {ADDRESS}\n"
    assert cli.json(f"reward {ADDRESS}") == cli.json(f"reward -a {ADDRESS}")
    assert cli.text("reward -d") == "no reward address\n"
    asked = len(cli.asked)
    assert cli("reward nonsense").exit_code == 2
    assert cli(f"reward {ADDRESS} -d").exit_code == 2
    assert len(cli.asked) == asked


def test_the_reward_file_needs_no_visor(tmp_path: Path) -> None:
    file, cli = tmp_path / "reward.txt", Cli({})
    assert cli(f"reward -r -o {file}").exit_code == 1
    cli.text(f"reward {ADDRESS} -o {file}")
    assert file.read_text() == f"{ADDRESS}\n"
    assert cli.json(f"reward -r -o {file}") == {"address": ADDRESS}
    cli.text(f"reward -d -o {file}")
    assert not file.exists()


# The program


def test_halt_and_log() -> None:
    entries = [
        {"time": "T1", "level": "info", "_module": "dmsg", "msg": "one", "log_line": 1},
        {
            "time": "T2",
            "level": "warning",
            "_module": "router",
            "msg": "two",
            "log_line": 2,
            "x": 1,
        },
    ]
    cli = Cli({ops_node.shutdown: None, ops_node.runtime_logs: json.dumps(entries)})
    assert cli.text("halt") == cli.text("visor halt") == "Visor was shut down\n"
    assert cli.text("visor log") == "[T1] INFO [dmsg]: one\n[T2] WARNING [router]: two x=1\n"
    assert [one["msg"] for one in cli.json("visor log --min-level warning")] == ["two"]
    assert [one["msg"] for one in cli.json("visor log --module dms")] == ["one"]
    broken = Cli({ops_node.runtime_logs: "["})("visor log --json")
    assert json.loads(broken.stderr)["code"] == "remote_protocol_error"


def test_reload_waits_until_the_visor_has_started_anew() -> None:
    cli = Cli({ops_node.reload: None, ops_info.uptime: 5.0})
    result = cli("visor reload --timeout 1")
    assert result.exit_code == 1  # it answers, and runs as long as before
    assert "no answer within 1 s" in result.stderr
    assert cli.asked[1][0] == "Reload"


def test_start_needs_a_config_file(tmp_path: Path) -> None:
    result = Cli({})(f"visor start -c {tmp_path / 'none.json'}")
    assert result.exit_code == 1
    assert "config gen" in result.stderr
