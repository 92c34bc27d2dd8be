"""Go's encoding/gob: values ↔ bytes. Source: gob.md.

    gob.encode(t, value)             one value with its definitions
    gob.decode(t, data)              the first value of `data`
    gob.Encoder, gob.Decoder         one direction of a long stream

How types are described: gob_types.py. A tuple of types, for decoding, means: whichever of these
the sender described.
"""

from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal

from skywire.errors import LocalProtocolError, RemoteProtocolError, SkywireError
from skywire.wire.buffer import Buffer
from skywire.wire.gob_decode import MAX_SPLITS, Compiler, Split
from skywire.wire.gob_encode import Encoder
from skywire.wire.gob_types import ANY, INTERFACE_ID, GoType, GoTypes
from skywire.wire.gob_wire import read_block, read_int, read_uint

__all__ = [
    "MAX_MESSAGE",
    "NEED_DATA",
    "Decoder",
    "Encoder",
    "NeedData",
    "UndecodableValue",
    "decode",
    "encode",
]

MAX_MESSAGE = 4 << 20  # bytes; ours: Go takes 1 GiB
MAX_CACHED_PREFIX = 2048  # bytes of definitions that `decode` remembers
_LONGEST_UINT = 9


class UndecodableValue(RemoteProtocolError):
    """One value did not fit; the decoder stands behind it and goes on."""


class NeedData(Enum):
    NEED_DATA = "need data"


NEED_DATA: Final[Literal[NeedData.NEED_DATA]] = NeedData.NEED_DATA
_UNUSUAL = object()


@lru_cache(maxsize=256)
def _prepared(t: GoType) -> tuple[Encoder, bytes]:
    encoder = Encoder()
    return encoder, encoder.define(t)


def encode(t: GoType, value: Any) -> bytes:
    """One value as a stream of its own. Raises LocalProtocolError when `value` is no `t`."""
    encoder, definitions = _prepared(t)
    return definitions + encoder.copy().encode(t, value)


def decode(t: GoTypes, data: bytes) -> Any:
    """The first value of the stream `data`; what follows is ignored.

    Raises RemoteProtocolError when there is none or it does not become a `t`.
    """
    try:
        start, wire_id, pos, end = _first_value(data)
        compiler = _known_types(data[:start]) if start <= MAX_CACHED_PREFIX else None
        if compiler is not None and wire_id != INTERFACE_ID:
            value, pos = compiler.plan(wire_id, t)(data[:end], pos, 0)
            if pos == end:
                return value
    except LocalProtocolError:
        raise  # our `t` is at fault
    except (IndexError, SkywireError):
        pass  # met again below, and told in the right words
    decoder = Decoder(max_message=max(len(data), MAX_MESSAGE))
    decoder.receive_data(data)
    if (found := decoder.next(t)) is NEED_DATA:
        raise RemoteProtocolError("gob: the data ends before the first value is complete")
    return found


def _first_value(data: bytes) -> tuple[int, int, int, int]:
    """Where the first value's message starts, its type id, where that ends, and the message."""
    start = 0
    while True:
        size, pos = read_uint(data, start)
        end = pos + size
        wire_id, pos = read_int(data, pos)
        if wire_id >= 0:
            return start, wire_id, pos, end
        start = end


@lru_cache(maxsize=256)
def _known_types(definitions: bytes) -> Compiler | None:
    """Readers for the types of a stream that starts with `definitions`.

    None when an interface is among them, for that may bring definitions of its own.
    """
    compiler = Compiler()
    pos = 0
    while pos < len(definitions):
        body, pos = read_block(definitions, pos)
        compiler.define_from(body)
    if any(INTERFACE_ID in wire_type.references() for wire_type in compiler.types.values()):
        return None
    return compiler


