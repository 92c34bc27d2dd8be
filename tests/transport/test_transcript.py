"""A whole stcp session as it was recorded between two Go visors, and ours beside it."""

import asyncio

from skywire.crypto.keys import PubKey, SecKey
from skywire.streams.stream import READ_SIZE, Stream
from skywire.testing import vectors
from skywire.testing.streams import stream_pair
from skywire.transport.networks import Identity, secure_accept, secure_dial
from skywire.transport.settling import settle_accepted, settle_dialled
from skywire.wire.handshake import Responder, State
from skywire.wire.packet import encode
from skywire.wire.transport import STCP, SignedEntry

(SESSION,) = vectors.load("routing/stcp_full_session")
SEGMENTS = [segment for segment in SESSION["segments"] if "from" in segment]


class Recorded:
    """Notes the size of each write."""

    def __init__(self, stream: Stream, side: str, sizes: list[tuple[str, int]]) -> None:
        self._stream = stream
        self._side = side
        self._sizes = sizes
        self.local, self.remote = stream.local, stream.remote
        self.close, self.abort = stream.close, stream.abort
        self.write_eof = stream.write_eof

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        return await self._stream.read(max_bytes)

    async def write(self, data: bytes) -> None:
        self._sizes.append((self._side, len(data)))
        await self._stream.write(data)


def test_go_s_initiator_is_understood() -> None:
    hello, nonce, claim, answer = (bytes.fromhex(segment["hex"]) for segment in SEGMENTS[:4])
    numbers = [int(number) for number in nonce[10:-3].split(b",")]
    machine = Responder(bytes(numbers))
    assert machine.receive_data(hello) == nonce
    assert machine.receive_data(claim) == answer
    assert machine.state is State.DONE
    assert (str(machine.remote), machine.remote_port) == (SESSION["initiator_pk"], 49153)


async def test_our_writes_have_the_sizes_of_go_s() -> None:
    sizes: list[tuple[str, int]] = []
    a, b = stream_pair()
    keys = [
        (PubKey.parse(SESSION[f"{side}_pk"]), SecKey.parse(SESSION[f"{side}_sk"]))
        for side in ("initiator", "responder")
    ]
    (one, one_secret), (two, two_secret) = keys
    dialler, acceptor = Identity.of(one, one_secret), Identity.of(two, two_secret)

    async def listed(_: SignedEntry) -> bool:
        return True

    async def dial() -> None:
        stream = await secure_dial(Recorded(a, "initiator", sizes), dialler, two, STCP)
        await settle_dialled(stream, dialler, two, STCP)
        await stream.write(encode(4, 1, bytes(16)))
        received = 0
        while received < 10007:
            received += len(await stream.read())

    async def accept() -> None:
        stream = await secure_accept(Recorded(b, "responder", sizes), acceptor, STCP)
        assert stream.remote.pk == one
        assert await settle_accepted(stream, acceptor, STCP, listed) is not None
        assert await stream.read() == encode(4, 1, bytes(16))
        await stream.write(encode(0, 2, bytes(10000)))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(dial())
        tasks.create_task(accept())
    theirs = [(segment["from"], segment["len"]) for segment in SEGMENTS]
    theirs[-2:] = [("responder", sum(size for _, size in theirs[-2:]))]  # one write, two segments
    assert [side for side, _ in sizes] == [side for side, _ in theirs]
    varying = (1, 2)  # the nonce is written in decimal
    for number, (ours, go) in enumerate(zip(sizes, theirs, strict=True)):
        assert number in varying or ours == go, f"write {number}"


def test_source_ports_count_up_from_49153_and_wrap() -> None:
    identity = Identity.of(PubKey.parse(SESSION["initiator_pk"]), SecKey.parse("01" * 32))
    ports = [identity.next_port() for _ in range(16384)]
    assert ports[:2] == [49153, 49154]
    assert ports[16382:] == [65535, 49152]
    assert "0101" not in repr(identity)
