"""The bodies of the route finder. Source: services.md §3; vector service_json."""

import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, RemoteProtocolError
from skywire.testing import vectors
from skywire.wire import routes
from skywire.wire.routes import Bounds, Hop

VECTORS: dict[str, str] = {
    case["name"]: case["json"] for case in vectors.load("routing/service_json")
}
REQUEST = VECTORS["route finder request body"].encode()
RESPONSE = VECTORS["route finder response body"].encode()
A = PubKey.parse("03ee8d976b14ac9d0007d445e6be6a77433e2fad7257ba369db8d72493b4164278")
B = PubKey.parse("03754e4da491455dedb9ebf2c56bda3fe9c688e73a684065c22a6dc40a4823e472")
C = deterministic_key_pair(b"c")[0]
ID = uuid.UUID("9d517613-83ff-0d37-9282-ea71a2b61d61")


def test_same_request_as_go() -> None:
    assert routes.encode_request([(A, B), (B, A)], Bounds(0, 50)) == REQUEST
    assert routes.parse_request(REQUEST) == ([(str(A), str(B)), (str(B), str(A))], Bounds(0, 50))


def test_same_response_as_go() -> None:
    paths = {(A, B): [[Hop(ID, A, B)]], (B, A): [[Hop(ID, B, A)]]}
    assert routes.parse_response(RESPONSE) == paths
    named = {(str(one), str(two)): found for (one, two), found in paths.items()}
    assert routes.encode_response(named) == RESPONSE


@pytest.mark.parametrize(
    ("body", "edges", "bounds"),
    [
        ("{}", 0, Bounds(0, 0)),
        ("null", 0, Bounds(0, 0)),
        ('{"Edges":null,"Opts":null}', 0, Bounds(0, 0)),
        (f'{{"edges":["{str(A).upper()}:{B}"]}}', 1, Bounds(0, 0)),
        (f'{{"EDGES":["{A}:{B}"],"opts":{{"maxhops":3}},"other":1}}', 1, Bounds(0, 3)),
        ('{"Opts":{"MinHops":2,"MaxHops":65535}}', 0, Bounds(2, 65535)),
    ],
)
def test_names_in_any_case_and_missing_ones(body: str, edges: int, bounds: Bounds) -> None:
    asked = routes.parse_request(body.encode())
    assert asked == ([(str(A), str(B))] * edges, bounds)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        '{"Edges":{}}',
        '{"Edges":[1]}',
        '{"Edges":["a:b"]}',
        f'{{"Edges":["{A}"]}}',
        f'{{"Edges":["{A}:{B}:{C}"]}}',
        '{"Opts":[]}',
        '{"Opts":{"MaxHops":-1}}',
        '{"Opts":{"MaxHops":65536}}',
        '{"Opts":{"MaxHops":1.5}}',
        '{"Opts":{"MaxHops":true}}',
        '{"Opts":{"MaxHops":false}}',
        "[" * 5000,
    ],
)
def test_bad_requests(body: str) -> None:
    with pytest.raises(InvalidValue, match="invalid"):
        routes.parse_request(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"a:b":[]}',
        f'{{"{A}":[]}}',
        f'{{"{A}:{B}":[[{{"TpID":"1","From":"{A}","To":"{B}"}}]]}}',
        f'{{"{A}:{B}":[[{{"TpID":"{ID}","From":"{A}","To":"{"00" * 33}"}}]]}}',
        f'{{"{A}:{B}":[[{{"TpID":"{ID}","From":"{A}"}}]]}}',
    ],
)
def test_bad_answers(body: str) -> None:
    with pytest.raises(RemoteProtocolError, match="route finder"):
        routes.parse_response(body.encode())


def test_paths_that_lead_elsewhere_are_left_out() -> None:
    def answer(*hops: tuple[PubKey, PubKey]) -> Any:
        texts = (f'{{"TpID":"{ID}","From":"{one}","To":"{two}"}}' for one, two in hops)
        return routes.parse_response(f'{{"{A}:{B}":[[{",".join(texts)}]]}}'.encode())[A, B]

    assert len(answer((A, C), (C, B))) == 1
    for hops in ([], [(B, A)], [(A, C)], [(A, C), (A, B)], [(C, B)]):
        assert answer(*hops) == []
    assert routes.parse_response(f'{{"{A}:{B}":null}}'.encode()) == {(A, B): []}


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with suppress(InvalidValue):
        routes.parse_request(body)
    with suppress(RemoteProtocolError):
        routes.parse_response(body)