class Decoder:
    """One direction of a stream: learns the sender's types as they come."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._buffer = Buffer()
        self._compiler = Compiler()
        self._value = b""  # the message of the next value, from the id on
        self._open = False  # `_value` goes on in a later message
        self._ahead: bytes | None = None  # a message that was looked at and not used
        self._splits = 0
        self._refused: Exception | None = None  # why `_value` is only being passed over
        self._broken = ""

    def receive_data(self, data: bytes) -> None:
        self._buffer.append(data)

    def next(self, t: GoTypes) -> Any:
        """The next value, or NEED_DATA.

        Raises UndecodableValue when it does not become a `t` (the stream goes on behind it) and
        RemoteProtocolError when the stream is broken.
        """
        if self._broken:
            raise RemoteProtocolError(self._broken)
        try:
            value = self._next_whole(t)
            if value is _UNUSUAL:
                value = self._next(t)
        except (IndexError, RemoteProtocolError) as error:
            self._broken = _text(error)
            raise RemoteProtocolError(self._broken) from error
        if value is NEED_DATA:
            return NEED_DATA
        refused = self._refused
        self._value, self._splits, self._refused = b"", 0, None
        if refused is not None:
            raise UndecodableValue(_text(refused)) from refused
        return value

    def _next_whole(self, t: GoTypes) -> Any:
        """The usual case, quickly: the value is one message, of a type that was read before."""
        if self._value or self._open:
            return _UNUSUAL
        message = self._receive_message()
        if message is None:
            return NEED_DATA
        wire_id, pos = read_int(message, 0)
        plan = self._compiler.known_plan(wire_id, t)
        if plan is not None:
            try:
                value, pos = plan(message, pos, 0)
            except (IndexError, SkywireError, Split):
                pos = -1
            if pos == len(message):
                return value
        self._ahead = message
        return _UNUSUAL

    def _next(self, t: GoTypes) -> Any:
        while self._receive_value():
            try:
                wire_id, pos = read_int(self._value, 0)
                plan = self._compiler.plan(wire_id, ANY if self._refused else t)
                value, pos = plan(self._value, pos, 0)
                if pos == len(self._value):
                    return value
                raise RemoteProtocolError(f"gob: {len(self._value) - pos} bytes behind a value")
            except Split as split:
                self._continue(split.position)
            except LocalProtocolError:
                raise  # our `t` is at fault
            except (IndexError, SkywireError) as error:
                if self._refused:
                    return None
                self._refused = error  # go over it again, for it may go on in further messages
        return NEED_DATA

    def _continue(self, position: int) -> None:
        """The value ends at `position` with a definition and goes on in a later message."""
        self._splits += 1
        if self._splits > MAX_SPLITS:
            raise RemoteProtocolError(f"gob: a value in more than {MAX_SPLITS} messages")
        self._compiler.define_from(self._value[position:])
        self._value = self._value[:position]
        self._open = True

    def skip(self) -> bool:
        """Pass over the next value; False when it has not arrived."""
        try:
            return self.next(ANY) is not NEED_DATA
        except UndecodableValue:
            return True

    def _receive_value(self) -> bool:
        """Take messages until `_value` is there as far as we know."""
        while self._open or not self._value:
            message = self._receive_message()
            if message is None:
                return False
            wire_id, _ = read_int(message, 0)
            if wire_id < 0:
                self._compiler.define_from(message)
                continue
            self._value += message
            self._open = False
            if len(self._value) > self._max_message:
                raise RemoteProtocolError(f"gob: a value of more than {self._max_message} bytes")
        return True

    def _receive_message(self) -> bytes | None:
        ahead = self._ahead
        if ahead is not None:
            self._ahead = None
            return ahead
        size, start = self._buffer.first(), 1
        if size < 0:
            return None
        if size > 127:
            try:
                size, start = read_uint(self._buffer.peek(_LONGEST_UINT), 0)
            except IndexError:
                return None
        if not 0 < size <= self._max_message:
            raise RemoteProtocolError(
                f"gob: a message of {size} bytes, expected 1 to {self._max_message}"
            )
        return self._buffer.take(size, skip=start)


def _text(error: Exception) -> str:
    return "gob: a message ends early" if isinstance(error, IndexError) else str(error)
