"""PROXY headers: both versions, any split, any bytes."""

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import RemoteProtocolError
from skywire.wire.proxy_header import SIGNATURE_2, ProxyHeaderReader, Source


def version_2(host: str, port: int, command: int = 0x21) -> bytes:
    address = ipaddress.ip_address(host).packed
    family = 0x11 if len(address) == 4 else 0x21
    body = address + bytes(len(address)) + struct.pack("!HH", port, 80)
    return SIGNATURE_2 + struct.pack("!BBH", command, family, len(body)) + body


ACCEPTED = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", Source("192.0.2.1", 56324)),
    (b"PROXY TCP6 2001:db8::1 ::1 7 8\r\n", Source("2001:db8::1", 7)),
    (b"PROXY UNKNOWN\r\n", Source("", 0)),
    (version_2("203.0.113.9", 5), Source("203.0.113.9", 5)),
    (version_2("2001:db8::2", 6), Source("2001:db8::2", 6)),
    (version_2("203.0.113.9", 5, command=0x20), Source("", 0)),
]


@pytest.mark.parametrize(("raw", "source"), ACCEPTED)
@given(rest=st.binary(max_size=20), data=st.data())
def test_a_header_is_read_from_any_pieces(
    raw: bytes, source: Source, rest: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(raw) - 1))
    reader = ProxyHeaderReader()
    assert reader.receive_data(raw[:cut]) is None
    assert reader.receive_data(raw[cut:] + rest) == (source, rest)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x31" + bytes(49),
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 nonsense 198.51.100.2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 99999 2\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE_2 + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE_2 + b"\x21\x11\xff\xff" + bytes(12),
        SIGNATURE_2 + b"\x21\x11\x00\x04" + bytes(4),
    ],
)
def test_everything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ProxyHeaderReader().receive_data(raw)


@given(st.binary(max_size=150), st.sampled_from([b"", b"PROXY ", SIGNATURE_2]))
def test_any_bytes_are_read_or_refused(raw: bytes, start: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        ProxyHeaderReader().receive_data(start + raw)
