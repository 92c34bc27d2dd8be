"""The server's side of one stream between two clients: the request, the answer, then bytes.

    REQUEST ──▶ (refused: answered and closed)
       │ forwarded to the destination's session
    ANSWER  ──▶ (refused, late, lost: answered and closed)
       │ forwarded back
    RELAY   until either end finishes, then both are closed: there is no half-close

Source: dmsg.md §6 "Server". A chunk is forwarded inside the read callback it arrived in. The sender
is granted window only for bytes the next hop took; what does not fit the next hop's window waits
in `parked`, at most one window per direction. Unlike the reference a failed dial is reported at
once, by a response that this server signs.
"""

import ipaddress
import logging
from collections.abc import Callable

from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.fair import FairQueue
from skywire.dmsg.session import ObjectReceiver, Session
from skywire.errors import Refused, RemoteProtocolError, SkywireError, Unavailable
from skywire.wire.dmsg import (
    Code,
    StreamRequest,
    StreamResponse,
    check_request,
    check_response,
    code_of,
    object_hash,
    parse_request,
    parse_response,
    refusal,
    sign_object,
)
from skywire.wire.yamux import DISCARD, YamuxStream

log = logging.getLogger(__name__)

MAX_EARLY = 16 * 1024  # bytes of a stream that nobody has accepted; more and it is reset
MAX_PARKED = 16 * 1024 * 1024  # bytes waiting for one session's windows; beyond, streams are reset


class Leg:
    """One end of a relayed stream: the receiver of what one client sends."""

    __slots__ = ("_finishing", "_owed", "_parked", "peer", "session", "stream")

    def __init__(self, session: Session, stream: YamuxStream) -> None:
        self.session = session
        self.stream = stream
        self.peer: Leg = self
        self._parked: list[bytes] = []  # for this client, beyond its window
        self._owed = 0  # taken from this client while the other connection was congested
        self._finishing = False  # close once `_parked` is gone

    def data_received(self, data: bytes | memoryview) -> None:
        self.peer.forward(data)

    def forward(self, data: bytes | memoryview) -> None:
        """Send `data`, which the other client sent, to this one."""
        if self._parked:
            self._park(bytes(data))
            return
        taken = self.stream.send(data) if self.stream.can_send else len(data)
        self.peer.took(taken, self.session)
        if taken < len(data):
            self._park(bytes(data[taken:]))

    def took(self, count: int, next_hop: Session) -> None:
        """The next hop took `count` bytes of this client: it may send as many more."""
        if not next_hop.paused:
            self.stream.consume(count)
            return
        if not self._owed:
            next_hop.when_resumed(self._pay)
        self._owed += count

    def _pay(self) -> None:
        owed, self._owed = self._owed, 0
        self.stream.consume(owed)

    def _park(self, data: bytes) -> None:
        self._parked.append(data)
        self.session.parked += len(data)
        if self.session.parked > MAX_PARKED:
            log.warning("stream reset: the peer takes no data remote=%s", self.session.remote.hex())
            self.reset()

    def window_opened(self) -> None:
        while self._parked:
            data = self._parked[0]
            taken = self.stream.send(data) if self.stream.can_send else len(data)
            self.session.parked -= taken
            self.peer.took(taken, self.session)
            if taken < len(data):
                self._parked[0] = data[taken:]
                return
            del self._parked[0]
        if self._finishing:
            self.finish()

    def eof_received(self) -> None:
        self.peer.finish()
        self.finish()

    def finish(self) -> None:
        """Send FIN once everything for this client is out."""
        if self._parked:
            self._finishing = True
            return
        self.stream.close()

    def stream_lost(self, reason: str) -> None:
        self.reset()

    def reset(self) -> None:
        """Give up both ends."""
        self.give_up()
        self.peer.give_up()

    def give_up(self) -> None:
        """Reset this end only."""
        self.session.parked -= sum(map(len, self._parked))
        self._parked.clear()
        self.stream.reset()


def join(one: Leg, two: Leg) -> None:
    """From now on what either sends goes to the other."""
    one.peer, two.peer = two, one
    one.stream.receiver = one
    two.stream.receiver = two


