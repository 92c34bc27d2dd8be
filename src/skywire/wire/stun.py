"""STUN as RFC 3489 has it: what address do others see, and what kind of NAT is in between?

    I    to the server                                 our mapped address, and its other one
    II   answered from the other address and port      does everybody get in?
    I'   to the other address                          is the mapping the same for all?
    III  answered from the other port                  does the host get in, or only the port?

Source: RFC 3489 §10.1, §11; the texts are those the reference shows (visor.md §1).
"""

import struct
from enum import Enum
from typing import NamedTuple

from skywire.errors import InvalidValue, RemoteProtocolError

HEADER = struct.Struct(">HH")  # type, length of the attributes; a transaction id of 16 follows
HEADER_SIZE = 20
COOKIE = 0x2112A442  # begins the transaction id, so that newer servers see a newer client
BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
BINDING_ERROR = 0x0111
MAPPED_ADDRESS = 0x0001
CHANGE_REQUEST = 0x0003
CHANGED_ADDRESS = 0x0005
XOR_MAPPED_ADDRESS = 0x0020
OTHER_ADDRESS = 0x802C  # RFC 5780's name for the changed address
CHANGE_PORT = 0x2
CHANGE_IP = 0x4
IPV4 = 1
DEFAULT_PORT = 3478

TESTS = 4
RANDOM_SIZE = 12 * TESTS  # bytes of randomness for the transaction ids
FIRST_WAIT = 100  # milliseconds until the first repetition, then twice as long each time
SENDS = 5  # ours: the RFC sends 9 times and waits 9.5 s
LAST_WAIT = 1600  # milliseconds after the last

Endpoint = tuple[str, int]  # numeric IPv4 address, port


class NatType(Enum):
    """The value is the text for people."""

    ERROR = "Test failed"
    UNKNOWN = "Unexpected response from the STUN server"
    BLOCKED = "UDP is blocked"
    NONE = "Not behind a NAT"
    FULL_CONE = "Full cone NAT"
    RESTRICTED = "Restricted NAT"
    PORT_RESTRICTED = "Port restricted NAT"
    SYMMETRIC = "Symmetric NAT"
    SYMMETRIC_FIREWALL = "Symmetric UDP firewall"

    @property
    def is_symmetric(self) -> bool:
        """Hole punching is hopeless: sudph is not started."""
        return self in (NatType.SYMMETRIC, NatType.SYMMETRIC_FIREWALL)

    @property
    def is_known(self) -> bool:
        return self not in (NatType.ERROR, NatType.UNKNOWN, NatType.BLOCKED)


class Nat(NamedTuple):
    type: NatType
    public: Endpoint | None  # as the server saw us, if it said so

    @property
    def public_ip(self) -> str:
        """The address, or why there is none: what a visor shows."""
        if self.public is None or not self.type.is_known:
            return self.type.value
        return self.public[0]


class Message(NamedTuple):
    """A binding request or its answer; endpoints are None where absent or not IPv4."""

    type: int
    transaction: bytes  # 16 bytes
    change: int = 0
    mapped: Endpoint | None = None
    other: Endpoint | None = None

    def encode(self) -> bytes:
        body = b""
        if self.type == BINDING_REQUEST:
            body = struct.pack(">HHI", CHANGE_REQUEST, 4, self.change)
        for kind, endpoint in ((MAPPED_ADDRESS, self.mapped), (CHANGED_ADDRESS, self.other)):
            if endpoint is not None:
                body += HEADER.pack(kind, 8) + _pack(endpoint)
        return HEADER.pack(self.type, len(body)) + self.transaction + body


def _pack(endpoint: Endpoint) -> bytes:
    host, port = endpoint
    return struct.pack(">xBH4B", IPV4, port, *map(int, host.split(".")))


def _unpack(value: bytes, mask: bytes) -> Endpoint | None:
    """`mask` is xored over port and address."""
    if len(value) != 8 or value[1] != IPV4:
        return None
    port = int.from_bytes(value[2:4], "big") ^ int.from_bytes(mask[:2], "big")
    return ".".join(str(a ^ b) for a, b in zip(value[4:], mask, strict=True)), port


def parse(data: bytes) -> Message:
    """Raises RemoteProtocolError. Attributes we do not know are skipped."""
    if len(data) < HEADER_SIZE:
        raise RemoteProtocolError(f"STUN message of {len(data)} bytes, expected {HEADER_SIZE}")
    kind, length = HEADER.unpack_from(data)
    transaction = data[4:HEADER_SIZE]
    if kind & 0xC000 or length != len(data) - HEADER_SIZE:
        raise RemoteProtocolError(f"STUN message of type {kind:#x} says {length} bytes follow")
    change, mapped, xor_mapped, other = 0, None, None, None
    at = HEADER_SIZE
    while at < len(data):
        if at + HEADER.size > len(data):
            raise RemoteProtocolError("STUN message ends inside an attribute")
        attribute, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        value = data[at : at + size]
        if len(value) < size:
            raise RemoteProtocolError("STUN message ends inside an attribute")
        at += (size + 3) & ~3  # padded, by newer servers
        if attribute == MAPPED_ADDRESS:
            mapped = _unpack(value, bytes(4))
        elif attribute == XOR_MAPPED_ADDRESS:
            xor_mapped = _unpack(value, transaction[:4])
        elif attribute in (CHANGED_ADDRESS, OTHER_ADDRESS):
            other = _unpack(value, bytes(4))
        elif attribute == CHANGE_REQUEST and size == 4:
            change = int.from_bytes(value, "big")
    return Message(kind, transaction, change, xor_mapped or mapped, other)


