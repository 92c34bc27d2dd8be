"""SOCKS5 as bytes: the server side for our proxies, the client side for a proxy behind them.

    server:  GREETING ──method 0──▶ REQUEST ──▶ DECIDING ──reply──▶ DONE
                └─────method 2──▶ LOGIN ──ok──┘
    client:  send greeting, METHOD ──▶ REPLY ──▶ DONE

CONNECT only, as the reference's proxy. Sources: RFC 1928, RFC 1929, apps.md §6.
"""

import hmac
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from skywire.errors import InvalidValue, LocalProtocolError, RemoteProtocolError

VERSION = 5
LOGIN_VERSION = 1  # RFC 1929
NO_LOGIN = 0
USER_PASSWORD = 2
NO_METHOD = 0xFF
MAX_EARLY = 64 * 1024  # bytes a client may send behind its request before it has the answer
MAX_NAME = 255  # bytes of a host name, user name or password


class Reply(IntEnum):
    """What a SOCKS server answers to a request; RFC 1928 §6."""

    SUCCEEDED = 0
    GENERAL_FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    CONNECTION_REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


class Command(IntEnum):
    CONNECT = 1
    BIND = 2
    UDP_ASSOCIATE = 3


class AddressType(IntEnum):
    IPV4 = 1
    NAME = 3
    IPV6 = 4


class Connect(NamedTuple):
    """Where the client wants to go: an IP address or a name, as text, and a port."""

    host: str
    port: int


class State(Enum):
    GREETING = "greeting"
    LOGIN = "login"
    REQUEST = "request"
    DECIDING = "deciding"
    DONE = "done"
    BROKEN = "broken"


class _Short(Exception):
    """The message is not complete yet."""


