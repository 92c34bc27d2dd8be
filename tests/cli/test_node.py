"""How commands reach a visor: address, limits, errors with a way out."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.cli.node import is_missing, node_of
from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import InvalidValue, Refused, Unavailable
from skywire.visor import ops_info
from skywire.visor.types import Overview
from tests.cli.fake_rpc import FakeRpc, fake_rpc

PK = deterministic_key_pair(b"node")[0]


def cli(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(root, ["cli", *words])


@pytest.fixture
def fake() -> Iterator[FakeRpc]:
    with fake_rpc({ops_info.uptime: 7.5, ops_info.overview: Overview(local_pk=PK)}) as fake:
        yield fake


@pytest.mark.parametrize(
    "words",
    ["visor uptime --rpc {}", "visor --rpc {} uptime", "--rpc {} visor uptime"],
)
def test_the_address_counts_wherever_it_stands(fake: FakeRpc, words: str) -> None:
    assert cli(*words.format(fake.address).split()).stdout == "7.5\n"


def test_the_address_may_come_from_the_environment(fake: FakeRpc) -> None:
    assert cli("visor", "uptime", env={"SKYWIRE_RPC": fake.address}).stdout == "7.5\n"
    elsewhere = {"SKYWIRE_RPC": "127.0.0.1:1"}
    assert cli("--rpc", fake.address, "visor", "uptime", env=elsewhere).stdout == "7.5\n"


def test_json_and_jq(fake: FakeRpc) -> None:
    where = ["--rpc", fake.address]
    assert json.loads(cli(*where, "visor", "uptime", "--json").stdout) == {"output": 7.5}
    assert cli(*where, "visor", "ver", "--jq", ".version").stdout == "\n"
    assert cli("--jq", "keys[]", *where, "visor", "ver").stdout == "commit\ndate\nversion\n"
    assert cli(*where, "visor", "ver", "--jq", "[.date]").stdout == '[""]\n'
    bad = cli(*where, "visor", "ver", "--jq", ".[")
    assert (bad.exit_code, bad.stdout) == (2, "")
    assert json.loads(bad.stderr)["code"] == "invalid_value"


def test_a_shape_is_shown_without_a_visor() -> None:
    found = cli("visor", "ver", "--shape", env={"SKYWIRE_RPC": "127.0.0.1:1"})
    assert json.loads(found.stdout)["output"] == dict.fromkeys(
        ["version", "commit", "date"], "string"
    )
    assert json.loads(cli("tp", "add", "--shape").stdout)["output"][0]["id"] == "string"


def test_nobody_there_is_told_with_a_way_out() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        result = cli("visor", "uptime", "--rpc", address)
        as_json = cli("visor", "uptime", "--rpc", address, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "RPC connection failed; is skywire running?" in result.stderr  # as the reference says
    assert address in result.stderr
    assert len(result.stderr.splitlines()) == 1
    told = json.loads(as_json.stderr)
    assert told["code"] == "dial_failed"
    assert "skywire visor" in told["hint"]


def test_one_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        result = cli("visor", "uptime", "--rpc", address, "--timeout", "0.2")
    assert result.exit_code == 1
    assert "no answer within 0.2 s" in result.stderr
    assert "--timeout" in result.stderr


@pytest.mark.parametrize("via", [False, True])
def test_one_that_hangs_up_is_named(via: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        hanging_up = threading.Thread(target=lambda: server.accept()[0].close())
        hanging_up.start()
        more = ["--via", f"dmsg://{PK}"] if via else []
        result = cli("visor", "uptime", "--rpc", address, *more)
        hanging_up.join()
    assert result.exit_code == 1
    assert f"{address}" in result.stderr
    assert "ended the connection" in result.stderr
    assert ("allow the key" in result.stderr) is via


def test_an_error_of_the_visor_is_told_as_it_is() -> None:
    with fake_rpc({ops_info.uptime: Unavailable("not found")}) as fake:
        result = cli("visor", "uptime", "--rpc", fake.address)
    assert (result.exit_code, result.stderr) == (1, "Error: not found\n")


def test_a_visor_that_does_not_know_the_method(fake: FakeRpc) -> None:
    result = cli("visor", "health", "--rpc", fake.address, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["code"] == "not_supported"
    assert is_missing(Refused("x", reason="rpc: can't find method app-visor.X"))
    assert not is_missing(Refused("x", reason="not found"))


@pytest.mark.parametrize(
    ("rpc", "via", "timeout"),
    [
        ("x", "", 1.0),
        ("localhost:", "", 1.0),
        ("skynet://" + str(PK), "", 1.0),
        ("dmsg://00", "", 1.0),
        ("", "localhost:3435", 1.0),
        ("", "", -1.0),
        ("", "", float("nan")),
    ],
)
def test_bad_addresses_are_refused(rpc: str, via: str, timeout: float) -> None:
    with pytest.raises(InvalidValue):
        node_of(rpc, via, timeout)


def test_a_visor_elsewhere_may_be_named_in_both_ways() -> None:
    plain: Any = node_of("", "", 1.0)
    assert (str(plain), plain.via) == ("localhost:3435", None)
    assert node_of(f"dmsg://{PK}", "", 1.0) == node_of("", f"dmsg://{PK}", 1.0)
    both = node_of("localhost:4000", f"dmsg://{PK}", 1.0)
    assert (both.rpc, both.via) == ("localhost:4000", PK)
