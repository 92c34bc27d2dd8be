"""Numbers for people."""

import pytest

from skywire.cli import figures


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
