"""Paths between visors: the reference's search, and our choices. Source: services.md §3.1."""

import uuid
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound
from skywire.wire.route_graph import (
    NO_ROUTE_TO_DESTINATION,
    NO_TRANSPORTS,
    ROUTE_NOT_FOUND,
    Edge,
    RouteGraph,
)
from skywire.wire.routes import MAX_HOPS, MAX_PATHS, Bounds, Path, is_path

ANY = Bounds(0, MAX_HOPS)


def pk(name: str) -> PubKey:
    return PubKey(b"\2" + name.encode().rjust(32, b"\0"))


def graph_of(*pairs: str, type: str = "stcpr") -> RouteGraph:
    """ "ab" is a transport between a and b; ids count from 1."""
    graph = RouteGraph()
    for number, pair in enumerate(pairs, 1):
        graph.add(Edge(uuid.UUID(int=number), pk(pair[0]), pk(pair[1]), type))
    return graph


def names(path: Path) -> str:
    return "".join(hop.from_pk[-1:].decode() for hop in path) + path[-1].to_pk[-1:].decode()


def search(graph: RouteGraph, ends: str, bounds: Bounds = ANY) -> list[str]:
    return [names(path) for path in graph.paths(pk(ends[0]), pk(ends[1]), bounds)]


def test_one_hop_and_two() -> None:
    graph = graph_of("ab", "bc")
    assert search(graph, "ab") == ["ab"]
    assert search(graph, "ac") == ["abc"]
    assert search(graph, "ca") == ["cba"]
    (path,) = graph.paths(pk("a"), pk("c"), ANY)
    assert [hop.tp_id.int for hop in path] == [1, 2]


def test_one_path_for_each_neighbour_of_the_target_shortest_first() -> None:
    graph = graph_of("ad", "ab", "bd", "ac", "cd", "be", "ed", "cx", "xb")
    assert search(graph, "ad") == ["ad", "abd", "acd", "abed"]


def test_the_target_is_nobodys_way() -> None:
    assert search(graph_of("ab", "bc", "cd"), "ab") == ["ab"]


def test_at_most_five() -> None:
    graph = graph_of(*(f"a{m}" for m in "123456789"), *(f"{m}z" for m in "123456789"))
    assert len(search(graph, "az")) == MAX_PATHS


@pytest.mark.parametrize(
    ("bounds", "paths"),
    [
        (Bounds(0, 1), ["ad"]),
        (Bounds(0, 2), ["ad", "abd"]),
        (Bounds(2, 50), ["abd", "abed"]),
        (Bounds(3, 3), ["abed"]),
    ],
)
def test_bounds(bounds: Bounds, paths: list[str]) -> None:
    assert search(graph_of("ad", "ab", "bd", "be", "ed"), "ad", bounds) == paths


def test_to_oneself() -> None:
    assert search(graph_of("ab"), "aa") == ["aba"]
    assert search(graph_of("aa", "ab"), "aa") == ["aa", "aba"]
    assert search(graph_of("aa", "ab"), "ab") == ["ab"]


@pytest.mark.parametrize(
    ("ends", "bounds", "text"),
    [
        ("xa", ANY, NO_TRANSPORTS),
        ("ax", ANY, NO_ROUTE_TO_DESTINATION),
        ("ad", ANY, NO_ROUTE_TO_DESTINATION),
        ("ab", Bounds(0, 0), ROUTE_NOT_FOUND),
        ("ac", Bounds(0, 1), ROUTE_NOT_FOUND),
        ("ab", Bounds(2, 50), ROUTE_NOT_FOUND),
        ("ac", Bounds(5, 3), ROUTE_NOT_FOUND),
    ],
)
def test_no_path(ends: str, bounds: Bounds, text: str) -> None:
    with pytest.raises(NotFound, match=text):
        search(graph_of("ab", "bc", "de"), ends, bounds)


def test_what_is_to_be_avoided() -> None:
    graph = graph_of("ab", "bd", "ac", "cd")
    (path,) = graph.paths(pk("a"), pk("d"), ANY, avoid={pk("b"), pk("a"), pk("x")})
    assert names(path) == "acd"
    (path,) = graph.paths(pk("a"), pk("d"), ANY, avoid_transports={uuid.UUID(int=4)})
    assert names(path) == "abd"
    with pytest.raises(NotFound):
        graph.paths(pk("a"), pk("d"), ANY, avoid={pk("b")}, avoid_transports={uuid.UUID(int=3)})


