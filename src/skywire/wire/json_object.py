"""The end of a JSON object that comes without a frame: its last brace. Source: apps.md §9, §10."""

from skywire.errors import RemoteProtocolError

MAX_OBJECT = 4096  # bytes; ours have less than 100

_OPEN, _CLOSE, _QUOTE, _ESCAPE = b'{}"\\'
_SPACE = b" \t\r\n"


class ObjectReader:
    """Finds the end of one JSON object in bytes that come in any pieces."""

    def __init__(self) -> None:
        self.rest = b""  # what came behind the object
        self._data = bytearray()
        self._seen = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def receive_data(self, data: bytes) -> bytes | None:
        """The object once it is whole. Raises RemoteProtocolError."""
        self._data += data
        while self._seen < len(self._data):
            byte = self._data[self._seen]
            self._seen += 1
            if self._ends(byte):
                self.rest = bytes(self._data[self._seen :])
                return bytes(self._data[: self._seen])
            if self._seen >= MAX_OBJECT:
                raise RemoteProtocolError(f"more than {MAX_OBJECT} bytes without a whole object")
        return None

    def _ends(self, byte: int) -> bool:
        if self._in_text:
            if self._escaped:
                self._escaped = False
            elif byte == _ESCAPE:
                self._escaped = True
            elif byte == _QUOTE:
                self._in_text = False
        elif byte == _OPEN:
            self._depth += 1
        elif self._depth == 0:
            if byte not in _SPACE:
                raise RemoteProtocolError(f"byte {byte:#04x} where a JSON object should begin")
        elif byte == _QUOTE:
            self._in_text = True
        elif byte == _CLOSE:
            self._depth -= 1
            return self._depth == 0
        return False
