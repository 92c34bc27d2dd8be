"""What a broken, hostile or absent peer costs: itself, and nothing else."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skywire.crypto import generate
from skywire.dmsg import server as server_module
from skywire.dmsg import session as session_module
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.server import DmsgServer
from skywire.dmsg.session import Flusher, Session
from skywire.errors import Conflict, DialFailed, Refused, StreamReset, Unavailable
from skywire.wire.dmsg import (
    Addr,
    Code,
    StreamRequest,
    StreamResponse,
    check_response,
    parse_response,
    sign_object,
)
from skywire.wire.entry import Entry
from skywire.wire.noise import Handshake, Pattern
from skywire.wire.yamux import ACK, DATA, FIN, SYN, WINDOW, WINDOW_UPDATE, pack_header

from .conftest import Net, address_port, soon, until
from .raw import raw_client, works

BAD_HANDSHAKES = {
    "garbage": os.urandom(200),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "oversized frame": b"\xff\xff" + bytes(100),
    "empty frame": b"\x00\x00",
    "short message": b"\x00\x14" + bytes(20),
    "null ephemeral": b"\x00\x31" + bytes(49),
    "ephemeral off the curve": b"\x00\x31\x02" + b"\xff" * 48,
    "valid ephemeral, wrong tag": b"\x00\x31" + generate.key_pair()[0] + bytes(16),
}


@pytest.mark.parametrize("raw", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES.keys())
async def test_a_bad_handshake_costs_its_own_connection(net: Net, raw: bytes) -> None:
    async with works(net):
        reader, writer = await asyncio.open_connection("127.0.0.1", address_port(net.servers[0]))
        writer.write(raw)
        assert await soon(reader.read()) == b""
        writer.close()
        await until(lambda: not net.servers[0]._half_open)


async def test_a_proxy_header_is_refused_unless_a_proxy_is_configured(net: Net) -> None:
    header = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", address_port(net.servers[0]))
    writer.write(header)
    assert await soon(reader.read()) == b""
    writer.close()

    pk, sk = generate.key_pair()
    behind = DmsgServer(pk, sk, net.directory, public_address="127.0.0.1:0", proxied=True)
    await net.stack.enter_async_context(behind)
    await behind.serve("127.0.0.1", 0)
    async with raw_client(behind, before=header) as client:
        await until(lambda: behind.find(client.pk) is not None)
        session = behind.find(client.pk)
        assert session is not None
        assert session.peer_address == ("192.0.2.1", 56324)
    reader, writer = await asyncio.open_connection("127.0.0.1", address_port(behind))
    writer.write(b"\x00\x31")
    assert await soon(reader.read()) == b""
    writer.close()


async def test_yamux_bytes_right_behind_message_3_are_accepted(net: Net) -> None:
    """A Go server drops such a client (dmsg.md §4)."""
    async with raw_client(net.servers[0]) as raw:
        raw.open(1, b"\x00\x00")
        await raw.wait_fin(1)
        assert raw.data[1] == b"\x00\x00"  # the ping of newer peers is echoed, then closed


async def test_our_client_keeps_silent_until_the_server_has_spoken(net: Net) -> None:
    """The pause that a Go server needs: no byte goes out with handshake message 3."""
    pk, sk = generate.key_pair()
    server_pk, server_sk = generate.key_pair()
    times: list[float] = []
    handshaken = asyncio.Event()

    async def go_like(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = Handshake(
            Pattern.XK,
            initiator=False,
            public=server_pk,
            secret=server_sk,
            ephemeral=generate.key_pair()[1],
            remote=None,
        )
        handshake.read_message((await reader.readexactly(51))[2:])
        message = handshake.write_message()
        writer.write(len(message).to_bytes(2, "big") + message)
        handshake.read_message((await reader.readexactly(67))[2:])
        times.append(time.monotonic())
        handshaken.set()
        await reader.readexactly(1)
        times.append(time.monotonic())
        writer.close()

    listener = await asyncio.start_server(go_like, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    other, _ = generate.key_pair()
    await net.directory.post(Entry.of_server(server_pk, f"127.0.0.1:{port}", 1))
    await net.directory.post(Entry.of_client(other, [server_pk]))
    client = DmsgClient(pk, sk, net.directory, min_sessions=0)
    await net.stack.enter_async_context(client)
    await soon(handshaken.wait())
    with pytest.raises(DialFailed):
        await soon(client.dial(other, 80))
    # both ends are in this process: a busy one notes the end of the handshake late
    assert times[1] - times[0] >= 0.8 * session_module.FIRST_BYTE_PAUSE
    listener.close()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x01" * 12, "version 1"),
        (pack_header(0, DATA, SYN, 1, WINDOW + 1), "beyond the window"),
        (pack_header(0, WINDOW_UPDATE, SYN, 2, 0), "an id of the server"),
        (pack_header(0, 9, 0, 0, 0), "no such type"),
        (pack_header(0, 2, SYN, 0, 7) * 200_000, "a flood of pings that are never read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_broken_yamux_costs_its_own_session(net: Net, raw: bytes, why: str) -> None:
    async with works(net), raw_client(net.servers[0]) as client:
        client.writer.write(raw)
        assert await client.closed()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(min_size=1, max_size=400), sealed=st.booleans())
async def test_any_bytes_as_a_request_cost_their_own_stream(
    net: Net, raw: bytes, sealed: bool
) -> None:
    async with raw_client(net.servers[0]) as client:
        client.open(1, client.cipher.seal(raw) if sealed else raw)
        client.writer.write(pack_header(0, WINDOW_UPDATE, FIN, 1, 0))
        client.open(3, b"\x00\x00")
        await client.wait_fin(3)


Change = Callable[[StreamRequest], None]


def _source_of_another(request: StreamRequest) -> None:
    request.source.pk = generate.key_pair()[0]


def _no_port(request: StreamRequest) -> None:
    request.destination.port = 0


def _no_time(request: StreamRequest) -> None:
    request.timestamp = 0


def _unchanged(request: StreamRequest) -> None: ...


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_source_of_another, Code.REQUEST_SIGNATURE),
        (_no_port, Code.REQUEST_DESTINATION_PORT),
        (_no_time, Code.REQUEST_TIMESTAMP),
        (_unchanged, Code.NO_NEXT_SESSION),
    ],
)
async def test_a_refused_request_is_answered_with_its_code_and_closed(
    net: Net, change: Change, code: Code
) -> None:
    async with raw_client(net.servers[0]) as client:
        request = StreamRequest(
            time.time_ns(), Addr(client.pk, 5), Addr(generate.key_pair()[0], 80)
        )
        change(request)
        request_hash = client.request(1, request)
        await client.wait_fin(1)
        answer = client.cipher.open(bytes(client.data[1][2:]))
        with pytest.raises(Refused) as refused:
            check_response(parse_response(answer), answer, net.servers[0].public, request_hash)
        assert refused.value.reason == code


async def test_nobody_can_dial_in_the_name_of_another(net: Net) -> None:
    b = await net.client()
    b.listen(80)
    mallory, mallory_secret = generate.key_pair()
    async with raw_client(net.servers[0]) as client:
        request = StreamRequest(time.time_ns(), Addr(mallory, 5), Addr(b.public, 80))
        request_hash = client.request(1, request, mallory_secret)
        await client.wait_fin(1)
        answer = client.cipher.open(bytes(client.data[1][2:]))
        with pytest.raises(Refused, match="302"):
            check_response(parse_response(answer), answer, net.servers[0].public, request_hash)


async def test_a_bad_noise_message_costs_the_destination_one_stream(net: Net) -> None:
    """A Go destination drops its whole session (dmsg.md §6)."""
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    async with raw_client(net.servers[0]) as client:
        for number, noise in enumerate((b"", b"x" * 49, b"\x02" + b"\xff" * 48, bytes(2000))):
            request = StreamRequest(
                time.time_ns(), Addr(client.pk, 5), Addr(b.public, 80), noise_message=noise
            )
            client.request(2 * number + 1, request)
            await client.wait_fin(2 * number + 1)
    await stream.write(b"session lives")
    assert await soon(accepted.read()) == b"session lives"


async def test_a_destination_that_lies_about_the_answer_is_reported(net: Net) -> None:
    a = await net.client()
    async with raw_client(net.servers[0]) as far:
        await net.directory.post(Entry.of_client(far.pk, [net.servers[0].public]))
        dialling = asyncio.ensure_future(a.dial(far.pk, 80))
        while (await far.receive())[1] & SYN:
            pass
        lie = StreamResponse(request_hash=bytes(32), accepted=True)
        raw = far.cipher.seal(sign_object(lie, far.sk))
        far.writer.write(pack_header(0, WINDOW_UPDATE, ACK, 2, 0))
        far.writer.write(pack_header(0, DATA, 0, 2, len(raw)) + raw)
        with pytest.raises(Refused, match="351"):
            await soon(dialling)


async def test_a_destination_that_never_answers_is_given_up(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.dmsg.client.DIAL_TIMEOUT", 0.3)
    a = await net.client()
    async with raw_client(net.servers[0]) as far, works(net):
        await net.directory.post(Entry.of_client(far.pk, [net.servers[0].public]))
        with pytest.raises(DialFailed, match=r"no answer within 0\.3 s"):
            await soon(a.dial(far.pk, 80))
        await until(lambda: not next(iter(a._sessions.values())).yamux.streams)
        assert a._ports.reserve() == 49154  # the port of the failed dial is free again
        assert 49153 not in a._ports._ephemeral


async def test_a_peer_that_stops_reading_is_dropped_at_the_limit(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_WRITE_BUFFER", 300_000)
    a = await net.client()
    server = net.servers[0]
    async with works(net), raw_client(server) as far:
        far.writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
        )
        far.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = pack_header(0, 2, SYN, 0, 7) * 2000
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while server.find(far.pk) is not None:
                    far.writer.write(flood)
                    await far.writer.drain()
    assert a.sessions


async def test_1000_half_open_connections_do_no_harm(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_HALF_OPEN", 300)
    server = net.servers[0]
    async with works(net):
        opened = [
            await asyncio.open_connection("127.0.0.1", address_port(server)) for _ in range(1000)
        ]
        await until(lambda: len(server._half_open) <= 300)
        await net.client()
        for _, writer in opened:
            writer.close()
    await until(lambda: not server._half_open)


async def test_a_silent_connection_is_closed_after_the_handshake_limit(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "HANDSHAKE_TIMEOUT", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", address_port(net.servers[0]))
    assert await soon(reader.read()) == b""
    writer.close()


async def test_a_flood_of_requests_does_not_hold_up_others(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    async with raw_client(net.servers[0]) as flood:
        target = Addr(generate.key_pair()[0], 80)
        signed = sign_object(StreamRequest(time.time_ns(), Addr(flood.pk, 5), target), flood.sk)
        for number in range(1500):
            flood.open(2 * number + 1, flood.cipher.seal(signed))
        slowest = 0.0
        for _ in range(50):
            begin = time.monotonic()
            await stream.write(b"x")
            await soon(accepted.read())
            slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 1.0


async def test_the_same_key_again_takes_over_and_never_unroutes_a_live_session(net: Net) -> None:
    server = net.servers[0]
    keys = generate.key_pair()
    async with raw_client(server, keys) as first:
        await until(lambda: server.find(keys[0]) is not None)
        older = server.find(keys[0])
        async with raw_client(server, keys) as second:
            await until(lambda: server.find(keys[0]) is not older)
            newer = server.find(keys[0])
            second.open(1, b"\x00\x00")
            await second.wait_fin(1)
            first.open(1, b"\x00\x00")
            await first.wait_fin(1)
            assert server.find(keys[0]) is newer
        await until(lambda: server.find(keys[0]) is older)
        first.open(3, b"\x00\x00")
        await first.wait_fin(3)
    await until(lambda: server.find(keys[0]) is None)
    await until(lambda: server.session_count == 0)


async def test_sessions_of_one_key_have_a_limit(net: Net) -> None:
    server = net.servers[0]
    keys = generate.key_pair()
    async with (
        raw_client(server, keys) as oldest,
        raw_client(server, keys),
        raw_client(server, keys),
        raw_client(server, keys),
        raw_client(server, keys),
    ):
        assert await oldest.closed()
        await until(lambda: server.session_count == server_module.SESSIONS_PER_KEY)


async def test_a_full_server_accepts_a_quarter_more_and_then_refuses(net: Net) -> None:
    small = await net.server(max_sessions=4)
    async with (
        raw_client(small) as _,
        raw_client(small) as _,
        raw_client(small) as _,
        raw_client(small) as _,
        raw_client(small) as _,
    ):
        await until(lambda: small.session_count == 5)
        async with raw_client(small) as late:
            assert await late.closed()
        await until(lambda: net.directory.known(small.public).server.available_sessions == 0)  # type: ignore[union-attr]


async def test_a_taken_port_is_named(net: Net) -> None:
    port = address_port(net.servers[0])
    pk, sk = generate.key_pair()
    async with DmsgServer(pk, sk, net.directory, public_address=f"127.0.0.1:{port}") as server:
        with pytest.raises(Conflict, match=str(port)):
            await server.serve("127.0.0.1", port)


async def test_without_a_discovery_everything_goes_on_and_recovers(net: Net) -> None:
    net.directory.away = True
    late = await net.client(ready=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await late.ready()
    net.directory.away = False
    await soon(late.ready())

    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    await soon((await soon(a.dial(b.public, 80))).close())
    net.directory.away = True
    stream = await soon(a.dial(b.public, 80))  # the entry looked up before still serves
    await soon(listener.accept())
    accepted = await soon(listener.accept())
    await stream.write(b"goes on")
    assert await soon(accepted.read()) == b"goes on"
    b.drop_sessions()
    await until(lambda: b.entry_error != "" or not b.sessions)
    net.directory.away = False
    await until(lambda: bool(b.sessions) and b.entry_error == "", 30)


async def test_a_peer_with_a_clock_far_off_can_dial_and_be_dialled(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    for year in (-40, 40):
        monkeypatch.setattr(time, "time_ns", lambda year=year: now() + year * 31_557_600 * 10**9)
        stream = await soon(a.dial(b.public, 80))
        accepted = await soon(listener.accept())
        monkeypatch.undo()
        await stream.write(b"x")
        assert await soon(accepted.read()) == b"x"


async def test_a_server_with_another_key_than_its_entry_says_is_refused(net: Net) -> None:
    pk, sk = generate.key_pair()
    port = address_port(net.servers[0])
    wrong, _ = generate.key_pair()
    owner = _Owner()
    flusher = Flusher()
    session = Session(owner, flusher, pk, sk, remote=wrong)
    await asyncio.get_running_loop().create_connection(lambda: session, "127.0.0.1", port)
    await soon(owner.lost.wait())
    assert not session.is_open


class _Owner:
    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def session_opened(self, session: Session) -> None:
        raise AssertionError("must not open")

    def session_lost(self, session: Session, reason: str) -> None:
        self.lost.set()

    def stream_opened(self, session: Session, stream: object) -> None: ...


async def test_a_stream_cut_in_the_middle_of_a_frame_is_a_reset(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    stream._stream.send(b"\x0f\xfe half a frame")
    stream._stream.close()
    with pytest.raises(StreamReset, match="middle of a frame"):
        await soon(accepted.read())


async def test_a_stream_whose_frames_are_forged_is_reset_and_the_session_lives(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    stream._stream.send(b"\x00\x20" + os.urandom(32))
    with pytest.raises(StreamReset, match=r"nonce|authentication"):
        await soon(accepted.read())
    with pytest.raises(StreamReset):
        await soon(stream.read())
    await soon(a.dial(b.public, 80))


async def test_no_session_is_a_clear_error(net: Net) -> None:
    pk, sk = generate.key_pair()
    client = DmsgClient(pk, sk, net.directory)
    with pytest.raises(Unavailable, match="no session"):
        await client.look_up_ip()
    await client.close()


async def test_handshake_payloads_are_taken_and_not_minded(net: Net) -> None:
    """Peers of 2026 put a key there, and into the first message of a stream; we send none back."""
    key = os.urandom(1184)
    b = await net.client()
    listener = b.listen(80)
    async with raw_client(net.servers[0], payload=key) as newer:
        handshake = Handshake(
            Pattern.KK,
            initiator=True,
            public=newer.pk,
            secret=newer.sk,
            ephemeral=generate.key_pair()[1],
            remote=b.public,
        )
        wanted = StreamRequest(
            timestamp=time.time_ns(),
            source=Addr(newer.pk, 5),
            destination=Addr(b.public, 80),
            noise_message=handshake.write_message(key),
        )
        newer.request(1, wanted)
        accepted = await soon(listener.accept())
        assert accepted.remote.pk == newer.pk
        while not newer.data:
            await newer.receive()
        response = parse_response(newer.cipher.open(bytes(newer.data[1][2:])))
        assert handshake.read_message(response.noise_message) == b""
        await accepted.write(b"x")