def test_of_parallel_transports_the_quickest_is_taken() -> None:
    graph = RouteGraph()
    number = count(1)

    def add(type: str, latency: float | None = None) -> uuid.UUID:
        id = uuid.UUID(int=next(number))
        graph.add(Edge(id, pk("a"), pk("b"), type, latency))
        return id

    def taken(avoid: frozenset[uuid.UUID] = frozenset()) -> uuid.UUID:
        ((hop,),) = graph.paths(pk("a"), pk("b"), ANY, avoid_transports=avoid)
        return hop.tp_id

    dmsg = add("dmsg")
    sudph = add("sudph")
    assert taken() == sudph
    assert taken(frozenset([sudph])) == dmsg
    stcpr = add("stcpr", latency=200.0)
    assert taken() == sudph
    graph.add(Edge(stcpr, pk("a"), pk("b"), "stcpr", 3.0))
    assert taken() == stcpr
    assert len(graph) == 3


def test_of_equally_long_ways_the_quickest_is_taken() -> None:
    graph = graph_of("xd", "ax")
    for number, (ends, latency) in enumerate([("ab", 80), ("bx", 90), ("ac", 40), ("cx", 50)], 10):
        graph.add(Edge(uuid.UUID(int=number), pk(ends[0]), pk(ends[1]), "stcpr", latency))
    graph.remove(uuid.UUID(int=2))
    assert search(graph, "ad") == ["acxd"]


def test_add_and_remove() -> None:
    graph = graph_of("ab", "bc")
    edge = graph.get(uuid.UUID(int=2))
    assert edge is not None
    assert not graph.add(edge)
    assert graph.remove(edge.id)
    assert not graph.remove(edge.id)
    assert graph.get(edge.id) is None
    assert pk("c") not in graph
    assert [edge.id.int for edge in graph] == [1]
    with pytest.raises(NotFound):
        search(graph, "ac")
    assert graph.add(edge)
    assert search(graph, "ac") == ["abc"]


LETTERS = "abcdefgh"
PAIRS = st.lists(st.text(LETTERS, min_size=2, max_size=2), max_size=24)


@given(PAIRS, st.text(LETTERS, min_size=2, max_size=2), st.integers(0, 4), st.integers(0, 5))
def test_as_a_search_by_brute_force(pairs: list[str], ends: str, low: int, high: int) -> None:
    graph = graph_of(*pairs)
    near: dict[str, set[str]] = {}
    for one, other in map(tuple, pairs):
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    expected = _lengths(near, ends[0], ends[1])
    expected = [length for length in expected if low <= length <= high][:MAX_PATHS]
    try:
        paths = graph.paths(pk(ends[0]), pk(ends[1]), Bounds(low, high))
    except NotFound:
        paths = []
    assert [len(path) for path in paths] == expected
    for path in paths:
        assert is_path(path, pk(ends[0]), pk(ends[1]))
        assert {names([hop]) for hop in path} <= {p for pair in pairs for p in (pair, pair[::-1])}
        inner = names(path)[1:-1]
        assert len(set(inner)) == len(inner)
    assert paths == (graph.paths(pk(ends[0]), pk(ends[1]), Bounds(low, high)) if paths else [])
    for number in range(1, len(pairs) + 1):
        graph.remove(uuid.UUID(int=number))
    assert not len(graph)
    assert not any(pk(letter) in graph for letter in LETTERS)


def _lengths(near: dict[str, set[str]], source: str, target: str) -> list[int]:
    """Of the shortest way over each neighbour of the target."""
    distance = {source: 0}
    level = [source]
    while level:
        following = []
        for here in level:
            for there in near.get(here, ()):
                if there not in distance and there != target:
                    distance[there] = distance[here] + 1
                    following.append(there)
        level = following
    return sorted(distance[n] + 1 for n in near.get(target, ()) if n in distance)


def test_a_long_line() -> None:
    keys = [PubKey(b"\2" + number.to_bytes(32, "big")) for number in range(300)]
    graph = RouteGraph()
    for number, (one, other) in enumerate(pairwise(keys)):
        graph.add(Edge(uuid.UUID(int=number), one, other, "stcpr"))
    (path,) = graph.paths(keys[0], keys[-1], Bounds(0, 1000))
    assert is_path(path, keys[0], keys[-1])
    with pytest.raises(NotFound, match=ROUTE_NOT_FOUND):
        graph.paths(keys[0], keys[-1], Bounds(0, 298))
