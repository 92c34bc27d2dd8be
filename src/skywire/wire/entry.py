"""Discovery entries: who is where in dmsg. Source: dmsg.md §8, §15.

An entry is signed over its compact JSON without the signature. Peers of 2026 sign a few more keys
(`protocol`, more server addresses): they are kept, and `verified` accepts both forms.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from skywire.crypto import curve
from skywire.crypto.keys import NULL_KEY, PubKey, SecKey, Signature
from skywire.errors import AuthenticationFailed, Conflict, InvalidValue
from skywire.wire import gojson

VERSION = "0.0.1"
MAX_SIZE = 256 * 1024  # bytes of one document; ours, the reference has no limit
OLDEST = 60 * 10**9  # ns, a server entry's timestamp
NEWEST = 5 * 10**9  # ns in the future
VISOR = "visor"  # the client type that discovery lists apart

VALIDATION = "entry validation error: "
WRONG_SEQUENCE = VALIDATION + "sequence field of new entry is not sequence of old entry + 1"
WRONG_TIME = VALIDATION + "advertised entry timestamp is not greater than previous"


class ClientInfo(msgspec.Struct, frozen=True):
    """None and an empty list of servers are signed differently."""

    delegated_servers: tuple[PubKey, ...] | None


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The order of the fields is the order in which they are signed."""

    address: str
    address_v6: str = ""
    address_udp: str = ""
    address_udp_v6: str = ""
    address_ws: str = ""
    available_sessions: int = msgspec.field(name="availableSessions")
    server_type: str = msgspec.field(default="", name="serverType")
    dht_bootstrap: bool | str | tuple[str, ...] | None = None  # 2026; which one is not known

    def without_newer_keys(self) -> "ServerInfo":
        return ServerInfo(
            address=self.address,
            available_sessions=self.available_sessions,
            server_type=self.server_type,
        )


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The order of the fields is the order in which they are signed."""

    version: str
    sequence: int
    timestamp: int  # Unix time in ns
    static: PubKey
    client: ClientInfo | None = None
    client_type: str = ""
    server: ServerInfo | None = None
    signature: str = ""  # hexadecimal; any text until `verified`
    protocol: str = ""  # 2026: the multiplexer; "" is yamux

    @classmethod
    def of_client(
        cls, pk: PubKey, servers: Iterable[PubKey], client_type: str = "", *, now: int = 0
    ) -> "Entry":
        """Unsigned, sequence 0. `now` is Unix time in ns."""
        return cls(
            version=VERSION,
            sequence=0,
            timestamp=now,
            static=pk,
            client=ClientInfo(tuple(servers)),
            client_type=client_type,
        )

    @classmethod
    def of_server(
        cls, pk: PubKey, address: str, available: int, server_type: str = "", *, now: int = 0
    ) -> "Entry":
        """Unsigned, sequence 0. `now` is Unix time in ns."""
        return cls(
            version=VERSION,
            sequence=0,
            timestamp=now,
            static=pk,
            server=ServerInfo(
                address=address, available_sessions=available, server_type=server_type
            ),
        )

    def encode(self) -> bytes:
        """The whole document, as it is posted, stored and answered."""
        return gojson.encode(self)

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return gojson.encode(msgspec.structs.replace(self, signature=""))

    def without_newer_keys(self) -> "Entry":
        """As a node of 2024 understands it."""
        server = self.server.without_newer_keys() if self.server else None
        return msgspec.structs.replace(self, server=server, protocol="")


def sign(entry: Entry, sk: SecKey) -> Entry:
    """`entry` with its signature. Raises InvalidValue unless `sk` is the key of `entry.static`."""
    if sk.public() != entry.static:
        raise InvalidValue(
            f"entry of {entry.static} cannot be signed with the key of {sk.public()}"
        )
    signature = curve.sign(entry.signed_bytes(), sk)
    return msgspec.structs.replace(entry, signature=signature.hex())


def verified(entry: Entry) -> Entry:
    """`entry` as far as its signature covers it: keys of 2026 that were not signed are dropped.

    Raises AuthenticationFailed. An entry read from a discovery does not verify when it is a
    server's, since the discovery rewrites `serverType`: do not ask.
    """
    try:
        signature = Signature.parse(entry.signature)
    except InvalidValue as error:
        raise AuthenticationFailed("Invalid signature length") from error
    plain = entry.without_newer_keys()
    if plain != entry:
        try:
            curve.verify(entry.static, entry.signed_bytes(), signature)
        except AuthenticationFailed:
            pass
        else:
            return entry
    curve.verify(entry.static, plain.signed_bytes(), signature)
    return plain


def validate(entry: Entry, *, now: int | None = None) -> None:
    """Structural checks. Raises InvalidValue with the reference's text.

    `now` is Unix time in ns; None leaves out the time check, which concerns pure servers only.
    """
    problem = None
    if not entry.version:
        problem = "entry has no version"
    elif not entry.signature:
        problem = "entry has no signature"
    elif entry.static.is_null:
        problem = "entry Keys is nil"
    elif entry.client is None and entry.server is None:
        problem = "entry has neither client or server field"
    elif entry.server is not None and not entry.server.address:
        problem = "server address cannot be empty"
    elif (
        now is not None
        and entry.client is None
        and not now - OLDEST <= entry.timestamp <= now + NEWEST
    ):
        problem = "advertised entry has outdated timestamp"
    if problem:
        raise InvalidValue(VALIDATION + problem)


def check_iteration(old: Entry, new: Entry) -> None:
    """May `new` replace `old`? Raises Conflict with the reference's text."""
    if new.sequence <= old.sequence:
        raise Conflict(WRONG_SEQUENCE)
    if new.timestamp < old.timestamp:
        raise Conflict(WRONG_TIME)


