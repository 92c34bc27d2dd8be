"""Numbers for people."""

import pytest
from click.testing import CliRunner

from skywire.cli import figures
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.visor import ops_dmsg, ops_info, ops_transports
from skywire.visor.ops_transports import TransportFigures
from skywire.visor.types import DmsgServer, LoadStats
from tests.cli.fake_rpc import fake_rpc


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.8921839998947689, "0.892"),
        (3.216339727250969, "3.22"),
        (7.5, "7.5"),
        (45.678, "45.7"),
        (99.99, "100"),
        (1234.5, "1234"),
        (-2.5, "-2.5"),
        (0.0004, "0"),
    ],
)
def test_three_digits_are_enough(value: float, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.25, "0.25 s"),
        (45.4, "45 s"),
        (185.0, "3 min 5 s"),
        (3600.0, "1 h"),
        (7800.0, "2 h 10 min"),
        (273_600.0, "3 d 4 h"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert figures.age(seconds) == text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("latency_ms", 0.8921839998947689, "0.892 ms"),
        ("latency_ms", 0.0, "-"),
        ("bandwidth", 1_234_567.0, "1.2 MB/s"),
        ("bandwidth_age_s", 61.0, "1 min 1 s"),
        ("mem_used_percent", 12.3456, "12.3 %"),
        ("queued", 0, "0 B"),
        ("cpu_cores", 2, "2"),
        ("load1", 3.216339727250969, "3.22"),
    ],
)
def test_the_end_of_a_key_tells_the_unit(key: str, value: float, text: str) -> None:
    assert figures.shown(key, value) == text


def test_a_column_leaves_the_unit_to_its_cells() -> None:
    assert figures.heading("latency_ms") == "latency"
    assert figures.heading("bandwidth") == "bandwidth"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("ns", 31_234_567, "31.2 ms"),
        ("ns", 0, "-"),
        ("ms", 1.234, "1.23 ms"),
        ("B/s", 2_500, "2.5 kB/s"),
        ("B", 0, "0 B"),
        ("s", 61, "1 min 1 s"),
    ],
)
def test_a_class_may_name_the_unit(unit: str, value: float, text: str) -> None:
    assert figures.shown("latency", value, unit) == text


def test_tables_have_units_and_json_has_what_was_measured() -> None:
    load = LoadStats(load1=3.216339727250969, mem_used_percent=12.3456789, cpu_cores=2)
    servers = [DmsgServer(deterministic_key_pair(b"a")[0], 31_234_567)]
    link = TransportFigures(latency_ms=0.8921839998947689, bandwidth=1_234_567.8, queued=12)
    answers = {
        ops_info.host_stats: load,
        ops_dmsg.dmsg_sessions: servers,
        ops_transports.transport_figures: [link],
    }

    def run(words: str) -> str:
        with fake_rpc(answers) as fake:
            result = CliRunner().invoke(root, ["cli", "--rpc", fake.address, *words.split()])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    text = run("visor load")
    assert "3.22" in text
    assert "12.3 %" in text
    assert "3.216339727250969" in run("visor load --json")
    assert "31.2 ms" in run("dmsg sessions")
    assert "31234567" in run("dmsg sessions --json")
    text = run("tp metrics")
    assert "0.892 ms" in text
    assert "1.2 MB/s" in text
    assert "12 B" in text
    assert "latency_ms" not in text
    assert "0.8921839998947689" in run("tp metrics --json")
