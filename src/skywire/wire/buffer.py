"""A receive buffer that waits for n bytes."""

_COMPACT = 65536  # bytes taken and not yet dropped


class Buffer:
    """Bytes go in as they arrive and come out in the pieces a protocol asks for.

    The caller bounds it: it stops feeding when `len` passes what a message may need.
    """

    __slots__ = ("_data", "_pos")

    def __init__(self) -> None:
        self._data = bytearray()
        self._pos = 0

    def __len__(self) -> int:
        return len(self._data) - self._pos

    def append(self, data: bytes) -> None:
        self._data += data

    def first(self) -> int:
        """The next byte, which stays; -1 when there is none."""
        return self._data[self._pos] if self._pos < len(self._data) else -1

    def peek(self, size: int) -> bytearray:
        """The next `size` bytes, or as many as are there; they stay."""
        return self._data[self._pos : self._pos + size]

    def take(self, size: int, skip: int = 0) -> bytes | None:
        """`size` bytes behind `skip` others, or None, and nothing done, until all have arrived."""
        start = self._pos + skip
        end = start + size
        if end > len(self._data):
            return None
        taken = bytes(self._data[start:end])
        if end == len(self._data):
            self._data.clear()
            self._pos = 0
        elif end >= _COMPACT:
            del self._data[:end]
            self._pos = 0
        else:
            self._pos = end
        return taken