class _Reader:
    """Walks over a message that may end too early."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise _Short
        piece = bytes(self._data[self.position : end])
        self.position = end
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def counted(self) -> bytes:
        return self.take(self.byte())

    def address(self, kind: int) -> str:
        """Raises ValueError for an unknown kind and for a name that is none."""
        if kind == AddressType.IPV4:
            return str(IPv4Address(self.take(4)))
        if kind == AddressType.IPV6:
            return str(IPv6Address(self.take(16)))
        if kind == AddressType.NAME:
            name = self.counted().decode("ascii")
            if not name or not name.isprintable() or " " in name:
                raise ValueError("not a host name")
            return name
        raise ValueError("unknown address type")


def _address(host: str, port: int) -> bytes:
    """Type, address and port. Raises InvalidValue for a name over MAX_NAME bytes or not ASCII."""
    try:
        ip = ip_address(host)
        kind = AddressType.IPV4 if ip.version == 4 else AddressType.IPV6
        return bytes([kind]) + ip.packed + port.to_bytes(2, "big")
    except ValueError:
        pass
    if not host.isascii() or not 0 < len(host) <= MAX_NAME:
        raise InvalidValue(f'host name "{host[:80]}" cannot be sent to a SOCKS proxy')
    return bytes([AddressType.NAME, len(host)]) + host.encode() + port.to_bytes(2, "big")


class Socks5Server:
    """One client's negotiation. With a `passcode` the client must give it as user or password.

    `receive_data` gives the request once; answer it with `send_reply`. On RemoteProtocolError send
    what `data_to_send` still has (it tells the client why) and close.
    """

    def __init__(self, passcode: str = "") -> None:
        self.state = State.GREETING
        self._passcode = passcode.encode()
        self._in = bytearray()
        self._out = bytearray()

    def receive_data(self, data: bytes) -> Connect | None:
        """The request once it is complete. Raises RemoteProtocolError."""
        if self.state is State.BROKEN:
            raise RemoteProtocolError("SOCKS negotiation has already failed")
        if len(self._in) + len(data) > MAX_EARLY:
            raise self._broken(f"SOCKS client sent over {MAX_EARLY} bytes before it had an answer")
        self._in += data
        try:
            while True:
                if self.state is State.GREETING:
                    self._greeting()
                elif self.state is State.LOGIN:
                    self._login()
                elif self.state is State.REQUEST:
                    return self._request()
                else:
                    return None
        except _Short:
            return None

    def _greeting(self) -> None:
        message = _Reader(self._in)
        version = message.byte()
        if version != VERSION:
            hint = " (SOCKS4; use SOCKS5)" if version == 4 else ""
            raise self._broken(f"SOCKS client speaks version {version}{hint}, expected {VERSION}")
        offered = message.counted()
        wanted = USER_PASSWORD if self._passcode else NO_LOGIN
        self._consume(message)
        if wanted not in offered:
            self._out += bytes([VERSION, NO_METHOD])
            raise self._broken(
                "SOCKS client offers no user and password, and this proxy has a passcode"
                if self._passcode
                else "SOCKS client insists on a login, and this proxy has none"
            )
        self._out += bytes([VERSION, wanted])
        self.state = State.LOGIN if self._passcode else State.REQUEST

    def _login(self) -> None:
        message = _Reader(self._in)
        version = message.byte()
        if version != LOGIN_VERSION:
            raise self._broken(f"SOCKS login has version {version}, expected {LOGIN_VERSION}")
        user, password = message.counted(), message.counted()
        self._consume(message)
        # both are compared, so that the time does not tell which one was nearer
        right = hmac.compare_digest(user, self._passcode) | hmac.compare_digest(
            password, self._passcode
        )
        self._out += bytes([LOGIN_VERSION, 0 if right else 1])
        if not right:
            raise self._broken("SOCKS client gave a wrong passcode")
        self.state = State.REQUEST

    def _request(self) -> Connect:
        message = _Reader(self._in)
        version, command, _, kind = message.take(4)
        if version != VERSION:
            raise self._broken(f"SOCKS request has version {version}, expected {VERSION}")
        if kind not in list(AddressType):
            raise self._broken(
                f"SOCKS address type {kind} is unknown", Reply.ADDRESS_TYPE_NOT_SUPPORTED
            )
        try:
            host = message.address(kind)
        except ValueError:
            raise self._broken("SOCKS request names no host", Reply.GENERAL_FAILURE) from None
        port = int.from_bytes(message.take(2), "big")
        self._consume(message)
        if command != Command.CONNECT:
            raise self._broken(
                f"SOCKS command {command} is not supported, only CONNECT",
                Reply.COMMAND_NOT_SUPPORTED,
            )
        self.state = State.DECIDING
        return Connect(host, port)

    def send_reply(self, reply: Reply, host: str = "0.0.0.0", port: int = 0) -> None:  # noqa: S104
        """Answer the request; `host` (an IP address) and `port` are our end of the connection."""
        if self.state is not State.DECIDING:
            raise LocalProtocolError(f"no SOCKS request waits for a reply in state {self.state}")
        self._out += bytes([VERSION, reply, 0]) + _address(host, port)
        self.state = State.DONE if reply is Reply.SUCCEEDED else State.BROKEN

    def data_to_send(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def take_rest(self) -> bytes:
        """What the client sent behind its request: the first bytes of the connection itself."""
        rest = bytes(self._in)
        self._in.clear()
        return rest

    def _consume(self, message: _Reader) -> None:
        del self._in[: message.position]

    def _broken(self, why: str, reply: Reply | None = None) -> RemoteProtocolError:
        self.state = State.BROKEN
        if reply is not None:
            self._out += bytes([VERSION, reply, 0]) + _address("0.0.0.0", 0)  # noqa: S104
        return RemoteProtocolError(why)


class ClientState(Enum):
    METHOD = "method"
    REPLY = "reply"
    DONE = "done"
    BROKEN = "broken"


class Socks5Client:
    """Asks a proxy without login for a connection to `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        """Raises InvalidValue for a host name SOCKS cannot carry."""
        self.state = ClientState.METHOD
        self.reply = Reply.GENERAL_FAILURE
        self._request = bytes([VERSION, Command.CONNECT, 0]) + _address(host, port)
        self._in = bytearray()
        self._out = bytearray([VERSION, 1, NO_LOGIN])

    def receive_data(self, data: bytes) -> bool:
        """True once the proxy has answered: see `reply`. Raises RemoteProtocolError."""
        if self.state is ClientState.BROKEN:
            raise RemoteProtocolError("SOCKS negotiation has already failed")
        if len(self._in) + len(data) > MAX_EARLY:
            raise self._broken(f"SOCKS proxy sent over {MAX_EARLY} bytes before its answer ended")
        self._in += data
        try:
            if self.state is ClientState.METHOD:
                self._method()
            if self.state is ClientState.REPLY:
                self._answer()
        except _Short:
            return False
        return self.state is ClientState.DONE

    def _method(self) -> None:
        message = _Reader(self._in)
        version, method = message.take(2)
        if version != VERSION:
            raise self._broken(f"SOCKS proxy speaks version {version}, expected {VERSION}")
        if method != NO_LOGIN:
            raise self._broken("SOCKS proxy wants a login")
        del self._in[: message.position]
        self._out += self._request
        self.state = ClientState.REPLY

    def _answer(self) -> None:
        message = _Reader(self._in)
        version, reply, _, kind = message.take(4)
        if version != VERSION:
            raise self._broken(f"SOCKS reply has version {version}, expected {VERSION}")
        try:
            self.reply = Reply(reply)
            message.address(kind)
        except ValueError:
            raise self._broken(f"SOCKS reply {reply} cannot be read") from None
        message.take(2)
        del self._in[: message.position]
        self.state = ClientState.DONE

    def data_to_send(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        return data

    def take_rest(self) -> bytes:
        """What came behind the reply: the first bytes of the connection itself."""
        rest = bytes(self._in)
        self._in.clear()
        return rest

    def _broken(self, why: str) -> RemoteProtocolError:
        self.state = ClientState.BROKEN
        return RemoteProtocolError(why)
