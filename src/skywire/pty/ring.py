"""The newest bytes a terminal printed, by position. Source: pty.md §6.2."""

RING_SIZE = 256 * 1024  # bytes per session


class Ring:
    """Keeps the last `capacity` bytes. A position counts all bytes ever appended."""

    def __init__(self, capacity: int = RING_SIZE) -> None:
        self._capacity = capacity
        self._buffer = bytearray()  # the byte at position p is at p % capacity
        self.total = 0

    @property
    def oldest(self) -> int:
        """The position of the oldest byte still kept."""
        return self.total - len(self._buffer)

    def append(self, data: bytes) -> None:
        capacity = self._capacity
        if len(data) >= capacity:
            self.total += len(data)
            first = capacity - self.total % capacity  # so many bytes go to the end of the buffer
            newest = data[-capacity:]
            self._buffer[:] = newest[first:] + newest[:first]
            return
        start = self.total % capacity
        head, rest = data[: capacity - start], data[capacity - start :]
        self._buffer[start : start + len(head)] = head
        self._buffer[: len(rest)] = rest
        self.total += len(data)

    def read(self, position: int, size: int) -> tuple[bytes, int]:
        """At most `size` bytes from `position`, and the position behind them.

        Bytes that are not kept any more are skipped.
        """
        position = max(position, self.oldest)
        size = min(size, self.total - position)
        start = position % self._capacity
        data = bytes(self._buffer[start : start + size])
        if len(data) < size:
            data += self._buffer[: size - len(data)]
        return data, position + size
