"""What visors offer."""

import msgspec
import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import InvalidValue
from skywire.wire.service import Service, parse_address

ALICE = deterministic_key_pair(b"alice")[0]


def test_the_port_may_be_left_out() -> None:
    assert parse_address(f"{ALICE}:44") == (ALICE, 44)
    assert parse_address(str(ALICE)) == (ALICE, 0)


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "9" * 5000, "1:2", "²"])
def test_a_bad_port_is_refused(port: str) -> None:
    with pytest.raises(InvalidValue):
        parse_address(f"{ALICE}:{port}")


@pytest.mark.parametrize("key", ["", "x", "0" * 66, f"{ALICE}0"])
def test_a_bad_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidValue):
        parse_address(f"{key}:1")


def test_a_list_hides_addresses_unless_they_are_to_be_shown() -> None:
    service = Service("a", "vpn", display_node_ip=True, local_ips=("192.0.2.1",))
    assert service.for_list() == Service("a", "vpn", local_ips=("192.0.2.1",))
    hidden = msgspec.structs.replace(service, display_node_ip=False)
    assert hidden.for_list() == Service("a", "vpn")
