"""Both ends sign the transport's entry before packets flow. Source: transport.md §3.3.

    dialler                                   acceptor
    {"entry":…,"signatures":[…]} LF ────────▶ checks, signs, registers at the transport discovery
    packets ◀──────────────────────── 01 ──── packets

Any other byte than 01 is a refusal. The label in the entry is always "user".
"""

from enum import IntEnum

from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import InvalidValue, Refused, RemoteProtocolError
from skywire.wire import transport
from skywire.wire.transport import Entry, SignedEntry

MAX_ENTRY = 4096  # bytes of the dialler's JSON; Go's have 516 and 517


class Answer(IntEnum):
    FAILURE = 0
    OK = 1
    SIGNATURE_ERROR = 2
    INVALID_ENTRY = 3

    @property
    def byte(self) -> bytes:
        return bytes([self])


class Dialler:
    """One side of one settlement."""

    def __init__(self, public: PubKey, secret: SecKey, remote: PubKey, kind: str) -> None:
        self.signed = transport.sign(Entry.of(public, remote, kind), secret)

    def request(self) -> bytes:
        """To be sent in one write; nothing else before the answer."""
        return self.signed.encode() + b"\n"

    def receive_data(self, data: bytes) -> bytes:
        """Take the answer (at least one byte); return the packets behind it. Raises Refused."""
        code = data[0]
        if code != Answer.OK:
            name = Answer(code).name.lower().replace("_", " ") if code in list(Answer) else "?"
            raise Refused(
                f"transport {self.signed.entry.id} was refused: {name} ({code})", reason=code
            )
        return data[1:]


class Acceptor:
    """The other side. When `receive_data` raises, the peer is told Answer.INVALID_ENTRY."""

    def __init__(self, public: PubKey, secret: SecKey, remote: PubKey, kind: str) -> None:
        self.expected = Entry.of(public, remote, kind)
        self._secret = secret
        self._remote = remote
        self._received = b""

    def receive_data(self, data: bytes) -> SignedEntry | None:
        """The entry with both signatures, once it has arrived.

        Raises RemoteProtocolError (AuthenticationFailed when the dialler has not signed it).
        """
        self._received += data
        end = self._received.find(b"\n", 0, MAX_ENTRY)
        if end < 0:
            if len(self._received) >= MAX_ENTRY:
                raise RemoteProtocolError(f"settlement: entry is longer than {MAX_ENTRY} bytes")
            return None
        if end + 1 < len(self._received):
            raise RemoteProtocolError("settlement: the peer goes on without having the answer")
        try:
            signed = transport.parse_signed(self._received)
        except InvalidValue as error:
            raise RemoteProtocolError(f"settlement: {error}") from error
        self._check(signed.entry)
        transport.verify_edge(signed, self._remote)
        return transport.sign(
            SignedEntry(self.expected, signed.signatures), self._secret
        )  # the label is ours: it is not signed

    def _check(self, entry: Entry) -> None:
        for name in ("id", "edges", "type"):
            got, wanted = getattr(entry, name), getattr(self.expected, name)
            if got != wanted:
                raise RemoteProtocolError(f"settlement: {name} is {got}, expected {wanted}")
