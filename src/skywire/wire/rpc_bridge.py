"""What a local program sends to reach another visor's RPC through ours. hypervisor.md §1 no. 4.

    "SKYBRI" ‖ scheme (1: 0 dmsg, 1 skynet) ‖ public key (33) ‖ port (2, little-endian)

Then the connection leads to that port. RPC itself never begins with these six bytes: its first
message is a definition of some 46 bytes, and the length comes first.
"""

from typing import NamedTuple

from skywire.crypto.keys import PUBLIC_KEY_SIZE, PubKey
from skywire.errors import InvalidValue, RemoteProtocolError

MAGIC = b"SKYBRI"
SIZE = len(MAGIC) + 1 + PUBLIC_KEY_SIZE + 2
SCHEMES = ("dmsg", "skynet")


class Bridge(NamedTuple):
    scheme: str
    pk: PubKey
    port: int

    def encode(self) -> bytes:
        scheme = SCHEMES.index(self.scheme).to_bytes(1, "little")
        return MAGIC + scheme + self.pk + self.port.to_bytes(2, "little")

    @classmethod
    def parse(cls, raw: bytes) -> "Bridge":
        """Raises RemoteProtocolError for what is no such header."""
        if len(raw) != SIZE or not raw.startswith(MAGIC):
            raise RemoteProtocolError(f"bridge header of {len(raw)} bytes, expected {SIZE}")
        number = raw[len(MAGIC)]
        if number >= len(SCHEMES):
            raise RemoteProtocolError(f"bridge header with scheme {number}, expected 0 or 1")
        try:
            pk = PubKey.validated(raw[len(MAGIC) + 1 : -2])
        except InvalidValue as error:
            raise RemoteProtocolError(f"bridge header: {error}") from error
        port = int.from_bytes(raw[-2:], "little")
        if not port:
            raise RemoteProtocolError("bridge header with port 0")
        return cls(SCHEMES[number], pk, port)
