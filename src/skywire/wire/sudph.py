"""sudph's part of the talk with an address resolver, and the hole punch. Source: transport.md §5.

A visor is bound as long as its KCP session with the resolver lives:

    HANDSHAKE ──identity proven──▶ BOUND: addresses, then a heartbeat every 10 s ──▶ "delBind"

On the way back the resolver tells who is about to dial us: we send that address a `HOLE_PUNCH`, so
that a NAT on our side lets the dialler in.
"""

from enum import Enum
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from skywire.crypto.keys import NULL_KEY, PubKey, SecKey
from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError
from skywire.wire import gojson
from skywire.wire.handshake import Initiator
from skywire.wire.handshake import State as HandshakeState
from skywire.wire.resolver import (
    DELETE_BINDING,
    HEARTBEAT,
    MAX_MESSAGE,
    Binding,
    LocalAddresses,
    Push,
    parse_push,
)

HOLE_PUNCH = b"holepunch"
RESOLVER_PORT = 30178  # of UDP, when the resolver's URL has no port
HEARTBEAT_INTERVAL = 10_000  # milliseconds
MAX_LOCAL = 4  # of a peer behind our own NAT, addresses that are tried
MAX_PUSHES = 64  # kept until they are taken; one more pushes out the oldest

Endpoint = tuple[str, int]  # numeric IPv4 address, port


def parse_endpoint(text: str) -> Endpoint:
    """Of "192.0.2.1:4711". Raises InvalidValue; names, IPv6 and port 0 are refused."""
    host, _, port = text.rpartition(":")
    try:
        number = int(port) if port.isascii() and port.isdigit() else 0
        address = str(IPv4Address(host))
    except (AddressValueError, ValueError) as error:
        raise InvalidValue(f'"{text[:80]}" is no IPv4 address with a port: {error}') from error
    if not 0 < number <= 65535:
        raise InvalidValue(f'"{text[:80]}": expected a port of 1 to 65535')
    return address, number


def resolver_endpoint(url: str) -> tuple[str, int]:
    """Host and UDP port of the resolver at `url`. Raises InvalidValue."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValue(f'"{url[:200]}" is no address of a resolver: {error}') from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidValue(f'"{url[:200]}" is no address of a resolver: expected http://host')
    return host, port or RESOLVER_PORT


def endpoints(binding: Binding) -> list[Endpoint]:
    """Where to dial, in order: behind the same NAT the peer's own addresses first."""
    found: list[Endpoint] = []
    if binding.is_local:
        for address in binding.addresses:
            try:
                found.append(parse_endpoint(f"{address}:{binding.port}"))
            except InvalidValue:
                continue  # IPv6, which our socket does not speak
        del found[MAX_LOCAL:]
    public = (
        binding.remote_addr
        if ":" in binding.remote_addr
        else f"{binding.remote_addr}:{binding.port}"
    )
    found.append(parse_endpoint(public))
    return list(dict.fromkeys(found))


class State(Enum):
    HANDSHAKE = "handshake"
    BOUND = "bound"
    CLOSED = "closed"


class BindingSession:
    """The visor's side, message by message. Times are milliseconds on any one clock."""

    def __init__(self, public: PubKey, secret: SecKey, local: LocalAddresses) -> None:
        self.state = State.HANDSHAKE
        self._handshake = Initiator(public, secret, NULL_KEY, source_port=0, port=0)
        self._local = local
        self._out: list[bytes] = [self._handshake.start()]
        self._next_heartbeat = 0
        self._pushes: list[Push] = []

    def messages_to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def pushes(self) -> list[Push]:
        """Who wants to dial us, since the last call."""
        found, self._pushes = self._pushes, []
        return found

    def receive_message(self, data: bytes, now: int) -> None:
        """Raises RemoteProtocolError, and Refused when the resolver says no."""
        if self.state is State.HANDSHAKE:
            answer = self._handshake.receive_data(data)
            if answer:
                self._out.append(answer)
            if self._handshake.state is HandshakeState.DONE:
                self.state = State.BOUND
                self._out.append(gojson.encode(self._local))
                self._heartbeat(now)
                data = self._handshake.rest
            else:
                return
        if data.strip() and self.state is State.BOUND:
            self._receive_push(data)

    def _receive_push(self, data: bytes) -> None:
        if len(data) > MAX_MESSAGE:
            raise RemoteProtocolError(
                f"resolver: message of {len(data)} bytes, expected at most {MAX_MESSAGE}"
            )
        try:
            push = parse_push(data)
            parse_endpoint(push.address)
        except InvalidValue as error:
            raise RemoteProtocolError(f"resolver: {error}") from error
        self._pushes = [*self._pushes[1 - MAX_PUSHES :], push]

    def next_timer(self) -> int | None:
        return self._next_heartbeat if self.state is State.BOUND else None

    def handle_timer(self, now: int) -> None:
        if self.state is State.BOUND and now >= self._next_heartbeat:
            self._heartbeat(now)

    def _heartbeat(self, now: int) -> None:
        self._out.append(HEARTBEAT)
        self._next_heartbeat = now + HEARTBEAT_INTERVAL

    def finish(self) -> None:
        """Unbind, if bound; nothing follows."""
        if self.state is State.CLOSED:
            raise LocalProtocolError("resolver: the binding is given up already")
        if self.state is State.BOUND:
            self._out.append(DELETE_BINDING)
        self.state = State.CLOSED
