"""`skywire ping`, `skywire cli visor ping|test`: what they ask a visor, and what they print."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import NULL_KEY
from skywire.errors import NotFound
from skywire.visor import ops_ping
from skywire.visor.ops_ping import PingConfig, PingHop, PingTrace, TracePingIn, VisorTest
from tests.cli.fake_rpc import FakeRpc, fake_rpc

US, MIDDLE, FAR = (deterministic_key_pair(name)[0] for name in (b"us", b"middle", b"far"))
HOPS = [
    PingHop(uuid.UUID(int=1), US, MIDDLE, "stcpr", 1.5, 2.25, 1.75),
    PingHop(uuid.UUID(int=2), MIDDLE, FAR, "", -1.0, 0.0, 4.0),
]
TRACE = PingTrace([4_000_000, 5_000_000], HOPS)


@pytest.fixture
def fake() -> Iterator[FakeRpc]:
    answers: dict[Any, Any] = {
        ops_ping.trace_ping: TRACE,
        ops_ping.dial_ping: None,
        ops_ping.ping: [2_000_000, 4_000_000],
        ops_ping.stop_ping: None,
        ops_ping.test_visor: [VisorTest(str(FAR), "4.00", "2.00", "3.00", "Success")],
    }
    with fake_rpc(answers) as made:
        yield made


def run(fake: FakeRpc, line: str) -> Result:
    return CliRunner(env={"SKYWIRE_RPC": fake.address}).invoke(root, line.split())


def last(fake: FakeRpc) -> tuple[str, Any]:
    return fake.asked[-1]


def test_each_hop_is_shown(fake: FakeRpc) -> None:
    shown = run(fake, f"ping {FAR}").stdout.splitlines()
    assert shown[0].split() == ["HOP", "TO", "TRANSPORT", "LATENCY", "AGE", "ROUND", "TRIP"]
    assert shown[1].split() == [
        "1",
        str(MIDDLE),
        "stcpr",
        *["1.50", "ms", "2.25", "s", "1.75", "ms"],
    ]
    assert shown[2].split() == ["2", str(FAR), "-", "?", "?", "4.00", "ms"]
    assert shown[-1] == (f"{US} to {FAR} over 2 hops, 2 messages: 4.00 to 5.00 ms there and back")
    assert fake.asked == [("TracePing", TracePingIn(FAR, NULL_KEY, 5, 0))]


def test_the_json(fake: FakeRpc) -> None:
    found = json.loads(run(fake, f"ping {FAR} --via {MIDDLE} -t 2 -s 3 --json").stdout)["output"]
    assert (found["source"], found["target"]) == (str(US), str(FAR))
    assert found["round_trips_ms"] == [4.0, 5.0]
    assert found["hops"][1] == {
        "start": str(MIDDLE),
        "end": str(FAR),
        "transport": str(uuid.UUID(int=2)),
        "type": "",
        "latency_ms": None,
        "age_s": None,
        "round_trip_ms": 4.0,
    }
    assert fake.asked == [("TracePing", TracePingIn(FAR, MIDDLE, 2, 3))]


def test_a_visor_that_cannot_trace_still_pings() -> None:
    answers: dict[Any, Any] = {
        ops_ping.dial_ping: None,
        ops_ping.ping: [2_000_000, 4_000_000],
        ops_ping.stop_ping: None,
    }
    with fake_rpc(answers) as fake:
        shown = run(fake, f"ping {FAR}")
        assert shown.stdout == (f"the visor to {FAR}, 2 messages: 2.00 to 4.00 ms there and back\n")
        assert run(fake, f"ping {FAR} --via {MIDDLE}").exit_code == 1
        assert [name for name, _ in fake.asked] == ["DialPing", "Ping", "StopPing"]


def test_the_words_of_2024(fake: FakeRpc) -> None:
    assert run(fake, f"cli visor ping {FAR} -t 2 -s 4").stdout == (
        "Latency: 2.00 ms | Speed: 2000.000 KB/s\nLatency: 4.00 ms | Speed: 1000.000 KB/s\n"
    )
    request = PingConfig(FAR, 2, 4)
    assert fake.asked == [("DialPing", request), ("Ping", request), ("StopPing", FAR)]
    tested = json.loads(run(fake, "cli visor test -c 3 --json").stdout)["output"]
    assert tested == [
        {"pk": str(FAR), "max": "4.00", "min": "2.00", "mean": "3.00", "status": "Success"}
    ]
    assert last(fake) == ("TestVisor", PingConfig(NULL_KEY, 1, 2, 3))


@pytest.mark.parametrize(
    "line",
    ["ping", "ping nobody", f"ping {FAR} -t 101", f"ping {FAR} --via nobody", "cli visor ping"],
)
def test_bad_usage_asks_nobody(fake: FakeRpc, line: str) -> None:
    result = run(fake, line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert fake.asked == []


def test_a_failure_is_told() -> None:
    with fake_rpc({ops_ping.trace_ping: NotFound("no way")}) as fake:
        result = run(fake, f"ping {FAR} --json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"] == "no way"
