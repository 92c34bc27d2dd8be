"""The header by which a local program reaches another visor. hypervisor.md §1 no. 4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import RemoteProtocolError
from skywire.wire.rpc_bridge import SIZE, Bridge

PK = deterministic_key_pair(b"bridge")[0]


@pytest.mark.parametrize("scheme", ["dmsg", "skynet"])
def test_a_header_reads_back(scheme: str) -> None:
    wanted = Bridge(scheme, PK, 0x1234)
    raw = wanted.encode()
    assert len(raw) == SIZE == 42
    assert raw == b"SKYBRI" + bytes([scheme == "skynet"]) + PK + b"\x34\x12"
    assert Bridge.parse(raw) == wanted


GOOD = Bridge("dmsg", PK, 44).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        b"SKYBRO" + GOOD[6:],
        GOOD[:6] + b"\2" + GOOD[7:],
        GOOD[:7] + bytes(33) + GOOD[-2:],
        GOOD[:-2] + bytes(2),
    ],
)
def test_what_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="bridge header"):
        Bridge.parse(raw)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for data in (raw, b"SKYBRI" + raw):
        try:
            assert Bridge.parse(data).encode() == data
        except RemoteProtocolError:
            continue
