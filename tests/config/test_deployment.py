"""The public deployments."""

from pathlib import Path

import pytest

from skywire.config.deployment import DOMAIN, PRODUCTION, SERVICES, TEST, Deployment, deployment
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.wire import dmsg_url


def test_production_and_test_are_embedded() -> None:
    production = deployment()
    assert production.transport_discovery == "http://tpd.skywire.skycoin.com"
    assert production.service_discovery == "http://sd.skycoin.com"
    assert deployment(TEST).transport_discovery == "http://tpd.skywire.dev"
    for pk in production.route_setup_nodes + production.transport_setup:
        PubKey.parse(pk)


@pytest.mark.parametrize("name", [PRODUCTION, TEST])
def test_every_service_has_a_twin_on_dmsg(name: str) -> None:
    known = deployment(name)
    for service in SERVICES:
        if getattr(known, service):
            address = dmsg_url.parse_url(getattr(known, f"{service}_dmsg"))
            assert address.port == 80
    assert known.transport_discovery_dmsg == deployment().transport_discovery_dmsg


def test_the_servers_of_june_2026_are_embedded() -> None:
    entries = deployment().server_entries()
    assert len({entry.static for entry in entries}) == 8
    addresses = {str(entry.static)[:6]: entry.server and entry.server.address for entry in entries}
    assert addresses["0371ab"] == "45.79.213.251:30087"
    assert "030c83" not in addresses
    assert len(deployment(TEST).server_entries()) == 2
    assert deployment().stun_servers == ("139.162.160.227:3478", "172.104.247.120:3478")
    assert len(deployment().route_setup_nodes) == 2


def test_the_twin_of_a_url_keeps_path_and_query() -> None:
    known = deployment()
    on_dmsg = known.transport_discovery_dmsg
    assert known.twin(known.transport_discovery) == on_dmsg
    assert known.twin(f"{known.transport_discovery}/metrics?days=1") == f"{on_dmsg}/metrics?days=1"
    assert known.twin(f"{known.service_discovery}?type=vpn").endswith(":80?type=vpn")


@pytest.mark.parametrize(
    "url", ["", "http://example.org/", "http://tpd.skywire.skycoin.com.example.org/x"]
)
def test_what_is_no_service_of_the_deployment_has_no_twin(url: str) -> None:
    assert deployment().twin(url) == ""
    assert Deployment().twin(url) == ""


def test_the_bootstrapper_is_told_nothing_of_dmsg() -> None:
    told = deployment().told()
    assert told.transport_discovery
    assert (told.conf, told.dmsg_servers, told.transport_discovery_dmsg) == ("", (), "")


def test_the_empty_document_knows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.json"
    path.write_text("{}")
    monkeypatch.setenv("SKYDEPLOY", str(path))
    assert deployment() == deployment(TEST) == Deployment()


def test_a_server_with_a_wrong_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deploy.json"
    path.write_text('{"prod": {"dmsg_servers": [{"static": "02", "server": {"address": "a:1"}}]}}')
    monkeypatch.setenv("SKYDEPLOY", str(path))
    known = deployment()
    with pytest.raises(InvalidValue, match='"02"'):
        known.server_entries()


def test_another_domain_is_put_in_all_addresses() -> None:
    production = deployment()
    assert production.at(DOMAIN) is production
    moved = production.at("example.org")
    assert moved.address_resolver == "http://ar.example.org"
    assert moved.service_discovery == "http://sd.example.org"
    assert moved.conf == "http://conf.example.org"
    assert moved.stun_servers == production.stun_servers
    assert (moved.dmsg_servers, moved.conf_dmsg) == ((), "")


def test_a_file_may_be_read_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.json"
    path.write_text('{"prod": {"dns_server": "192.0.2.1", "more": 1}}')
    monkeypatch.setenv("SKYDEPLOY", str(path))
    assert deployment().dns_server == "192.0.2.1"
    with pytest.raises(InvalidValue, match=r'deploy\.json: no deployment "test"'):
        deployment(TEST)


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"prod": 7}', '{"prod": {"dns_server": 7}}', "\udcff"]
)
def test_a_file_that_makes_no_sense_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "deploy.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setenv("SKYDEPLOY", str(path))
    with pytest.raises(InvalidValue, match=r"deploy\.json"):
        deployment()
    monkeypatch.setenv("SKYDEPLOY", str(tmp_path / "none.json"))
    with pytest.raises(InvalidValue, match=r"none\.json"):
        deployment()
