"""The identity handshake against the reference's transcripts, and against liars."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto import curve
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import NULL_KEY, PubKey, SecKey
from skywire.errors import (
    AuthenticationFailed,
    InvalidValue,
    LocalProtocolError,
    Refused,
    RemoteProtocolError,
    SkywireError,
)
from skywire.testing import vectors
from skywire.wire.handshake import (
    HELLO,
    MAX_FRAME,
    NOT_LISTENING,
    Initiator,
    Responder,
    State,
)

ACCEPTED, REJECTED, RESOLVER = vectors.load("routing/stcp_handshake")
SECRETS = {
    PubKey.parse(case["pk"]): SecKey.parse(case["sk"]) for case in vectors.load("routing/keys")
}
A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")
NONCE = bytes(range(16))


def written(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(write["hex"]) for write in case["writes"]]


def initiator(case: dict[str, Any], port: int = 45) -> Initiator:
    public = PubKey.parse(case["initiator_pk"])
    return Initiator(public, SECRETS[public], PubKey.parse(case["responder_pk"]), port=port)


def test_our_responder_takes_go_s_frames_and_says_the_same() -> None:
    hello, nonce, claim, answer = written(ACCEPTED)
    machine = Responder(bytes.fromhex(ACCEPTED["frame2_nonce"]))
    assert machine.receive_data(hello) == nonce
    assert machine.receive_data(claim) == answer
    assert machine.state is State.DONE
    assert str(machine.remote) == ACCEPTED["initiator_pk"]
    assert str(machine.target) == ACCEPTED["responder_pk"]
    assert machine.remote_port == 49153
    assert machine.rest == b""


def test_our_initiator_takes_go_s_frames_and_signs_the_same_bytes() -> None:
    hello, nonce, claim, answer = written(ACCEPTED)
    machine = initiator(ACCEPTED)
    assert machine.start() == hello
    ours = machine.receive_data(nonce)
    signature = ACCEPTED["frame2_sig"].encode()
    mine = ours[ours.index(b'"Sig":"') + 7 :][:130]
    assert ours.replace(mine, signature) == claim
    curve.verify(
        PubKey.parse(ACCEPTED["initiator_pk"]),
        bytes.fromhex(ACCEPTED["frame2_signed_bytes"]),
        bytes.fromhex(mine.decode()),
    )
    assert machine.receive_data(answer) == b""
    assert machine.state is State.DONE


def test_a_port_nobody_listens_on_is_refused_as_go_does() -> None:
    hello, _, claim, answer = written(REJECTED)
    machine = Responder(bytes.fromhex(REJECTED["frame2_nonce"]), ports=())
    machine.receive_data(hello)
    with pytest.raises(RemoteProtocolError, match=NOT_LISTENING):
        machine.receive_data(claim)
    assert machine.farewell == answer
    assert machine.state is State.FAILED
    dialler = initiator(REJECTED)
    dialler.start()
    dialler.receive_data(written(REJECTED)[1])
    with pytest.raises(Refused, match=NOT_LISTENING) as caught:
        dialler.receive_data(answer)
    assert caught.value.reason == NOT_LISTENING


def test_the_form_for_an_address_resolver() -> None:
    frame = bytes.fromhex(RESOLVER["frame2_on_wire"])
    source = frame[frame.index(b'"public_key":"') + 14 :][:66].decode()
    public = PubKey.parse(source)
    nonce = eval(frame[frame.index(b"[") : frame.index(b"]") + 1])
    ours = Initiator(public, SECRETS[public], NULL_KEY, source_port=0, port=0)
    ours.start()
    claim = ours.receive_data(b'{"Nonce":' + str(nonce).replace(" ", "").encode() + b"}\n")
    assert claim[: claim.index(b'"Sig"')] == frame[: frame.index(b'"Sig"')]
    machine = Responder(bytes(nonce), ports=(0,))
    machine.receive_data(HELLO)
    machine.receive_data(frame)
    assert (machine.state, machine.remote, machine.target) == (State.DONE, public, NULL_KEY)


def exchange(machine: Responder, dialler: Initiator) -> None:
    to_responder = dialler.start()
    while to_responder:
        answer = machine.receive_data(to_responder)
        to_responder = dialler.receive_data(answer)


def test_both_sides_of_ours_understand_each_other() -> None:
    machine, dialler = Responder(NONCE), Initiator(A, A_SECRET, B)
    exchange(machine, dialler)
    assert machine.state is dialler.state is State.DONE
    assert machine.remote == A


def claim_of(nonce: bytes = NONCE, secret: SecKey = A_SECRET) -> bytes:
    dialler = Initiator(A, secret, B)
    dialler.start()
    numbers = ",".join(str(byte) for byte in nonce)
    return dialler.receive_data(f'{{"Nonce":[{numbers}]}}\n'.encode())


def refused(claim: bytes) -> SkywireError:
    machine = Responder(NONCE)
    machine.receive_data(HELLO)
    with pytest.raises(RemoteProtocolError) as caught:
        machine.receive_data(claim)
    assert machine.state is State.FAILED
    assert machine.remote == NULL_KEY
    assert not machine.farewell
    with pytest.raises(LocalProtocolError):
        machine.receive_data(b"x")
    return caught.value


def test_a_replayed_claim_is_refused() -> None:
    assert isinstance(refused(claim_of(nonce=bytes(16))), AuthenticationFailed)


def test_a_claim_signed_by_another_key_is_refused() -> None:
    assert isinstance(refused(claim_of(secret=B_SECRET)), AuthenticationFailed)


@pytest.mark.parametrize(
    "change",
    [
        (b'"port":45', b'"port":46'),
        (b'"port":45', b'"port":-1'),
        (b'"port":45', b'"port":70000'),
        (A.hex().encode(), B.hex().encode()),
        (B.hex().encode(), A.hex().encode()),
        (A.hex().encode(), b"0" * 66),
        (b'"Sig":"', b'"Sig":"00'),
        (b"[0,1,2,", b"[0,1,2,3,"),
        (b"[0,1,2,", b"[0,1,256,"),
        (b'"Nonce"', b'"Nonse"'),
    ],
)
def test_a_changed_claim_is_refused(change: tuple[bytes, bytes]) -> None:
    refused(claim_of().replace(*change))


def test_white_space_and_upper_case_do_not_matter() -> None:
    claim = claim_of().replace(b",", b" , ").replace(A.hex().encode(), A.hex().upper().encode())
    machine = Responder(NONCE)
    machine.receive_data(HELLO)
    machine.receive_data(claim)
    assert machine.remote == A


def test_who_does_not_start_with_the_hello_is_refused_at_once() -> None:
    with pytest.raises(RemoteProtocolError, match="starts with"):
        Responder(NONCE).receive_data(b"GET /")


def test_who_talks_on_without_the_nonce_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="without having the nonce"):
        Responder(NONCE).receive_data(HELLO + claim_of())


def test_a_frame_without_end_is_refused() -> None:
    machine = Responder(NONCE)
    machine.receive_data(HELLO)
    machine.receive_data(b" " * (MAX_FRAME - 1))
    with pytest.raises(RemoteProtocolError, match="longer"):
        machine.receive_data(b" ")


def test_what_follows_the_last_frame_is_kept_to_the_byte() -> None:
    machine = Initiator(A, A_SECRET, B)
    machine.start()
    machine.receive_data(b'{"Nonce":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}\n')
    machine.receive_data(b'{"OK":true,"ErrMsg":""}\n\n\x00\x31{binary')
    assert machine.rest == b"\n\x00\x31{binary"


def test_misuse_is_told() -> None:
    machine = Initiator(A, A_SECRET, B)
    with pytest.raises(LocalProtocolError, match="start"):
        machine.receive_data(b"x")
    machine = Initiator(A, A_SECRET, B)
    machine.start()
    with pytest.raises(LocalProtocolError, match="started"):
        machine.start()
    with pytest.raises(LocalProtocolError, match="nonce has 3 bytes"):
        Responder(b"abc")


@given(st.data())
def test_any_split_is_the_same(data: st.DataObject) -> None:
    claim = claim_of() + b"next stage"
    machine, out = Responder(NONCE), []
    for part in (HELLO, claim):
        cuts = sorted(data.draw(st.sets(st.integers(1, len(part) - 1), max_size=5)))
        for begin, end in zip([0, *cuts], [*cuts, len(part)], strict=True):
            if machine.state is State.DONE:
                machine.rest += part[begin:end]
            else:
                out.append(machine.receive_data(part[begin:end]))
    assert [frame for frame in out if frame][1] == b'{"OK":true,"ErrMsg":""}\n'
    assert (machine.remote, machine.rest) == (A, b"next stage")


@given(st.binary(max_size=200), st.integers(0, 3), st.booleans())
def test_any_bytes_are_taken_or_refused(raw: bytes, at: int, line: bool) -> None:
    for machine in (Responder(NONCE), Initiator(A, A_SECRET, B)):
        with suppress(RemoteProtocolError, Refused, InvalidValue):
            if isinstance(machine, Initiator):
                machine.start()
            for part in ([HELLO, claim_of(), b""][:at], [raw + b"\n" * line]):
                for piece in part:
                    if machine.state not in (State.DONE, State.FAILED):
                        machine.receive_data(piece)
