"""Long streams recorded between real Go nodes and an independent codec (pty and visor)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any

import pytest

from skywire.testing import vectors
from skywire.wire import gob
from skywire.wire.gob_types import (
    ANY,
    BYTES,
    EMPTY,
    INT,
    PUBKEY,
    STRING,
    UINT16,
    Go,
    GoType,
    Pointer,
    Slice,
    zero,
)
from skywire.wire.netrpc import Request, Response

FILES = ("pty/go_client", "pty/go_host", "pty/whitelist", "visor/go_hypervisor", "visor/go_visor")
CASES = [(name, case) for name in FILES for case in vectors.load(name)]
IDS = [f"{name}-{case['name']}" for name, case in CASES]


def sides(case: dict[str, Any]) -> Iterator[tuple[bytes, list[Any]]]:
    """The stream of each side, and the values shown for it."""
    for side in ("client", "server"):
        sent = [m for m in case["messages"] if m["from"] == side]
        stream = "".join(m["header_gob"] + m["body_gob"] for m in sent)
        yield bytes.fromhex(stream), [m[part] for m in sent for part in ("header", "body")]


def same(found: Any, expected: Any) -> bool:
    """Is `found` what the vector shows: hexadecimal bytes, pairs for a map, absent for zero?"""
    match found, expected:
        case bytes(), _:
            return bool(found.hex() == (expected or ""))
        case dict(), list():  # a map
            return len(found) == len(expected) and all(same(found[k], v) for k, v in expected)
        case dict(), dict():
            names = found.keys() | expected.keys()
            return all(same(found.get(name), expected.get(name)) for name in names)
        case list(), list():
            return len(found) == len(expected) and all(map(same, found, expected))
        case _, {"name": _, "value": value}:  # an interface
            return same(found, value)
        case None, _:
            return not expected or not any(str(expected).strip("0"))
    return bool(found == expected or (not found and not expected))


@pytest.mark.parametrize(("_name", "case"), CASES, ids=IDS)
def test_every_recorded_value_is_read(_name: str, case: dict[str, Any]) -> None:
    for stream, values in sides(case):
        decoder = gob.Decoder()
        decoder.receive_data(stream)
        for expected in values:
            found = decoder.next(ANY)
            assert same(found, expected), (found, expected)
        assert decoder.next(ANY) is gob.NEED_DATA


@dataclass
class WinSize:
    x: Annotated[int, Go("X", UINT16)] = 0
    y: Annotated[int, Go("Y", UINT16)] = 0
    rows: Annotated[int, Go("Rows", UINT16)] = 0
    cols: Annotated[int, Go("Cols", UINT16)] = 0


@dataclass
class CommandReq:
    name: Annotated[str, Go("Name", STRING)] = ""
    arg: Annotated[list[str], Go("Arg", Slice(STRING))] = field(default_factory=list)
    size: Annotated[WinSize | None, Go("Size", Pointer(WinSize))] = None


KEYS = Slice(PUBKEY)
METHODS: dict[str, tuple[GoType, GoType]] = {  # argument and reply
    "pty.Start": (CommandReq, EMPTY),
    "pty.StartSession": (CommandReq, STRING),
    "pty.Stop": (EMPTY, EMPTY),
    "pty.Ping": (EMPTY, EMPTY),
    "pty.Read": (INT, BYTES),
    "pty.Write": (BYTES, INT),
    "pty.SetPtySize": (WinSize, EMPTY),
    "whitelist.Whitelist": (EMPTY, KEYS),
    "whitelist.WhitelistAdd": (KEYS, EMPTY),
    "whitelist.WhitelistRemove": (KEYS, EMPTY),
    "whitelist.Nope": (EMPTY, EMPTY),
}
NUMBERED_AFRESH = {"pty/go_client": Response, "pty/go_host": Request, "pty/whitelist": Request}
OTHER_KINDS = {str: STRING, int: INT, bytes: BYTES}  # one recorded client sends wrong arguments


def typed_values(stream: bytes, header: type) -> Iterator[tuple[GoType, Any]]:
    decoder = gob.Decoder()
    decoder.receive_data(stream)
    while (head := decoder.next(header)) is not gob.NEED_DATA:
        yield header, head
        argument, reply = METHODS[head.service_method]
        expected = argument if header is Request else EMPTY if head.error else reply
        value = decoder.next((expected, STRING, INT, BYTES))
        wanted = type(value) in (type(zero(expected)), NoneType)
        yield expected if wanted else OTHER_KINDS[type(value)], value


PTY_CASES = [(name, case) for name, case in CASES if not name.startswith("visor")]


@pytest.mark.parametrize(
    ("name", "case"), PTY_CASES, ids=[f"{name}-{case['name']}" for name, case in PTY_CASES]
)
def test_pty_streams_become_our_types_and_the_same_bytes_again(
    name: str, case: dict[str, Any]
) -> None:
    for header, (stream, values) in zip((Request, Response), sides(case), strict=True):
        found = list(typed_values(stream, header))
        assert len(found) == len(values)
        encoder = gob.Encoder()
        again = b"".join(encoder.encode(t, value) for t, value in found)
        if NUMBERED_AFRESH[name] is header:  # ids from 64: not from a long-running Go process
            assert again.hex() == stream.hex()
        assert list(typed_values(again, header)) == found


@pytest.mark.parametrize(
    ("t", "value", "raw"),
    [
        (INT, 32768, "060400fd010000"),
        (BYTES, b"ls\n", "060a00036c730a"),
        (STRING, "deadbeefdeadbeef", "130c001064656164626565666465616462656566"),
        (
            WinSize,
            WinSize(100, 30, 30, 100),
            "33ff810301010757696e53697a6501ff820001040101580106000101590106000104526f777301060001"
            "04436f6c7301060000000bff820164011e011e016400",
        ),
    ],
)
def test_the_examples_of_the_specification(t: GoType, value: Any, raw: str) -> None:
    """pty.md §3.4: written by older releases, whose ids start at 65."""
    assert gob.decode(t, bytes.fromhex(raw)) == value