class PendingStream:
    """A stream a client has opened, until it is relayed, answered or refused."""

    __slots__ = (
        "_find",
        "_hash",
        "_incoming",
        "_on_end",
        "_outgoing",
        "_queue",
        "_secret",
        "_server",
        "_source",
        "session",
    )

    def __init__(
        self,
        session: Session,
        stream: YamuxStream,
        *,
        server: PubKey,
        secret: SecKey,
        find: Callable[[PubKey], Session | None],
        queue: FairQueue,
        on_end: Callable[["PendingStream", Code | None], None],
    ) -> None:
        self.session = session
        self._source = Leg(session, stream)
        self._server = server
        self._secret = secret
        self._find = find
        self._queue = queue
        self._on_end = on_end
        self._hash = b""
        self._outgoing: ObjectReceiver | None = None
        self._incoming = ObjectReceiver(stream, self._arrived, self._no_request)

    def _no_request(self, reason: str) -> None:
        self._source.stream.reset()
        self._on_end(self, Code.OBJECT_INVALID)

    def _arrived(self, message: bytes, rest: bytes) -> None:
        early = _Early(self._source.stream, self._dialler_left)
        if rest:
            early.data_received(rest)
        self._queue.run(self.session, lambda: self._request(message, early))

    def _request(self, message: bytes, early: "_Early") -> None:
        """Everything a request may have wrong ends in `_refuse`."""
        stream = self._source.stream
        if not stream.can_send:
            return
        if not message:  # a ping of newer peers: echo it
            stream.send(b"\x00\x00")
            stream.close()
            self._on_end(self, None)
            return
        try:
            signed = self._source.session.cipher.open(message)
            request = parse_request(signed)
            self._hash = object_hash(signed)
            check_request(request, signed)
            if request.source.pk != self._source.session.remote:
                raise refusal(Code.REQUEST_SOURCE_KEY, "not the key of this session")
            if request.ip_info and request.destination.pk == self._server:
                self._answer_address()
                return
            self._forward(request, signed, early)
        except Refused as error:
            self._refuse(code_of(error))
        except (RemoteProtocolError, Unavailable) as error:
            log.debug(
                "request refused remote=%s error=%s", self._source.session.remote.hex(), error
            )
            self._refuse(Code.OBJECT_INVALID)

    def _forward(self, request: StreamRequest, signed: bytes, early: "_Early") -> None:
        target = self._find(request.destination.pk)
        if target is None:
            raise refusal(Code.NO_NEXT_SESSION)
        leg = Leg(target, target.yamux.open())
        destination = request.destination.pk
        self._outgoing = ObjectReceiver(
            leg.stream,
            lambda message, rest: self._response(leg, destination, early, message, rest),
            lambda reason: self._lost(leg, reason),
        )
        leg.stream.send(target.cipher.seal(signed))

    def _dialler_left(self) -> None:
        if self._outgoing is not None:
            self._outgoing.cancel()
            self._outgoing.stream.reset()
        self._source.stream.close()
        self._on_end(self, None)

    def _lost(self, leg: Leg, reason: str) -> None:
        leg.stream.reset()
        self._refuse(Code.RESPONSE_REJECTED)

    def _response(
        self, leg: Leg, destination: PubKey, early: "_Early", message: bytes, rest: bytes
    ) -> None:
        leg.stream.receiver = DISCARD
        try:
            signed = leg.session.cipher.open(message)
            response = parse_response(signed)
            accepted = response.accepted
            try:
                check_response(response, signed, destination, self._hash)
            except Refused as error:
                if error.reason in (Code.RESPONSE_HASH, Code.RESPONSE_SIGNATURE):
                    raise
                accepted = False  # the destination's own refusal, worth forwarding
        except SkywireError as error:
            leg.stream.reset()
            self._refuse(code_of(error) if isinstance(error, Refused) else Code.OBJECT_INVALID)
            return
        source = self._source
        source.stream.send(source.session.cipher.seal(signed))
        if not accepted:
            leg.stream.close()
            source.stream.close()
            self._on_end(self, Code.RESPONSE_REJECTED)
            return
        join(source, leg)
        if early.data:
            source.data_received(bytes(early.data))
        if rest:
            leg.data_received(rest)
        self._on_end(self, None)

    def _answer_address(self) -> None:
        host = self._source.session.peer_address[0].partition("%")[0]
        try:
            ip = ipaddress.ip_address(host).packed
        except ValueError:
            ip = b""
        self._answer(StreamResponse(request_hash=self._hash, accepted=True, ip=ip))
        self._on_end(self, None)

    def _answer(self, response: StreamResponse) -> None:
        stream = self._source.stream
        if stream.can_send:
            signed = sign_object(response, self._secret)
            stream.send(self._source.session.cipher.seal(signed))

    def _refuse(self, code: Code) -> None:
        """Tell the dialler at once. A peer that expects the destination's signature sees code 350
        and the end of the stream, ours reads the code.
        """
        if self._hash:
            self._answer(StreamResponse(request_hash=self._hash, error_code=code))
        self._source.stream.close()
        self._on_end(self, code)


class _Early:
    """Holds what a dialler sends before its stream is accepted.

    That is nothing, as a rule: its keys are not complete before the answer.
    """

    __slots__ = ("_on_end", "data", "stream")

    def __init__(self, stream: YamuxStream, on_end: Callable[[], None]) -> None:
        self.stream = stream
        self.data = bytearray()
        self._on_end = on_end
        stream.receiver = self

    def data_received(self, data: bytes | memoryview) -> None:
        self.data += data
        if len(self.data) > MAX_EARLY:
            self.stream.reset()
            self._on_end()

    def window_opened(self) -> None: ...

    def eof_received(self) -> None:
        self.stream.receiver = DISCARD
        self._on_end()

    def stream_lost(self, reason: str) -> None:
        self._on_end()
