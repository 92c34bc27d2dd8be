"""Both ends of the hello that opens a pty connection. Source: pty.md §2."""

from contextlib import suppress

from skywire.errors import Refused, StreamError, StreamReset
from skywire.streams.stream import Stream
from skywire.wire.pty_mux import ACCEPTED, encode_request

REJECTED_TEXT = "request rejected by remote dmsgpty-host"


async def request_service(stream: Stream, uri: str) -> None:
    """Ask for `uri`. Raises Refused, or StreamReset; the caller sets the deadline."""
    request = encode_request(uri)
    with suppress(StreamError):  # a host may answer an unknown key and close before we have asked
        await stream.write(request)
    try:
        answer = await stream.read(1)
    except StreamError as error:
        raise StreamReset(f"failed to read response: {error}") from error
    if not answer:
        raise StreamReset("failed to read response: EOF")
    if answer != ACCEPTED:
        raise Refused(
            f"{REJECTED_TEXT}: {stream.remote} does not offer {uri.partition('?')[0]} to this key "
            "(is it in the whitelist there?)",
            reason=REJECTED_TEXT,
        )


async def receive_request(stream: Stream) -> bytes:
    """The URI asked for; b"", which names nothing, when the peer finished before it was complete.

    Raises StreamError; the caller sets the deadline.
    """
    size = await stream.read(1)
    uri = b""
    while size and len(uri) < size[0]:
        part = await stream.read(size[0] - len(uri))
        if not part:
            return b""
        uri += part
    return uri
