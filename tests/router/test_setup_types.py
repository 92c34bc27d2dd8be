"""The set-up calls, byte for byte as Go makes them. Source: routing.md §5.3."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    CODE_RESERVE_IDS,
    RESERVE_IDS,
    SIGNATURES,
    BidirectionalRoute,
    EdgeRules,
    failure,
)
from skywire.testing import vectors
from skywire.wire.netrpc import ClientSide, ServerSide
from skywire.wire.rule import RouteDescriptor, Rule
from tests.router.test_setup_rules import as_route

CASES = [case for case in vectors.load("routing/setup_rpc") if case["method"] in SIGNATURES]


def as_edge_rules(value: dict[str, str]) -> EdgeRules:
    return EdgeRules(*(bytes.fromhex(value[name]) for name in ("Desc", "Forward", "Reverse")))


def as_argument(method: str, value: Any) -> Any:
    convert: dict[Any, Callable[[Any], Any]] = {
        BidirectionalRoute: as_route,
        EdgeRules: as_edge_rules,
    }
    if isinstance(value, list):
        return [bytes.fromhex(rule) for rule in value]
    return convert.get(SIGNATURES[method][0], lambda v: v)(value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_same_streams_as_go(case: dict[str, Any]) -> None:
    method = case["method"]
    argument_type, reply_type = SIGNATURES[method]
    argument = as_argument(method, case["args"])

    client = ClientSide()
    _, sent = client.call(method, argument_type, argument, reply_type)
    assert sent.hex() == case["client_to_server"]

    server = ServerSide({method: argument_type})
    server.receive_data(sent)
    call = server.next_call()
    assert call is not None
    assert call.argument == argument

    (reply,) = client.receive_data(bytes.fromhex(case["server_to_client"]))
    assert reply.error == case["error"]
    if case["error"]:
        answer = server.refuse(call, case["error"])
    else:
        expected = case["reply"]
        expected = as_edge_rules(expected) if isinstance(expected, dict) else expected
        assert reply.value == expected
        answer = server.reply(call, reply_type, expected)
    # Go numbers the types of a process, not those of a stream: only these bytes may differ
    assert _without_ids(answer) == _without_ids(bytes.fromhex(case["server_to_client"]))


def _without_ids(stream: bytes) -> bytes:
    """Type ids of 64 to 95 are two bytes, ff and twice the id; negative ones odd."""
    stream = re.sub(rb"\xff[\x80-\xbf]", b"", stream)
    return re.sub(rb"^.[\x7f]|^.", b"", stream)  # the first definition's length and id


def test_error_texts() -> None:
    (case,) = (case for case in CASES if case["name"] == "ReserveIDs-error")
    assert failure(CODE_RESERVE_IDS, "no available routeIDs") == case["error"]


def test_live_streams_are_understood() -> None:
    """Both ends of the calls of a real setup node with a visor, recorded on dmsg."""
    seen: list[str] = []
    for case in vectors.load("routing/live_route_setup"):
        for stream in case["setup_streams"] or []:
            calling = stream["segments"][0][0]
            arguments = {name: types[0] for name, types in SIGNATURES.items()}
            server, client = ServerSide(arguments), ClientSide()
            for side, text in stream["segments"]:
                if side == calling:
                    server.receive_data(bytes.fromhex(text))
                    while (call := server.next_call()) is not None:
                        assert not call.refusal
                        seen.append(call.method)
                        client.call(
                            call.method,
                            arguments[call.method],
                            call.argument,
                            SIGNATURES[call.method][1],
                        )
                        _check(call.method, call.argument)
                else:
                    for reply in client.receive_data(bytes.fromhex(text)):
                        assert not reply.error
                        assert not reply.broken
    assert set(seen) >= {RESERVE_IDS, ADD_EDGE_RULES}


def _check(method: str, argument: Any) -> None:
    if method == ADD_EDGE_RULES:
        descriptor = RouteDescriptor.parse(argument.desc)
        assert Rule.parse(argument.reverse).descriptor == descriptor
        assert Rule.parse(argument.forward).descriptor == descriptor.inverted()
