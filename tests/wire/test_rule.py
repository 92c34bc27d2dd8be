"""Rules and descriptors against Go's bytes, and refused when they are not right."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import RemoteProtocolError
from skywire.testing import vectors
from skywire.wire.rule import RouteDescriptor, Rule, RuleType

RULES = vectors.load("routing/rules")
A = deterministic_key_pair(b"a")[0]
B = deterministic_key_pair(b"b")[0]
DESCRIPTOR = RouteDescriptor(A, B, 49153, 44)


def rule_of(case: dict[str, Any]) -> Rule:
    keep_alive = -1 if "negative" in case["name"] else case["keep_alive_ns"]
    descriptor = None
    if "src_pk" in case:
        descriptor = RouteDescriptor(
            PubKey.parse(case["src_pk"]),
            PubKey.parse(case["dst_pk"]),
            case["src_port"],
            case["dst_port"],
        )
    if "next_transport_id" not in case:
        assert descriptor is not None
        return Rule.consume(case["key_route_id"], keep_alive, descriptor)
    way = case["next_route_id"], UUID(case["next_transport_id"])
    if descriptor is None:
        return Rule.intermediary(case["key_route_id"], keep_alive, *way)
    return Rule.forward(case["key_route_id"], keep_alive, descriptor, *way)


@pytest.mark.parametrize("case", RULES, ids=lambda c: c["name"])
def test_rules_as_go_writes_them(case: dict[str, Any]) -> None:
    rule, raw = rule_of(case), bytes.fromhex(case["rule"])
    assert rule.encode() == raw
    assert len(raw) == case["length"]
    assert Rule.parse(raw) == rule
    assert str(rule) == case["string"]
    assert json.dumps(rule.summary(), separators=(",", ":")) == case["summary_json"]


@pytest.mark.parametrize("case", vectors.load("routing/route_descriptors"))
def test_descriptors_as_go_writes_them(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["descriptor"])
    descriptor = RouteDescriptor.parse(raw)
    assert descriptor.encode() == raw
    assert descriptor.inverted().encode().hex() == case["inverted"]
    assert descriptor.inverted().inverted() == descriptor
    assert str(descriptor) == case["string"]
    assert descriptor.summary() == {
        name: case[name] for name in ("dst_pk", "src_pk", "dst_port", "src_port")
    }


@pytest.mark.parametrize("kind", [RuleType.FORWARD, RuleType.INTERMEDIARY])
def test_rules_without_padding_are_taken(kind: RuleType) -> None:
    rule = {
        RuleType.FORWARD: Rule.forward(1, 5, DESCRIPTOR, 2, UUID(int=7)),
        RuleType.INTERMEDIARY: Rule.intermediary(1, 5, 2, UUID(int=7)),
    }[kind]
    assert Rule.parse(rule.encode()[:-17]) == rule


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "0 bytes"),
        (bytes(12), "12 bytes"),
        (bytes(8) + b"\x03" + bytes(40), "type 3"),
        (Rule.consume(1, 5, DESCRIPTOR).encode()[:-1], "has 82 bytes, expected 83"),
        (Rule.consume(1, 5, DESCRIPTOR).encode() + b"\0", "has 84 bytes"),
        (Rule.intermediary(1, 5, 2, UUID(int=7)).encode()[:-1], "has 49 bytes"),
        (bytes(83), "not a point"),
    ],
)
def test_what_is_no_rule_is_refused(raw: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        Rule.parse(raw)


def test_a_descriptor_of_another_length_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="69 bytes"):
        RouteDescriptor.parse(DESCRIPTOR.encode()[:-1])


@given(st.binary(max_size=130))
def test_any_bytes_are_a_rule_or_refused(raw: bytes) -> None:
    try:
        rule = Rule.parse(raw)
    except RemoteProtocolError:
        return
    assert Rule.parse(rule.encode()) == rule