def parse(document: bytes) -> Entry:
    """An entry from its JSON, read as leniently as the reference: key names in any case, unknown
    keys dropped, absent ones zero. Raises InvalidValue."""
    if len(document) > MAX_SIZE:
        raise InvalidValue(f"entry has {len(document)} bytes, at most {MAX_SIZE} are accepted")
    try:
        value = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidValue(f"entry is not JSON: {error}") from error
    return from_json(value)


def parse_list(document: bytes) -> list[Entry]:
    """Entries from a JSON array of them; null is an empty one. Raises InvalidValue."""
    try:
        values = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidValue(f"entries are not JSON: {error}") from error
    if not isinstance(values, list | None):
        raise InvalidValue(f"entries are a JSON {type(values).__name__}, expected an array")
    return [from_json(value) for value in values or ()]


def from_json(value: object) -> Entry:
    """An entry from decoded JSON; null is the empty entry, as in Go. Raises InvalidValue."""
    fields = _Fields(value, "entry")
    client = server = None
    if (given := fields.take("client")) is not None:
        client = ClientInfo(_keys(_Fields(given, "client").take("delegated_servers")))
    if (given := fields.take("server")) is not None:
        part = _Fields(given, "server")
        server = ServerInfo(
            address=part.text("address"),
            address_v6=part.text("address_v6"),
            address_udp=part.text("address_udp"),
            address_udp_v6=part.text("address_udp_v6"),
            address_ws=part.text("address_ws"),
            available_sessions=part.number("availablesessions", -(2**63), 2**63),
            server_type=part.text("servertype"),
            dht_bootstrap=_simple(part.take("dht_bootstrap")),
        )
    return Entry(
        version=fields.text("version"),
        sequence=fields.number("sequence", 0, 2**64),
        timestamp=fields.number("timestamp", -(2**63), 2**63),
        static=_key(fields.take("static")),
        client=client,
        client_type=fields.text("client_type"),
        server=server,
        signature=fields.text("signature"),
        protocol=fields.text("protocol"),
    )


class _Fields:
    """Members of a JSON object by lower-case name; null counts as absent, as in Go."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict | None):
            raise InvalidValue(f"{what} is a JSON {type(value).__name__}, expected an object")
        self._what = what
        self._values: dict[str, Any] = {key.lower(): item for key, item in (value or {}).items()}

    def take(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str | None):
            raise InvalidValue(f"{self._what}: {name} is {value!r:.80}, expected a text")
        return value or ""

    def number(self, name: str, low: int, end: int) -> int:
        """A whole number, low <= n < end."""
        value = self._values.get(name)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value < end:
            raise InvalidValue(f"{self._what}: {name} is {value!r:.80}, expected a whole number")
        return value


def _simple(value: object) -> bool | str | tuple[str, ...] | None:
    """A value of a key whose type we do not know; anything deep is dropped like an unknown key."""
    if isinstance(value, bool | str):
        return value or None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value) or None
    return None


def _key(value: object) -> PubKey:
    if value is None:
        return NULL_KEY
    if not isinstance(value, str):
        raise InvalidValue(f"public key is {value!r:.80}, expected a text")
    return PubKey.parse_or_null(value)


def _keys(values: object) -> tuple[PubKey, ...] | None:
    if not isinstance(values, list | None):
        raise InvalidValue(f"delegated_servers is {values!r:.80}, expected an array")
    return None if values is None else tuple(_key(value) for value in values)
