"""Encrypted frames and objects after a Noise handshake. Source: dmsg.md §3 "Transport messages".

    frame   length(2) ‖ nonce(8) ‖ ciphertext ‖ tag(16)     ≤ 4096 bytes in all
    object  the same with a length up to 65,535

Nonces start at 1, are big-endian on the wire and little-endian in the AEAD.
"""

import struct

from skywire.crypto.aead import TAG_SIZE, Aead, InvalidTag, nonce
from skywire.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError

HEADER_SIZE = 10  # length and nonce
OVERHEAD = HEADER_SIZE + TAG_SIZE  # of one frame
MAX_FRAME = 4096
MAX_PLAIN = MAX_FRAME - OVERHEAD  # 4070
MAX_LENGTH = MAX_FRAME - 2
MIN_LENGTH = 8 + TAG_SIZE
MAX_OBJECT_LENGTH = 65535
MAX_OBJECT = MAX_OBJECT_LENGTH - MIN_LENGTH
REPLAY_WINDOW = 1024  # object nonces this far behind the highest are refused

_head = struct.Struct(">HQ")
_nonce = struct.Struct(">Q")


class Sealer:
    """One direction of one stream: plaintext in, frames out."""

    __slots__ = ("_aead", "_number")

    def __init__(self, key: bytes) -> None:
        self._aead = Aead(key)
        self._number = 0

    def seal(self, data: bytes | memoryview, room: int = 0, gap: int = 0) -> bytearray:
        """All frames of `data`, behind `room` free bytes for a header of the layer below.

        There are `gap` more before each frame. Each call starts a new frame, so `data` of at most
        MAX_PLAIN bytes is exactly one.
        """
        size = len(data)
        count = -(-size // MAX_PLAIN)
        out = bytearray(room + size + count * (OVERHEAD + gap))
        target, source = memoryview(out), memoryview(data)
        number, encrypt_into = self._number, self._aead.encrypt_into
        begin, position = 0, room
        for _ in range(count):
            end = min(begin + MAX_PLAIN, size)
            position += gap
            stop = position + OVERHEAD + end - begin
            number += 1
            _head.pack_into(out, position, stop - position - 2, number)
            encrypt_into(
                nonce(number), source[begin:end], None, target[position + HEADER_SIZE : stop]
            )
            begin, position = end, stop
        self._number = number
        return out


class Opener:
    """The other direction: frames in, in any pieces; plaintext out."""

    __slots__ = ("_aead", "_gaps", "_last", "_rest")

    def __init__(self, key: bytes, *, gaps: bool = True) -> None:
        """Without `gaps` a frame that is missing is an error, where the reference goes on."""
        self._aead = Aead(key)
        self._gaps = gaps
        self._last = 0
        self._rest = b""

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that has not arrived whole."""
        return len(self._rest)

    def receive_data(self, data: bytes | memoryview) -> list[bytes]:
        """The plaintext of each frame completed by `data`; empty frames are left out.

        Raises RemoteProtocolError, after which the stream must be given up.
        """
        plain: list[bytes] = []
        for view in self._pieces(data):
            position = self._open(view, plain)
            self._rest = bytes(view[position:])
        return plain

    def _open(self, view: memoryview, plain: list[bytes]) -> int:
        """Append the plaintext of the whole frames in `view`; where they end."""
        decrypt, last = self._aead.decrypt, self._last
        size, position = len(view), 0
        try:
            while size - position >= HEADER_SIZE:
                length, number = _head.unpack_from(view, position)
                end = position + 2 + length
                if not MIN_LENGTH <= length <= MAX_LENGTH:
                    raise _bad_length(length)
                if end > size:
                    return position
                if number != last + 1:
                    self._check_order(number, last)
                last = number  # remembered before authentication, as the reference does
                if text := decrypt(nonce(number), view[position + HEADER_SIZE : end], None):
                    plain.append(text)
                position = end
        except InvalidTag as error:
            raise AuthenticationFailed("message authentication failed") from error
        finally:
            self._last = last
        if size - position >= 2:
            _length(view, position)
        return position

    def _check_order(self, number: int, last: int) -> None:
        if number <= last:
            raise RemoteProtocolError(
                f"received decryption nonce ({number}) is not larger than previous ({last})"
            )
        if not self._gaps:
            raise RemoteProtocolError(f"noise frame {last + 1} was lost: {number} came")

    def _pieces(self, data: bytes | memoryview) -> tuple[memoryview, ...]:
        """`data` with what waits in front of it; what comes behind that frame is not copied."""
        view, rest = memoryview(data), self._rest
        if not rest:
            return (view,)
        if len(rest) + len(view) <= MAX_FRAME:
            return (memoryview(rest + view),)
        head = rest if len(rest) >= 2 else rest + view[: 2 - len(rest)]
        missing = 2 + _length(head, 0) - len(rest)
        return memoryview(rest + view[:missing]), view[missing:]


def _length(data: bytes | memoryview, position: int) -> int:
    length = (data[position] << 8) | data[position + 1]
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise _bad_length(length)
    return length


def _bad_length(length: int) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"noise frame of {length} bytes, expected {MIN_LENGTH} to {MAX_LENGTH}"
    )


class ObjectCipher:
    """Both directions of a session's signed objects; they travel on many streams, in any order."""

    __slots__ = ("_highest", "_number", "_opener", "_sealer", "_seen")

    def __init__(self, send_key: bytes, receive_key: bytes) -> None:
        self._sealer = Aead(send_key)
        self._opener = Aead(receive_key)
        self._number = 0
        self._highest = 0
        self._seen = 0  # bit i: the nonce `_highest - i` was used

    def seal(self, data: bytes) -> bytes:
        """`data` with length, nonce and tag."""
        if len(data) > MAX_OBJECT:
            raise LocalProtocolError(f"object of {len(data)} bytes, at most {MAX_OBJECT} fit")
        self._number += 1
        head = _head.pack(len(data) + MIN_LENGTH, self._number)
        return head + self._sealer.seal(self._number, data)

    def open(self, message: bytes | memoryview) -> bytes:
        """The object in `message` (nonce, ciphertext, tag: without the length).

        Raises RemoteProtocolError for short, repeated, too old or forged messages.
        """
        if len(message) < MIN_LENGTH:
            raise RemoteProtocolError(f"session object of {len(message)} bytes is too short")
        (number,) = _nonce.unpack_from(message)
        behind = self._highest - number
        if number == 0 or behind >= REPLAY_WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise RemoteProtocolError(f"session object repeats nonce {number}")
        data = self._opener.open(number, message[8:])
        if behind < 0:
            self._seen = (self._seen << min(-behind, REPLAY_WINDOW) | 1) & (
                (1 << REPLAY_WINDOW) - 1
            )
            self._highest = number
        else:
            self._seen |= 1 << behind
        return data
