"""A client of which the test writes every byte, and ordinary ones that must not notice it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skywire.crypto import generate
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.server import DmsgServer
from skywire.wire.dmsg import StreamRequest, object_hash, sign_object
from skywire.wire.noise import Handshake, Pattern
from skywire.wire.noise_frames import ObjectCipher
from skywire.wire.yamux import DATA, FIN, SYN, WINDOW_UPDATE, pack_header

from .conftest import Net, address_port, soon


class RawClient:
    """A client of which the test writes every byte after the handshake."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pk: PubKey,
        sk: SecKey,
        cipher: ObjectCipher,
    ) -> None:
        self.reader, self.writer, self.pk, self.sk, self.cipher = reader, writer, pk, sk, cipher
        self.data: dict[int, bytearray] = {}
        self.flags: dict[int, int] = {}

    async def receive(self) -> tuple[int, int, int]:
        """The next frame that is not a ping: type, flags, stream."""
        while True:
            head = await soon(self.reader.readexactly(12))
            kind, flags = head[1], int.from_bytes(head[2:4], "big")
            stream, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:], "big")
            if kind == DATA:
                self.data.setdefault(stream, bytearray()).extend(
                    await soon(self.reader.readexactly(length))
                )
            self.flags[stream] = self.flags.get(stream, 0) | flags
            if kind != 2:
                return kind, flags, stream

    async def wait_fin(self, stream: int) -> None:
        while not self.flags.get(stream, 0) & FIN:
            await self.receive()

    def open(self, stream: int, raw: bytes) -> None:
        self.writer.write(pack_header(0, WINDOW_UPDATE, SYN, stream, 0))
        self.writer.write(pack_header(0, DATA, 0, stream, len(raw)) + raw)

    def request(self, stream: int, request: StreamRequest, sk: SecKey | None = None) -> bytes:
        signed = sign_object(request, sk or self.sk)
        self.open(stream, self.cipher.seal(signed))
        return object_hash(signed)

    async def closed(self) -> bool:
        async with asyncio.timeout(8):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True


@asynccontextmanager
async def raw_client(
    server: DmsgServer,
    keys: tuple[PubKey, SecKey] | None = None,
    before: bytes = b"",
    payload: bytes = b"",
) -> AsyncIterator[RawClient]:
    pk, sk = keys or generate.key_pair()
    reader, writer = await asyncio.open_connection("127.0.0.1", address_port(server))
    handshake = Handshake(
        Pattern.XK,
        initiator=True,
        public=pk,
        secret=sk,
        ephemeral=generate.key_pair()[1],
        remote=server.public,
    )

    def frame(message: bytes) -> bytes:
        return len(message).to_bytes(2, "big") + message

    writer.write(before + frame(handshake.write_message(payload)))
    length = int.from_bytes(await soon(reader.readexactly(2)), "big")
    handshake.read_message(await soon(reader.readexactly(length)))
    writer.write(frame(handshake.write_message(payload)))
    cipher = ObjectCipher(handshake.send_key, handshake.receive_key)
    try:
        yield RawClient(reader, writer, pk, sk, cipher)
    finally:
        writer.close()


@asynccontextmanager
async def works(net: Net) -> AsyncIterator[None]:
    """A stream between two ordinary clients works before, during and after the trouble."""
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())

    async def echo() -> None:
        await stream.write(b"still alive?")
        assert await soon(accepted.read()) == b"still alive?"

    await echo()
    yield
    await echo()
    again = await soon(a.dial(b.public, 80))
    await again.close()
