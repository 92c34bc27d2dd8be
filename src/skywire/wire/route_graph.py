"""Who is connected to whom, and the paths between two visors.

    graph = RouteGraph()
    graph.add(Edge(id, one, other, "stcpr"))
    graph.paths(source, target, Bounds(0, 4))

The search is the reference's: a path for each neighbour of the target, the shortest way to it, and
of those the five shortest (services.md §3.1). Ours differs where the reference leaves it to chance:
of equally long ways, and of several transports between the same two visors, the quicker one is
taken, so the same question has the same answer.
"""

import uuid
from collections.abc import Collection, Iterator, KeysView
from typing import NamedTuple

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound
from skywire.wire.routes import MAX_PATHS, Bounds, Hop, Path
from skywire.wire.transport import DMSG, STCP, STCPR, SUDPH

# Texts of the reference's answers.
NO_TRANSPORTS = "transport not found"
NO_ROUTE_TO_DESTINATION = "no route to destination"
ROUTE_NOT_FOUND = "route not found"

TYPICAL_LATENCY = {STCP: 30.0, STCPR: 30.0, SUDPH: 40.0, DMSG: 120.0}  # ms, where none is known
OTHER_LATENCY = 60.0  # ms, of types that we do not know

NOTHING: frozenset[PubKey] = frozenset()
NO_IDS: frozenset[uuid.UUID] = frozenset()


class Edge(NamedTuple):
    """A transport. Both directions are of use; `one` may be `other`."""

    id: uuid.UUID
    one: PubKey
    other: PubKey
    type: str
    latency: float | None = None  # ms

    @property
    def cost(self) -> float:
        if self.latency is not None:
            return self.latency
        return TYPICAL_LATENCY.get(self.type, OTHER_LATENCY)


class _Link(NamedTuple):
    """One of the transports between two visors. The cheapest comes first."""

    cost: float
    id: uuid.UUID


class RouteGraph:
    """Visors are numbered, so that a search handles small numbers; some 1 KB for a transport."""

    def __init__(self) -> None:
        self._edges: dict[uuid.UUID, Edge] = {}
        self._numbers: dict[bytes, int] = {}
        self._keys: list[PubKey] = []
        self._near: list[dict[int, list[_Link]]] = []  # neighbours of each visor

    def __len__(self) -> int:
        """How many transports."""
        return len(self._edges)

    def __iter__(self) -> Iterator[Edge]:
        return iter(self._edges.values())

    def __contains__(self, key: bytes) -> bool:
        """Whether the visor has a transport."""
        number = self._numbers.get(key)
        return number is not None and bool(self._near[number])

    @property
    def ids(self) -> KeysView[uuid.UUID]:
        return self._edges.keys()

    def get(self, id: uuid.UUID) -> Edge | None:
        return self._edges.get(id)

    def add(self, edge: Edge) -> bool:
        """Replaces one with the same id; False when there is nothing new about it."""
        old = self._edges.get(edge.id)
        if old == edge:
            return False
        if old is not None:
            self.remove(edge.id)
        self._edges[edge.id] = edge
        one, other = self._number(edge.one), self._number(edge.other)
        links = self._near[one].setdefault(other, [])
        self._near[other][one] = links
        links.append(_Link(edge.cost, edge.id))
        links.sort()
        return True

    def remove(self, id: uuid.UUID) -> bool:
        """True when there was one. The visors keep their numbers."""
        edge = self._edges.pop(id, None)
        if edge is None:
            return False
        one, other = self._numbers[edge.one], self._numbers[edge.other]
        links = self._near[one][other]
        links.remove(_Link(edge.cost, id))
        if not links:
            del self._near[one][other]
            self._near[other].pop(one, None)
        return True

    def _number(self, key: PubKey) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
            self._near.append({})
        return number

    @property
    def forgotten(self) -> int:
        """How many visors keep a number and have no transport any more."""
        return sum(not near for near in self._near)

    def copy(self) -> "RouteGraph":
        """The same transports, and numbers only for the visors that have one."""
        graph = RouteGraph()
        for edge in self:
            graph.add(edge)
        return graph

    def paths(
        self,
        source: bytes,
        target: bytes,
        bounds: Bounds,
        *,
        limit: int = MAX_PATHS,
        avoid: Collection[PubKey] = NOTHING,
        avoid_transports: Collection[uuid.UUID] = NO_IDS,
    ) -> list[Path]:
        """At most `limit`, at least one, shortest first; `avoid` concerns visors in between.

        `source` may be `target`: there and back, or over a transport of a visor to itself.
        Raises NotFound, with the reference's text.
        """
        if source not in self:
            raise NotFound(NO_TRANSPORTS)
        if target not in self:
            raise NotFound(NO_ROUTE_TO_DESTINATION)
        closed = {number for key in avoid if (number := self._numbers.get(key)) is not None}
        search = _Search(
            self._near, self._numbers[source], self._numbers[target], closed, avoid_transports
        )
        found = search.run(bounds, limit)
        if not found:
            raise NotFound(NO_ROUTE_TO_DESTINATION if search.exhausted else ROUTE_NOT_FOUND)
        return [self._path(steps) for steps in found]

    def _path(self, steps: "list[_Step]") -> Path:
        return [
            Hop(step.id, self._keys[step.start], self._keys[step.end]) for step in reversed(steps)
        ]


