"""Go's net/rpc over gob: requests and responses ↔ bytes, for both sides. Source: gob.md §8.

Each message is a header and a body. One encoder and one decoder serve a connection for its life,
so bytes must be written in the order in which they were made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from skywire.errors import RemoteProtocolError
from skywire.wire import gob
from skywire.wire.gob_encode import put_block, put_uint
from skywire.wire.gob_types import ANY, EMPTY, STRING, UINT64, Go, GoType, GoTypes
from skywire.wire.gob_wire import read_uint

MAX_ERROR_TEXT = 4096  # characters of an error text that we pass on
MAX_STRAY = 256  # answers to no open call on one connection
MAX_STARTS = 256  # methods whose header is remembered; those of others are made anew each time


@dataclass(slots=True)
class Request:
    GO_NAME: ClassVar[str] = "Request"
    service_method: Annotated[str, Go("ServiceMethod", STRING)] = ""
    seq: Annotated[int, Go("Seq", UINT64)] = 0


@dataclass(slots=True)
class Response:
    GO_NAME: ClassVar[str] = "Response"
    service_method: Annotated[str, Go("ServiceMethod", STRING)] = ""
    seq: Annotated[int, Go("Seq", UINT64)] = 0
    error: Annotated[str, Go("Error", STRING)] = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to the call with number `seq`: a value, an error text of the peer's, or `broken`.

    `broken` says why the value could not be decoded; the connection goes on.
    """

    seq: int
    value: Any = None
    error: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to answer. `refusal`, if not empty, is the error text to answer with."""

    method: str
    seq: int
    argument: Any = None
    refusal: str = ""


class _Headed:
    """Encodes headers with their bodies. What the headers of a method have in common is made
    once: a key typed into a terminal takes four of them.
    """

    def __init__(self, kind: type[Request] | type[Response]) -> None:
        self._kind = kind
        self._encoder = gob.Encoder()
        self._starts: dict[str, bytes] = {}  # by method, up to the number; after the definitions

    def encode(self, method: str, seq: int, body_type: GoType, body: Any) -> bytes:
        """Raises LocalProtocolError, with nothing done, when `body` is no `body_type`."""
        start = self._starts.get(method)
        if start is None:
            header = self._kind(method, seq)
            data = self._encoder.encode_all((self._kind, header), (body_type, body))
            if method and len(self._starts) < MAX_STARTS:
                message = self._encoder.encode(self._kind, self._kind(method))
                self._starts[method] = message[read_uint(message, 0)[1] : -1]
            return data
        out = bytearray(start)
        if seq:
            out.append(1)
            put_uint(out, seq)
        out.append(0)
        rest = self._encoder.encode(body_type, body)
        whole = bytearray()
        put_block(whole, out)
        whole += rest
        return bytes(whole)

    def refuse(self, method: str, seq: int, error: str) -> bytes:
        return self._encoder.encode_all((Response, Response(method, seq, error)), (EMPTY, None))


class ClientSide:
    def __init__(self, max_message: int = gob.MAX_MESSAGE) -> None:
        self._out = _Headed(Request)
        self._decoder = gob.Decoder(max_message)
        self._header: Response | None = None
        self._expected: dict[int, GoTypes] = {}
        self._stray = MAX_STRAY  # answers to no open call that are passed over
        self._next_seq = 0

    def call(
        self, method: str, argument_type: GoType, argument: Any, reply_type: GoTypes
    ) -> tuple[int, bytes]:
        """The number of a new call, and the bytes to write for it.

        Raises LocalProtocolError, with nothing done, when the argument is not of its type.
        """
        seq = self._next_seq
        data = self._out.encode(method, seq, argument_type, argument)
        self._next_seq += 1
        self._expected[seq] = reply_type
        return seq, data

    def forget(self, seq: int) -> None:
        """Nobody waits for this answer any more; it is dropped when it comes."""
        if self._expected.pop(seq, None) is not None:
            self._stray += 1  # it may come late

    def receive_data(self, data: bytes) -> list[Reply]:
        """Raises RemoteProtocolError when the connection cannot go on, and when too many answers
        are to no call: ours, Go drops them, so that a peer could keep it busy without end.
        """
        self._decoder.receive_data(data)
        replies: list[Reply] = []
        while True:
            if self._header is None:
                header = self._decoder.next(Response)
                if header is gob.NEED_DATA:
                    return replies
                self._header = header
            reply = self._body(self._header)
            if reply is gob.NEED_DATA:
                return replies
            self._header = None
            if self._expected.pop(reply.seq, None) is not None:
                replies.append(reply)
                continue
            self._stray -= 1
            if self._stray < 0:
                raise RemoteProtocolError(f"more than {MAX_STRAY} answers to calls nobody made")

    def _body(self, header: Response) -> Any:
        """The Reply, or NEED_DATA. A body behind an error or an unknown number is dropped."""
        seq, error = header.seq, header.error[:MAX_ERROR_TEXT]
        try:
            value = self._decoder.next(ANY if error else self._expected.get(seq, ANY))
        except gob.UndecodableValue as reason:
            return Reply(seq, error=error, broken="" if error else str(reason))
        if value is gob.NEED_DATA:
            return value
        return Reply(seq, error=error) if error else Reply(seq, value)


class ServerSide:
    """`arguments` are the argument types by full method name, e.g. "pty.Start"."""

    def __init__(
        self, arguments: Mapping[str, GoTypes], max_message: int = gob.MAX_MESSAGE
    ) -> None:
        self._arguments = arguments
        self._services = {name.rpartition(".")[0] for name in arguments}
        self._out = _Headed(Response)
        self._decoder = gob.Decoder(max_message)
        self._header: Request | None = None

    def receive_data(self, data: bytes) -> None:
        self._decoder.receive_data(data)

    def next_call(self) -> Call | None:
        """The next complete call. Raises RemoteProtocolError when the connection cannot go on."""
        if self._header is None:
            header = self._decoder.next(Request)
            if header is gob.NEED_DATA:
                return None
            self._header = header
        method, seq = self._header.service_method, self._header.seq
        refusal = self._refusal(method)
        argument = None
        try:
            argument = self._decoder.next(ANY if refusal else self._arguments[method])
        except gob.UndecodableValue as reason:
            refusal = refusal or str(reason)
        if argument is gob.NEED_DATA:
            return None
        self._header = None
        return Call(method, seq, None if refusal else argument, refusal)

    def _refusal(self, method: str) -> str:
        service, dot, _ = method.rpartition(".")
        if not dot:
            return f"rpc: service/method request ill-formed: {method}"
        if service not in self._services:
            return f"rpc: can't find service {method}"
        if method not in self._arguments:
            return f"rpc: can't find method {method}"
        return ""

    def reply(self, call: Call, reply_type: GoType, value: Any) -> bytes:
        """Raises LocalProtocolError, with nothing done, when `value` is no `reply_type`."""
        return self._out.encode(call.method, call.seq, reply_type, value)

    def refuse(self, call: Call, text: str) -> bytes:
        """An error reply; `text` must not be empty, for that would mean success."""
        return self._out.refuse(call.method, call.seq, text or "unknown error")
