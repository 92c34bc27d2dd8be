"""PROXY protocol headers, versions 1 and 2: who a connection really comes from.

    version 1   PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 CR LF      at most 107 bytes
    version 2   12 fixed bytes, version and command, family, length(2), addresses

Source: the PROXY protocol specification (haproxy.org), §2.1 and §2.2. The reference reads such a
header from anyone; we only where the operator says that a proxy stands in front.
"""

import ipaddress
import struct
from typing import NamedTuple

from skywire.errors import RemoteProtocolError

SIGNATURE_2 = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_LINE = 107
MAX_ADDRESSES = 2048  # bytes behind a version 2 head; 36 for IPv6, the rest are extensions
_HEAD_2 = struct.Struct("!12sBBH")
_FAMILIES = {0x11: (4, "!4s4sHH"), 0x21: (6, "!16s16sHH")}  # TCP over IPv4, IPv6


class Source(NamedTuple):
    """The client's address; host "" when the proxy speaks for itself or does not know."""

    host: str
    port: int


class ProxyHeaderReader:
    """Takes bytes until the header is whole."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive_data(self, data: bytes) -> tuple[Source, bytes] | None:
        """The source and what follows the header; None: more bytes are needed.

        Raises RemoteProtocolError when the connection does not begin with a header.
        """
        self._buffer += data
        buffer = self._buffer
        if buffer.startswith(SIGNATURE_2):
            return self._version_2(buffer)
        if buffer.startswith(b"PROXY "):
            return self._version_1(buffer)
        if SIGNATURE_2.startswith(buffer[:12]) or b"PROXY ".startswith(buffer[:6]):
            return None
        raise RemoteProtocolError("no PROXY header at the start of the connection")

    def _version_1(self, buffer: bytes) -> tuple[Source, bytes] | None:
        line, end, rest = buffer[: MAX_LINE + 2].partition(b"\r\n")
        if not end:
            if len(buffer) > MAX_LINE:
                raise RemoteProtocolError(f"PROXY header is longer than {MAX_LINE} bytes")
            return None
        rest = buffer[len(line) + 2 :]
        parts = line.decode("ascii", "replace").split(" ")
        if parts[1] == "UNKNOWN":
            return Source("", 0), rest
        if len(parts) != 6 or parts[1] not in ("TCP4", "TCP6"):
            raise RemoteProtocolError(f"PROXY header of {len(parts)} parts, expected 6")
        try:
            host = ipaddress.ip_address(parts[2])
            port = int(parts[4])
        except ValueError as error:
            raise RemoteProtocolError(f"PROXY header with a bad address: {error}") from error
        if host.version != int(parts[1][3]) or not 0 <= port < 65536:
            raise RemoteProtocolError("PROXY header whose address does not fit its family")
        return Source(str(host), port), rest

    def _version_2(self, buffer: bytes) -> tuple[Source, bytes] | None:
        if len(buffer) < _HEAD_2.size:
            return None
        _, command, family, length = _HEAD_2.unpack_from(buffer)
        if command >> 4 != 2 or command & 0xF > 1 or length > MAX_ADDRESSES:
            raise RemoteProtocolError("PROXY header of an unknown kind")
        end = _HEAD_2.size + length
        if len(buffer) < end:
            return None
        rest = buffer[end:]
        if command & 0xF == 0 or family not in _FAMILIES:
            return Source("", 0), rest
        _, layout = _FAMILIES[family]
        if length < struct.calcsize(layout):
            raise RemoteProtocolError(f"PROXY header with {length} bytes of addresses")
        host, _, port, _ = struct.unpack_from(layout, buffer, _HEAD_2.size)
        return Source(str(ipaddress.ip_address(host)), port), rest
