"""A stream with bytes put back: what was read of it too far is read again."""

from skywire.streams.stream import READ_SIZE, Address, Stream


class Unread:
    """`data` comes before what `stream` has, which it owns from now on."""

    def __init__(self, stream: Stream, data: bytes) -> None:
        self._stream = stream
        self._data = data

    @property
    def local(self) -> Address:
        return self._stream.local

    @property
    def remote(self) -> Address:
        return self._stream.remote

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        if self._data:
            data, self._data = self._data[:max_bytes], self._data[max_bytes:]
            return data
        return await self._stream.read(max_bytes)

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_eof(self) -> None:
        await self._stream.write_eof()

    async def close(self) -> None:
        self._data = b""
        await self._stream.close()

    def abort(self) -> None:
        self._data = b""
        self._stream.abort()


def unread(stream: Stream, data: bytes) -> Stream:
    """`stream` itself when there is nothing to put back."""
    return Unread(stream, data) if data else stream