class _Test(Enum):
    """The value is the number of its transaction id."""

    FIRST = 0
    CHANGE_BOTH = 1
    FIRST_AT_OTHER = 2
    CHANGE_PORT = 3


_CHANGES = {_Test.CHANGE_BOTH: CHANGE_IP | CHANGE_PORT, _Test.CHANGE_PORT: CHANGE_PORT}


class NatProbe:
    """The client. It is over when `result` is set; times are milliseconds.

    `local` is the address our socket has towards the server, `random` RANDOM_SIZE random bytes.
    """

    def __init__(self, server: Endpoint, local: Endpoint, random: bytes, now: int) -> None:
        if len(random) != RANDOM_SIZE:
            raise InvalidValue(f"STUN: {len(random)} random bytes, expected {RANDOM_SIZE}")
        self.result: Nat | None = None
        self._server = server
        self._local = local
        self._random = random
        self._mapped: Endpoint | None = None
        self._other: Endpoint | None = None
        self._begin(_Test.FIRST, now)

    def _begin(self, test: _Test, now: int) -> None:
        self._test = test
        self._sends = 0
        self._wait = FIRST_WAIT
        self._next = now

    def _transaction(self) -> bytes:
        at = 12 * self._test.value
        return COOKIE.to_bytes(4, "big") + self._random[at : at + 12]

    def data_to_send(self, now: int) -> list[tuple[bytes, Endpoint]]:
        """Datagrams that are due, each with its destination."""
        if self.result is not None or now < self._next or self._sends == SENDS:
            return []
        self._sends += 1
        self._next = now + (LAST_WAIT if self._sends == SENDS else self._wait)
        self._wait *= 2
        request = Message(BINDING_REQUEST, self._transaction(), _CHANGES.get(self._test, 0))
        to = self._server
        if self._test is _Test.FIRST_AT_OTHER:
            assert self._other is not None, "test I told it"  # noqa: S101 - a type guard
            to = self._other
        return [(request.encode(), to)]

    def next_timer(self) -> int | None:
        """When to call `handle_timer`, then `data_to_send`."""
        return None if self.result is not None else self._next

    def handle_timer(self, now: int) -> None:
        if self.result is None and self._sends == SENDS and now >= self._next:
            self._no_answer(now)

    def receive_datagram(self, data: bytes, source: Endpoint, now: int) -> None:
        """What is no answer to the question that is open is ignored."""
        if self.result is not None:
            return
        try:
            message = parse(data)
        except RemoteProtocolError:
            return
        if message.transaction != self._transaction():
            return
        if message.type == BINDING_ERROR:
            self._end(NatType.UNKNOWN)
        elif message.type == BINDING_RESPONSE:
            self._answer(message, source, now)

    def _answer(self, message: Message, source: Endpoint, now: int) -> None:
        if message.mapped is None:
            self._end(NatType.UNKNOWN)
        elif self._test is _Test.FIRST:
            self._mapped = message.mapped
            self._other = message.other
            if message.other is None:  # such a server can tell the address, nothing more
                self._end(NatType.UNKNOWN)
            else:
                self._begin(_Test.CHANGE_BOTH, now)
        elif self._test is _Test.CHANGE_BOTH:
            if source[0] == self._server[0]:
                self._end(NatType.UNKNOWN)  # it did not do what it was asked
            else:
                self._end(NatType.NONE if self._mapped == self._local else NatType.FULL_CONE)
        elif self._test is _Test.FIRST_AT_OTHER:
            if message.mapped != self._mapped:
                self._end(NatType.SYMMETRIC)
            else:
                self._begin(_Test.CHANGE_PORT, now)
        elif source[1] == self._server[1]:
            self._end(NatType.UNKNOWN)
        else:
            self._end(NatType.RESTRICTED)

    def _no_answer(self, now: int) -> None:
        if self._test is _Test.FIRST:
            self._end(NatType.BLOCKED)
        elif self._test is _Test.CHANGE_BOTH:
            if self._mapped == self._local:
                self._end(NatType.SYMMETRIC_FIREWALL)
            else:
                self._begin(_Test.FIRST_AT_OTHER, now)
        elif self._test is _Test.FIRST_AT_OTHER:
            self._end(NatType.ERROR)
        else:
            self._end(NatType.PORT_RESTRICTED)

    def _end(self, kind: NatType) -> None:
        self.result = Nat(kind, self._mapped)
