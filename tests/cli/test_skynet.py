"""`skywire cli skynet`, `serve`, `fwd`, `rev`: what they ask a visor, and what they print."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.appkit.forward_server import ForwardedPort
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import Conflict
from skywire.visor import ops_ports
from skywire.visor.ops_ports import ConnectIn, ForwardConn, ForwardState, StartForwardIn
from tests.cli.fake_rpc import FakeRpc, fake_rpc

PK = deterministic_key_pair(b"far")[0]
ID = uuid.UUID("00000000-0000-0000-0000-00000000abcd")
STATE = ForwardState(
    ID, "mine", PK, 8080, 9000, "a way", connections=2, served=7, since=1.0, error=""
)
ENTRY = ForwardedPort(port=80, name="skynet-80", whitelist=[PK], dmsg=True)
NEW: dict[Any, Any] = {
    ops_ports.start_forward: STATE,
    ops_ports.forwards: [STATE],
    ops_ports.stop_forward: None,
    ops_ports.add_forwarded_port: None,
    ops_ports.forwarded_ports: [ENTRY],
    ops_ports.deregister_http_port: None,
}
OLD: dict[Any, Any] = {
    ops_ports.register_http_port: None,
    ops_ports.deregister_http_port: None,
    ops_ports.list_http_ports: [80, 22],
    ops_ports.connect: ID,
    ops_ports.disconnect: None,
    ops_ports.list_forwards: {ID: ForwardConn(ID, 9000, 8080)},
}


@pytest.fixture
def new() -> Iterator[FakeRpc]:
    with fake_rpc(NEW) as fake:
        yield fake


@pytest.fixture
def old() -> Iterator[FakeRpc]:
    """A visor of 2024."""
    with fake_rpc(OLD) as fake:
        yield fake


def cli(fake: FakeRpc, line: str) -> Result:
    return CliRunner().invoke(root, ["cli", "--rpc", fake.address, *line.split()])


def last(fake: FakeRpc) -> tuple[str, Any]:
    return fake.asked[-1]


def value(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["output"]


def test_a_forward_is_started_listed_and_stopped(new: FakeRpc) -> None:
    done = cli(new, f"skynet start {PK} -r 8080 -l 9000 -n mine")
    assert done.stdout == f"127.0.0.1:9000 leads to port 8080 of {PK} (a way)\n"
    assert last(new) == ("StartForward", StartForwardIn(PK, 8080, 9000, "mine"))
    (row,) = value(cli(new, "skynet status --json"))
    assert row.pop("age_s") > 1000
    assert row == {
        "name": "mine",
        "remote_pk": str(PK),
        "remote_port": 8080,
        "local_port": 9000,
        "way": "a way",
        "connections": 2,
        "served": 7,
        "error": None,
        "id": str(ID),
    }
    assert "mine" in cli(new, "skynet").stdout
    assert cli(new, "skynet stop --name mine").stdout == "mine stopped\n"
    assert value(cli(new, "skynet stop --all --json")) == ["mine"]
    assert last(new) == ("StopForward", "mine")


def test_ports_are_served(new: FakeRpc) -> None:
    done = cli(new, f"skynet srv start -p 80,8080 -w {PK}")
    assert done.stdout == "port 80 can be reached\nport 8080 can be reached\n"
    assert [argument for _, argument in new.asked] == [
        ForwardedPort(port=port, whitelist=[PK], name="skynet-80") for port in (80, 8080)
    ]
    (row,) = value(cli(new, "serve --json"))
    assert (row["port"], row["networks"], row["whitelist"]) == (80, ["skynet", "dmsg"], [str(PK)])
    assert row["target"] == "localhost:80"
    assert "skynet-80" in cli(new, "skynet srv").stdout
    assert cli(new, "skynet srv stop --name skynet-80").stdout == (
        "port 80 can no longer be reached\n"
    )
    assert last(new) == ("DeregisterHTTPPort", 80)
    assert cli(new, "skynet srv stop --name other").exit_code == 1


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        ("80", ForwardedPort(port=80)),
        ("80 --to 8080", ForwardedPort(port=80, target="localhost:8080")),
        (
            "80 --to web:8080 --label W --desc D --inject-pk --preserve-host",
            ForwardedPort(80, "W", "D", "web:8080", inject_pk=True, preserve_host=True),
        ),
        ("80 --dmsg", ForwardedPort(port=80, dmsg=True, no_skynet=True)),
        ("80 --dmsg --skynet", ForwardedPort(port=80, dmsg=True)),
        (f"80 -w {PK}", ForwardedPort(port=80, whitelist=[PK])),
    ],
)
def test_what_serve_add_asks_for(new: FakeRpc, words: str, entry: ForwardedPort) -> None:
    for group in ("serve", "skynet port"):
        assert cli(new, f"{group} add {words}").exit_code == 0
        assert last(new) == ("AddForwardedPort", entry)


def test_a_whitelist_is_shown_and_set(new: FakeRpc) -> None:
    assert cli(new, "serve whitelist 80").stdout == f"{PK}\n"
    assert cli(new, "serve whitelist 80 --everybody").stdout == "everybody\n"
    name, entry = new.asked[-1]
    assert (name, entry.whitelist, entry.dmsg) == ("AddForwardedPort", [], True)
    missing = cli(new, "serve whitelist 81")
    assert (missing.exit_code, "serve ls" in missing.stderr) == (1, True)


def test_a_visor_of_2024_is_asked_in_its_own_words(old: FakeRpc) -> None:
    assert value(cli(old, f"skynet start {PK} -r 8080 -l 9000 --json"))["id"] == str(ID)
    assert last(old) == ("Connect", ConnectIn(PK, 8080, 9000))
    (row,) = value(cli(old, "skynet status --json"))
    assert (row["id"], row["remote_pk"], row["age_s"]) == (str(ID), None, None)
    assert cli(old, "skynet srv start -p 80").exit_code == 0
    assert last(old) == ("RegisterHTTPPort", 80)
    assert [row["port"] for row in value(cli(old, "serve ls --json"))] == [80, 22]
    refused = cli(old, f"serve add 80 -w {PK}")
    assert (refused.exit_code, "another version" in refused.stderr) == (1, True)


def test_the_words_of_2024(old: FakeRpc) -> None:
    assert cli(old, "fwd 8080").stdout == cli(old, "fwd -p 8080 -d").stdout == "OK\n"
    assert [name for name, _ in old.asked] == ["RegisterHTTPPort", "DeregisterHTTPPort"]
    assert value(cli(old, "fwd -l --json")) == [
        {"id": 0, "local_port": 22},
        {"id": 1, "local_port": 80},
    ]
    assert cli(old, f"rev {PK} -r 8080 -p 9000").stdout == f"{ID}\n"
    assert cli(old, f"rev -k {PK} -r 8080 -p 9000").stdout == f"{ID}\n"
    assert value(cli(old, "rev -l --json")) == [
        {"id": str(ID), "local_port": 9000, "remote_port": 8080}
    ]
    assert cli(old, f"rev -d {ID}").stdout == "OK\n"
    assert last(old) == ("Disconnect", ID)


@pytest.mark.parametrize(
    "line",
    [
        "skynet start -r 80",
        f"skynet start {PK}",
        f"skynet start {PK} -r 0",
        "skynet start nobody -r 80",
        "skynet stop",
        "skynet stop --all --name x",
        "skynet srv start -p 80,http",
        "skynet srv start -p ,",
        "skynet srv stop",
        "serve add 80 --preserve-host",
        "serve add 65536",
        f"serve whitelist 80 {PK} --everybody",
        "fwd",
        f"rev {PK}",
    ],
)
def test_bad_usage_asks_nobody(new: FakeRpc, line: str) -> None:
    result = cli(new, line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert new.asked == []


def test_a_visors_refusal_is_told() -> None:
    with fake_rpc({ops_ports.start_forward: Conflict(":80 local port already in use")}) as fake:
        result = cli(fake, f"skynet start {PK} -r 80 -l 80")
    assert result.exit_code == 1
    assert ":80 local port already in use" in result.stderr
