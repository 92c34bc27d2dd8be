"""The recorded conversation of a Go server with two Go clients, decrypted and retraced by ours."""

from skywire.crypto.keys import SecKey
from skywire.testing import vectors
from skywire.wire.dmsg import (
    ObjectReader,
    StreamRequest,
    check_request,
    check_response,
    object_hash,
    parse_request,
    parse_response,
)
from skywire.wire.noise import Handshake, Pattern
from skywire.wire.noise_frames import ObjectCipher, Opener
from skywire.wire.yamux import Yamux, YamuxStream

CASE = vectors.load("dmsg/session_transcript")[0]
SECRETS = {e["public"]: SecKey.parse(e["secret"]) for e in CASE["ephemerals"]}
SERVER = SecKey.parse(CASE["server_secret"])
CLIENTS = [SecKey.parse(CASE["client_a_secret"]), SecKey.parse(CASE["client_b_secret"])]


class Log:
    """What one side of a connection received, per stream."""

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {}
        self.ended: set[int] = set()

    def watch(self, stream: YamuxStream) -> None:
        stream.receiver = _Watcher(self, stream)


class _Watcher:
    def __init__(self, log: Log, stream: YamuxStream) -> None:
        self.log, self.stream = log, stream
        log.data[stream.id] = bytearray()

    def data_received(self, data: bytes | memoryview) -> None:
        self.log.data[self.stream.id] += data

    def window_opened(self) -> None: ...

    def eof_received(self) -> None:
        self.log.ended.add(self.stream.id)

    def stream_lost(self, reason: str) -> None:
        raise AssertionError(reason)


class Tap:
    """Both ends of a recorded connection, played by our machines on the recorded bytes."""

    def __init__(self, secret: SecKey) -> None:
        self.raw = {"client": b"", "server": b""}
        self.secret = secret
        self.to_server, self.to_client = Log(), Log()

    def handshake(self) -> None:
        messages = []
        for side in ("client", "server", "client"):
            raw = self.raw[side]
            end = 2 + int.from_bytes(raw[:2], "big")
            messages.append(raw[2:end])
            self.raw[side] = raw[end:]
        ends = [
            Handshake(
                Pattern.XK,
                initiator=initiator,
                public=secret.public(),
                secret=secret,
                ephemeral=SECRETS[message[:33].hex()],
                remote=SERVER.public() if initiator else None,
            )
            for initiator, secret, message in (
                (True, self.secret, messages[0]),
                (False, SERVER, messages[1]),
            )
        ]
        for index, message in enumerate(messages):
            assert ends[index % 2].write_message() == message
            ends[1 - index % 2].read_message(message)
        client, server = ends
        assert server.remote == self.secret.public()
        self.client_cipher = ObjectCipher(client.send_key, client.receive_key)
        self.server_cipher = ObjectCipher(server.send_key, server.receive_key)

    def replay(self) -> None:
        """Each of our ends opens what the recorded end opened and takes what it was sent."""

        def quiet() -> None: ...

        server = Yamux(client=False, now=0, on_stream=self.to_server.watch, on_output=quiet)
        client = Yamux(client=True, now=0, on_stream=self.to_client.watch, on_output=quiet)
        for end, log, sent in (
            (client, self.to_client, self.raw["client"]),
            (server, self.to_server, self.raw["server"]),
        ):
            position = 0
            while position < len(sent):  # own opens, so that answers find their stream
                _, kind, flags, stream_id, length = (
                    sent[position],
                    sent[position + 1],
                    int.from_bytes(sent[position + 2 : position + 4], "big"),
                    int.from_bytes(sent[position + 4 : position + 8], "big"),
                    int.from_bytes(sent[position + 8 : position + 12], "big"),
                )
                if flags & 1 and kind == 1:
                    opened = end.open()
                    assert opened.id == stream_id
                    log.watch(opened)
                position += 12 + (length if kind == 0 else 0)
        server.receive_data(self.raw["client"], 0)
        client.receive_data(self.raw["server"], 0)


def _taps() -> list[Tap]:
    taps = [Tap(secret) for secret in CLIENTS]
    for event in CASE["events"]:
        if "connection" in event:
            taps[event["connection"]].raw[event["from"]] += bytes.fromhex(event["data"])
    for tap in taps:
        tap.handshake()
        tap.replay()
    return taps


def _object(data: bytes | bytearray, cipher: ObjectCipher) -> tuple[bytes, bytes]:
    found = ObjectReader().receive_data(bytes(data))
    assert found is not None
    return cipher.open(found[0]), found[1]


def test_the_whole_recording_decrypts_and_passes_our_checks() -> None:
    a, b = _taps()
    signed, frames = _object(a.to_server.data[1], a.server_cipher)
    request = parse_request(signed)
    check_request(request, signed)
    assert request.destination.pk == CLIENTS[1].public()
    assert request.destination.port == 80
    forwarded, forwarded_frames = _object(b.to_client.data[2], b.client_cipher)
    assert forwarded == signed
    assert forwarded_frames == frames

    answer, answer_frames = _object(b.to_server.data[2], b.server_cipher)
    response = parse_response(answer)
    check_response(response, answer, CLIENTS[1].public(), object_hash(signed))
    assert _object(a.to_client.data[1], a.client_cipher) == (answer, answer_frames)

    keys = _kk_keys(request, response.noise_message)
    sent = b"".join(Opener(keys["dialler"]).receive_data(frames))
    assert sent == b"hello from A" + b"a" * 10_000
    assert b"".join(Opener(keys["listener"]).receive_data(answer_frames)) == b"hello from B"
    assert 1 in a.to_client.ended
    assert 2 in b.to_client.ended


def _kk_keys(request: StreamRequest, answer: bytes) -> dict[str, bytes]:
    ends = [
        Handshake(
            Pattern.KK,
            initiator=initiator,
            public=secret.public(),
            secret=secret,
            ephemeral=SECRETS[message[:33].hex()],
            remote=other.public(),
        )
        for initiator, secret, other, message in (
            (True, CLIENTS[0], CLIENTS[1], request.noise_message),
            (False, CLIENTS[1], CLIENTS[0], answer),
        )
    ]
    dialler, listener = ends
    assert dialler.write_message() == request.noise_message
    listener.read_message(request.noise_message)
    assert listener.write_message() == answer
    dialler.read_message(answer)
    return {"dialler": dialler.send_key, "listener": listener.send_key}


def test_the_address_lookup_of_the_recording() -> None:
    a, _ = _taps()
    _object(a.to_server.data[1], a.server_cipher)
    signed, _ = _object(a.to_server.data[3], a.server_cipher)
    request = parse_request(signed)
    check_request(request, signed)
    assert request.ip_info
    assert request.destination.pk == SERVER.public()
    answer, _ = _object(a.to_client.data[3], a.client_cipher)
    response = parse_response(answer)
    check_response(response, answer, SERVER.public(), object_hash(signed))
    assert response.ip[-4:] == bytes([127, 0, 0, 1])


def test_failing_dials_got_no_answer_from_the_go_server() -> None:
    a, _ = _taps()
    assert a.to_client.data[5] == a.to_client.data[7] == b""