class _Step(NamedTuple):
    start: int
    end: int
    id: uuid.UUID


class _Reached(NamedTuple):
    """A visor, how we got there (`id` None: the source) and what the whole way costs."""

    cost: float
    before: int
    id: uuid.UUID | None


class _Search:
    """Breadth first from the source; all visors at one distance before the next ones."""

    def __init__(
        self,
        near: list[dict[int, list[_Link]]],
        source: int,
        target: int,
        closed: set[int],
        avoid: Collection[uuid.UUID],
    ) -> None:
        self._near = near
        self._source = source
        self._target = target
        self._closed = closed | {target} - {source}
        self._avoid = avoid
        self._reached = {source: _Reached(0.0, source, None)}
        self.exhausted = False  # all there is has been searched, and the target was never met

    def run(self, bounds: Bounds, limit: int) -> list[list[_Step]]:
        last = self._last_hops()
        found: list[tuple[int, float, int]] = []  # hops, cost, visor before the target
        level = [self._source]
        met = False
        for hops in range(1, bounds.high + 1):
            for number in level:
                if number in last:
                    met = True
                    if hops >= bounds.low:
                        cost = self._reached[number].cost + last[number].cost
                        found.append((hops, cost, number))
            if len(found) >= limit:
                break
            if not level:
                self.exhausted = not met
                break
            if hops < bounds.high:
                level = self._next(level)
        found.sort()
        return [self._back(number, last[number].id) for _, _, number in found[:limit]]

    def _last_hops(self) -> dict[int, _Link]:
        """Neighbours of the target, each with the transport to take."""
        return {
            number: link
            for number, links in self._near[self._target].items()
            if (number == self._source or number not in self._closed)
            and (link := self._open(links)) is not None
        }

    def _open(self, links: list[_Link]) -> _Link | None:
        if not self._avoid:
            return links[0]
        return next((link for link in links if link.id not in self._avoid), None)

    def _next(self, level: list[int]) -> list[int]:
        """The visors that are one hop further away."""
        reached = self._reached
        closed = self._closed
        fresh: dict[int, _Reached] = {}
        for number in level:
            so_far = reached[number].cost
            for neighbour, links in self._near[number].items():
                if neighbour in reached or neighbour in closed:
                    continue
                link = links[0] if not self._avoid else self._open(links)
                if link is None:
                    continue
                cost = so_far + link.cost
                old = fresh.get(neighbour)
                if old is None or cost < old.cost:
                    fresh[neighbour] = _Reached(cost, number, link.id)
        reached.update(fresh)
        return list(fresh)

    def _back(self, number: int, last: uuid.UUID) -> list[_Step]:
        """From the target back to the source."""
        steps = [_Step(number, self._target, last)]
        while (id := self._reached[number].id) is not None:
            before = self._reached[number].before
            steps.append(_Step(before, number, id))
            number = before
        return steps
