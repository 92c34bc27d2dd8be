"""A receive buffer that waits for n bytes or a line."""

from skywire.errors import RemoteProtocolError

_COMPACT = 65536  # bytes read and not yet dropped


class Buffer:
    """Bytes go in as they arrive and come out in the pieces a protocol asks for.

    The caller bounds it: it stops feeding when `len` passes what a message may need.
    """

    __slots__ = ("_data", "_pos")

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)
        self._pos = 0

    def __len__(self) -> int:
        return len(self._data) - self._pos

    def append(self, data: bytes) -> None:
        self._data += data

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or as many as are there; they stay."""
        return bytes(self._data[self._pos : self._pos + size])

    def take(self, size: int) -> bytes | None:
        """Exactly `size` bytes, or None while they have not arrived."""
        end = self._pos + size
        if end > len(self._data):
            return None
        taken = bytes(self._data[self._pos : end])
        self._drop(end)
        return taken

    def take_line(self, limit: int) -> bytes | None:
        """The next line with its LF, or None while it is incomplete.

        Raises RemoteProtocolError when no LF stands within `limit` bytes.
        """
        end = self._data.find(b"\n", self._pos, self._pos + limit) + 1
        if end:
            return self.take(end - self._pos)
        if len(self) >= limit:
            raise RemoteProtocolError(f"no line end within {limit} bytes")
        return None

    def take_all(self) -> bytes:
        return self.take(len(self)) or b""

    def _drop(self, end: int) -> None:
        if end == len(self._data):
            self._data.clear()
            self._pos = 0
        elif end >= _COMPACT:
            del self._data[:end]
            self._pos = 0
        else:
            self._pos = end
