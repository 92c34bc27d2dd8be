"""The public deployments."""

from pathlib import Path

import pytest

from skywire.config.deployment import DOMAIN, TEST, deployment
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue


def test_production_and_test_are_embedded() -> None:
    production = deployment()
    assert production.transport_discovery == "http://tpd.skywire.skycoin.com"
    assert production.service_discovery == "http://sd.skycoin.com"
    assert deployment(TEST).transport_discovery == "http://tpd.skywire.dev"
    for pk in production.route_setup_nodes + production.transport_setup:
        PubKey.parse(pk)


def test_another_domain_is_put_in_all_addresses() -> None:
    production = deployment()
    assert production.at(DOMAIN) is production
    moved = production.at("example.org")
    assert moved.address_resolver == "http://ar.example.org"
    assert moved.service_discovery == "http://sd.example.org"
    assert moved.stun_servers == production.stun_servers


def test_a_file_may_be_read_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.json"
    path.write_text('{"prod": {"dns_server": "192.0.2.1", "more": 1}}')
    monkeypatch.setenv("SKYDEPLOY", str(path))
    assert deployment().dns_server == "192.0.2.1"
    with pytest.raises(InvalidValue, match=r'deploy\.json: no deployment "test"'):
        deployment(TEST)


@pytest.mark.parametrize("text", ["", "[]", '{"prod": 7}', '{"prod": {"dns_server": 7}}', "\udcff"])
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
