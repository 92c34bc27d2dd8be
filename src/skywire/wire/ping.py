"""Messages of a visor ping on port 58: what is sent to and fro. Source: apps.md §10.

sender {"Size":n}, receiver ok, sender n bytes of JSON, receiver pong; and again
"""

import base64

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import RemoteProtocolError
from skywire.wire.json_object import ObjectReader

OK = b"ok"
PONG = b"pong"
MAX_PAYLOAD = 128 * 1024  # bytes of a payload, which is 64 KiB of data at most


class Size(msgspec.Struct, frozen=True):
    """`echo` asks for the whole payload back instead of a pong."""

    size: int = msgspec.field(name="Size")
    echo: bool = msgspec.field(name="EchoFull", default=False)


def encode_size(size: int) -> bytes:
    return b'{"Size":%d}' % size


def encode_payload(sender: PubKey, data: bytes, stamp: str) -> bytes:
    """`stamp` is the time now, as RFC 3339 has it."""
    text = base64.b64encode(data).decode()
    return msgspec.json.encode({"Timestamp": stamp, "PingPk": str(sender), "Data": text})


class PingReader:
    """The receiving end: `receive_data` gives what to answer, as soon as that is known."""

    def __init__(self) -> None:
        self._objects = ObjectReader()
        self._expected: Size | None = None
        self._payload = bytearray()

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to send back, b"" for none yet. Raises RemoteProtocolError."""
        answer = b""
        while data:
            if self._expected is None:
                raw = self._objects.receive_data(data)
                if raw is None:
                    break
                data, self._objects = self._objects.rest, ObjectReader()
                self._expected = _parse_size(raw)
                answer += OK
                continue
            missing = self._expected.size - len(self._payload)
            self._payload += data[:missing]
            data = data[missing:]
            if len(self._payload) == self._expected.size:
                answer += bytes(self._payload) if self._expected.echo else PONG
                self._expected = None
                self._payload.clear()
        return answer


def _parse_size(raw: bytes) -> Size:
    try:
        size = msgspec.json.decode(raw, type=Size)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"ping: no such object is expected: {error}") from error
    if not 0 < size.size <= MAX_PAYLOAD:
        raise RemoteProtocolError(f"a ping of {size.size} bytes: expected 1 to {MAX_PAYLOAD}")
    return size
