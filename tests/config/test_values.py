"""Durations as Go writes them, and listening addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.config.values import Duration, HostPort, is_loopback
from skywire.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("168h0m0s", 604800),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("-2s", -2),
        ("0", 0),
        ("1µs", 1e-6),
        (43200000000000, 43200),
        (0, 0),
    ],
)
def test_a_duration_is_a_go_text_or_nanoseconds(text: object, seconds: float) -> None:
    assert Duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", "s", "10", "10x", "1s ", " 1s", "1s2", "--1s", None, True, 1.5, [], "9" * 65]
)
def test_other_durations_are_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="expected a duration"):
        Duration.parse(value)


@pytest.mark.parametrize(
    "text", ["10s", "168h0m0s", "1h30m0s", "1.5s", "250ms", "0s", "-2s", "1m0.5s", "1.001µs", "7ns"]
)
def test_a_duration_is_written_as_go_writes_it(text: str) -> None:
    assert str(Duration.parse(text)) == text


@given(st.integers(-(10**15), 10**15))
def test_what_is_written_reads_back(ns: int) -> None:
    assert Duration.parse(str(Duration.parse(ns))) == pytest.approx(ns / 1e9, abs=1e-9)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        Duration.parse(text)
    except InvalidValue:
        return


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":8000", "", 8000),
        ("localhost:3435", "localhost", 3435),
        ("[::1]:80", "::1", 80),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("", "", 0),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, host: str, port: int) -> None:
    address = HostPort.parse(text)
    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize(
    "value",
    ["8000", "a:b", "a:65536", "::1:80", "a:-1", "a:", 80, None],
)
def test_other_addresses_are_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="host:port"):
        HostPort.parse(value)


@pytest.mark.parametrize(
    "value",
    ["a..b:80", "a" * 70 + ":80", "a b:80", "a\0b:80", "\x1b[2J:80", "\udc80:80"],
)
def test_names_no_resolver_takes_are_refused(value: str) -> None:
    with pytest.raises(InvalidValue, match="host:port"):
        HostPort.parse(value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
    ],
)
def test_the_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    shown = f"[{host}]" if ":" in host else host
    assert HostPort(f"{shown}:80").is_loopback is loopback


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for value in (text, f"{text}:80"):
        try:
            address = HostPort.parse(value)
        except InvalidValue:
            continue
        assert 0 <= address.port <= 0xFFFF
        address.host.encode("idna")
