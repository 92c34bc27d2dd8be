"""Both ends of opening a stream: ask for one, answer such a request. Source: dmsg.md §6.

Everything happens in the read callback the last byte arrived in, so that data right behind an
answer finds the finished stream.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.ports import DmsgPorts
from skywire.dmsg.session import OBJECT_TIMEOUT, ObjectReceiver, Session
from skywire.dmsg.stream import DmsgStream
from skywire.errors import Refused, RemoteProtocolError, SkywireError, StreamReset
from skywire.ports import DMSG_IP_LOOKUP
from skywire.streams.stream import Address
from skywire.wire.dmsg import (
    Addr,
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
from skywire.wire.noise import Handshake, Pattern
from skywire.wire.yamux import DISCARD, YamuxStream

log = logging.getLogger(__name__)


T = TypeVar("T")


async def _ask(
    session: Session,
    signed: bytes,
    understand: Callable[[YamuxStream, bytes, bytes], T],
    within: float,
) -> T:
    """Send a request object on a new stream; `understand(stream, response, rest)` makes the
    result.

    Raises what `understand` raises, StreamReset when no answer comes, Unavailable when the session
    takes no more streams. The stream is reset in all these cases.
    """
    stream = session.yamux.open()
    result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def arrived(message: bytes, rest: bytes) -> None:
        stream.receiver = DISCARD
        try:
            value = understand(stream, session.cipher.open(message), rest)
        except SkywireError as error:
            stream.reset()
            if not result.done():
                result.set_exception(error)
        else:
            if not result.done():
                result.set_result(value)

    def failed(reason: str) -> None:
        stream.reset()
        if not result.done():
            result.set_exception(StreamReset(reason))

    receiver = ObjectReceiver(stream, arrived, failed, within)
    stream.send(session.cipher.seal(signed))
    try:
        return await result
    except asyncio.CancelledError:
        receiver.cancel()
        stream.reset()
        raise


def _checked(
    signed: bytes, request_hash: bytes, destination: PubKey, server: PubKey
) -> StreamResponse:
    """An accepted response of `destination`. A refusal may also be signed by the server."""
    response = parse_response(signed)
    try:
        check_response(response, signed, destination, request_hash)
    except Refused as error:
        if error.reason == Code.RESPONSE_SIGNATURE and not response.accepted:
            check_response(response, signed, server, request_hash)
        raise
    return response


async def open_stream(
    session: Session,
    ports: DmsgPorts,
    *,
    public: PubKey,
    secret: SecKey,
    remote: PubKey,
    port: int,
    within: float = OBJECT_TIMEOUT,
) -> DmsgStream:
    """Dial `remote` through `session`; `within` seconds for the answer.

    Raises Refused, StreamReset, Unavailable.
    """
    local_port = ports.reserve()
    handshake = Handshake(
        Pattern.KK,
        initiator=True,
        public=public,
        secret=secret,
        ephemeral=generate.key_pair()[1],
        remote=remote,
    )
    request = StreamRequest(
        timestamp=time.time_ns(),
        source=Addr(public, local_port),
        destination=Addr(remote, port),
        noise_message=handshake.write_message(),
    )
    signed = sign_object(request, secret)
    request_hash = object_hash(signed)

    def understand(stream: YamuxStream, answer: bytes, rest: bytes) -> DmsgStream:
        response = _checked(answer, request_hash, remote, session.remote)
        handshake.read_message(response.noise_message)
        opened = DmsgStream(
            session,
            stream,
            local=Address.dmsg(public, local_port),
            remote=Address.dmsg(remote, port),
            send_key=handshake.send_key,
            receive_key=handshake.receive_key,
            on_end=lambda _: ports.release(local_port),
        )
        if rest:
            opened.data_received(rest)
        return opened

    try:
        return await _ask(session, signed, understand, within)
    except BaseException:
        ports.release(local_port)
        raise


async def look_up_address(
    session: Session, *, public: PubKey, secret: SecKey, port: int, within: float
) -> str:
    """Our address as the server of `session` sees it. Source: dmsg.md §14."""
    request = StreamRequest(
        timestamp=time.time_ns(),
        source=Addr(public, port),
        destination=Addr(session.remote, DMSG_IP_LOOKUP),
        ip_info=True,
    )
    signed = sign_object(request, secret)
    request_hash = object_hash(signed)

    def understand(stream: YamuxStream, answer: bytes, rest: bytes) -> str:
        response = _checked(answer, request_hash, session.remote, session.remote)
        stream.close()
        try:
            address = ipaddress.ip_address(response.ip)
        except ValueError as error:
            raise RemoteProtocolError(
                f"server {session.remote} answered an address of {len(response.ip)} bytes"
            ) from error
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address)

    return await _ask(session, signed, understand, within)


class Answerer:
    """Answers the streams that come in on any session of one client."""

    def __init__(self, public: PubKey, secret: SecKey, ports: DmsgPorts) -> None:
        self._public = public
        self._secret = secret
        self._ports = ports

    def stream_opened(self, session: Session, stream: YamuxStream) -> None:
        stream.accept()

        def arrived(message: bytes, rest: bytes) -> None:
            stream.receiver = DISCARD
            try:
                self._answer(session, stream, session.cipher.open(message), rest)
            except (RemoteProtocolError, Refused) as error:
                # Only this stream is dropped, where the reference drops its whole session.
                log.debug("stream refused server=%s error=%s", session.remote.hex(), error)
                stream.close()

        def failed(reason: str) -> None:
            stream.reset()

        ObjectReceiver(stream, arrived, failed)

    def _answer(self, session: Session, stream: YamuxStream, signed: bytes, rest: bytes) -> None:
        request = parse_request(signed)
        request_hash = object_hash(signed)
        try:
            self._accept(session, stream, request, signed, request_hash, rest)
        except (RemoteProtocolError, Refused) as error:
            code = code_of(error) if isinstance(error, Refused) else Code.OBJECT_INVALID
            refused = StreamResponse(request_hash=request_hash, error_code=code)
            stream.send(session.cipher.seal(sign_object(refused, self._secret)))
            raise

    def _accept(
        self,
        session: Session,
        stream: YamuxStream,
        request: StreamRequest,
        signed: bytes,
        request_hash: bytes,
        rest: bytes,
    ) -> None:
        check_request(request, signed)
        if request.destination.pk != self._public:
            raise refusal(Code.REQUEST_DESTINATION_KEY)
        handshake = Handshake(
            Pattern.KK,
            initiator=False,
            public=self._public,
            secret=self._secret,
            ephemeral=generate.key_pair()[1],
            remote=request.source.pk,
        )
        handshake.read_message(request.noise_message)
        listener = self._ports.listener(request.destination.port)
        if listener is None:
            raise refusal(Code.NO_LISTENER)
        if listener.is_full:
            raise refusal(Code.LISTENER_FULL)
        response = StreamResponse(
            request_hash=request_hash, accepted=True, noise_message=handshake.write_message()
        )
        stream.send(session.cipher.seal(sign_object(response, self._secret)))
        opened = DmsgStream(
            session,
            stream,
            local=Address.dmsg(self._public, request.destination.port),
            remote=Address.dmsg(request.source.pk, request.source.port),
            send_key=handshake.send_key,
            receive_key=handshake.receive_key,
            on_end=_nothing,
        )
        listener.offer(opened)
        if rest:
            opened.data_received(rest)


def _nothing(stream: DmsgStream) -> None:
    """An accepted stream holds no port of its own."""
