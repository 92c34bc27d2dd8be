"""Services of a deployment from the Go programs' files."""

import json
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.config.deployment import Deployment, deployment
from skywire.config.services import parse_dmsghttp, parse_services, read
from skywire.errors import InvalidValue

KEY = "022e607e0914d6e7ccda7587f95790c09e126bbd506cc476a1eda852325aadd1aa"


def test_one_deployment_or_both_are_read() -> None:
    base = Deployment(dns_server="9.9.9.9")
    inner = {"dmsg_discovery": "http://d.example", "stun_servers": ["a:1"], "unknown": 1}
    for document in (inner, {"prod": inner, "test": {"conf": "x"}}):
        found = parse_services(json.dumps(document).encode(), "f", "prod", base)
        assert found == Deployment(
            dmsg_discovery="http://d.example", stun_servers=("a:1",), dns_server="9.9.9.9"
        )


def test_what_the_bootstrapper_tells_is_understood() -> None:
    known = deployment()
    assert parse_services(msgspec.json.encode(known.told()), "f", "prod", known) == known


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{", "no JSON of services"),
        ("[]", "no JSON of services"),
        ('{"prod": 7}', "no JSON of services"),
        ('{"test": {"conf": "x"}}', 'no service of "prod"'),
        ('{"unknown": 1}', 'no service of "prod"'),
        ('{"dmsg_discovery": 7}', "dmsg_discovery"),
        ('{"stun_servers": ["a", 7]}', "stun_servers"),
    ],
)
def test_what_makes_no_sense_is_named(document: str, expected: str) -> None:
    with pytest.raises(InvalidValue, match=f"^f: .*{expected}"):
        parse_services(document.encode(), "f", "prod", Deployment())


def test_addresses_on_dmsg_are_read() -> None:
    servers = [{"static": KEY, "server": {"address": "192.0.2.1:80"}}]
    document = {"prod": {"dmsg_servers": servers, "route_finder": f"dmsg://{KEY}:80"}}
    found = parse_dmsghttp(json.dumps(document).encode(), "f", "prod", Deployment())
    assert found.route_finder_dmsg == f"dmsg://{KEY}:80"
    assert [entry.static.hex() for entry in found.server_entries()] == [KEY]


@pytest.mark.parametrize("document", [{}, {"route_finder": "http://x"}, {"dmsg_servers": [7]}])
def test_what_is_not_on_dmsg_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(InvalidValue, match=r"^f: "):
        parse_dmsghttp(json.dumps({"prod": document}).encode(), "f", "prod", Deployment())


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for parse in (parse_services, parse_dmsghttp):
        with suppress(InvalidValue):
            parse(raw, "f", "prod", Deployment())


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="none: No such file"):
        read(tmp_path / "none")
    path = tmp_path / "f"
    path.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(InvalidValue, match="larger than"):
        read(path)


def test_another_deployment_has_nothing_of_ours() -> None:
    base = Deployment(
        dmsg_discovery="http://ours", uptime_tracker="http://ut", conf_dmsg="dmsg://x"
    )
    told = b'{"dmsg_discovery": "http://theirs", "route_finder": "http://rf"}'
    theirs = Deployment(dmsg_discovery="http://theirs", route_finder="http://rf")
    assert parse_services(told, "f", "prod", base) == theirs
    for same in (b'{"dmsg_discovery": "http://ours", "conf": "c"}', b'{"conf": "c"}'):
        assert parse_services(same, "f", "prod", base).uptime_tracker == "http://ut"
