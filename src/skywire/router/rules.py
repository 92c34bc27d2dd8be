"""The rules of a visor: ids, life time, look-up. Source: routing.md §3.1."""

from collections.abc import Callable, Iterable
from uuid import UUID

from skywire.errors import NotFound, Unavailable
from skywire.wire.rule import Rule, RuleType

FIRST_ID = 1
MAX_ID = 2**32 - 1
MAX_RULES = 100_000
NOT_FOUND = "rule not found"
DEAD = "rule keep-alive timeout exceeded"


class Entry:
    """A rule and when it dies; also the `Hop` of the codec's fast path."""

    __slots__ = ("expires", "lifetime", "next_id", "partners", "rule", "target")

    def __init__(
        self, rule: Rule, now: float, target: UUID | None, partners: tuple[int, ...]
    ) -> None:
        self.rule = rule
        self.lifetime = rule.lifetime
        self.expires = now + self.lifetime
        self.next_id = rule.next_route_id
        self.target: object | None = target  # transport of an intermediary rule, else None
        self.partners = partners  # ids of rules that came along: other directions of the route


class RuleTable:
    """At most `MAX_RULES`; `clock` gives seconds. Not for several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.entries: dict[int, Entry] = {}
        self._clock = clock
        self._next = FIRST_ID
        self._transports: dict[UUID, UUID] = {}  # one object for each, so that `is` compares them

    def __len__(self) -> int:
        return len(self.entries)

    def reserve(self, count: int) -> list[int]:
        """New ids, never given out before. Raises Unavailable."""
        found: list[int] = []
        while len(found) < count:
            if self._next + 1 >= MAX_ID:
                raise Unavailable("no available routeIDs")
            if self._next not in self.entries:  # one that an operator has chosen may be there
                found.append(self._next)
            self._next += 1
        return found

    def save(self, rules: Iterable[Rule]) -> None:
        """Rules of one route, in place of those that had their ids. All or none: Unavailable."""
        rules = list(rules)
        new = sum(rule.key_route_id not in self.entries for rule in rules)
        if len(self.entries) + new > MAX_RULES:
            raise Unavailable(f"the rule table is full: {MAX_RULES} rules")
        now = self._clock()
        ids = [rule.key_route_id for rule in rules]
        for rule in rules:
            target = None
            if rule.type is RuleType.INTERMEDIARY and rule.next_transport_id is not None:
                transport = rule.next_transport_id
                target = self._transports.setdefault(transport, transport)
            partners = tuple(id for id in ids if id != rule.key_route_id)
            self.entries[rule.key_route_id] = Entry(rule, now, target, partners)

    def get(self, key_route_id: int) -> Entry:
        """Raises NotFound for an unknown id and for a dead rule."""
        entry = self.entries.get(key_route_id)
        if entry is None:
            raise NotFound(NOT_FOUND)
        if entry.expires < self._clock():
            raise NotFound(DEAD)
        return entry

    def refresh(self, key_route_id: int) -> None:
        """The rule was just of use."""
        entry = self.entries.get(key_route_id)
        if entry is not None:
            entry.expires = self._clock() + entry.lifetime

    def remove(self, key_route_id: int) -> Rule | None:
        entry = self.entries.pop(key_route_id, None)
        return None if entry is None else entry.rule

    def collect(self) -> list[Rule]:
        """Remove dead rules and return them."""
        now = self._clock()
        dead = [entry.rule for entry in self.entries.values() if entry.expires < now]
        for rule in dead:
            del self.entries[rule.key_route_id]
        if len(self._transports) > len(self.entries):
            self._transports = {
                entry.target: entry.target
                for entry in self.entries.values()
                if isinstance(entry.target, UUID)
            }
        return dead

    def through(self, transport_id: UUID) -> list[Entry]:
        """Intermediary rules that send over this transport."""
        return [entry for entry in self.entries.values() if entry.target == transport_id]

    def all(self) -> list[Rule]:
        return [entry.rule for entry in self.entries.values()]
