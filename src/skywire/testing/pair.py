"""Two state machines, one simulated clock and a link that loses, delays, reorders and repeats.

    pair = Pair(a, b, Link(delay=20, loss=0.02, seed=1))
    a.send(b"hello")
    pair.run(lambda: b.read_message() == b"hello")

Nothing sleeps: the clock jumps to the next arrival or timer. Times are milliseconds.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Machine(Protocol):
    """What `wire.kcp.Kcp` and machines like it have in common."""

    def receive_datagram(self, data: bytes, now: int) -> None: ...

    def data_to_send(self, now: int) -> list[bytes]: ...

    def next_timer(self) -> int | None: ...

    def handle_timer(self, now: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Link:
    """The same in both directions; probabilities are per datagram."""

    delay: float = 0.0  # milliseconds, one way
    jitter: float = 0.0  # up to so much more, each datagram for itself: this reorders
    loss: float = 0.0
    duplicate: float = 0.0
    rate: float | None = None  # datagrams per millisecond; more of them queue
    queue: int = 64  # datagrams that may queue for `rate`, others are lost
    seed: int = 0


class Pair:
    """`run` moves datagrams between `a` and `b` until there is no reason to go on."""

    def __init__(self, a: Machine, b: Machine, link: Link | None = None, now: int = 0) -> None:
        self.now: float = now
        self.sent = 0  # datagrams given to the link
        self.cut = False  # nothing arrives any more
        self._ends = (a, b)
        self._link = link or Link()
        self._random = random.Random(self._link.seed)  # noqa: S311 - a die, repeatable
        self._arrivals: list[tuple[float, int, int, bytes]] = []  # time, tie-break, to whom, what
        self._count = 0
        self._free = [float(now), float(now)]  # when the sender's queue is empty

    def run(self, done: Callable[[], object] | None = None, *, limit: float = 600_000) -> float:
        """Until `done()` is true, checked after each event; returns the milliseconds it took.

        Without `done` until nothing is left to happen. AssertionError after `limit` milliseconds.
        """
        begin = self.now
        while not (done and done()):  # it may read and write: a reader in time
            self._pump()
            timers = [t for end in self._ends if (t := end.next_timer()) is not None]
            times = timers + ([self._arrivals[0][0]] if self._arrivals else [])
            if not times:
                if done is None:
                    break
                raise AssertionError(f"nothing more happens at {self.now:g} ms")
            self.now = max(self.now, min(times))
            if self.now - begin > limit:
                raise AssertionError(f"not done after {limit:g} ms")
            self._deliver()
            for end in self._ends:
                when = end.next_timer()
                if when is not None and when <= self.now:
                    end.handle_timer(int(self.now))
        return self.now - begin

    def _deliver(self) -> None:
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, _, to, data = heapq.heappop(self._arrivals)
            self._ends[to].receive_datagram(data, int(self.now))

    def _pump(self) -> None:
        for sender, end in enumerate(self._ends):
            for datagram in end.data_to_send(int(self.now)):
                self.sent += 1
                self._carry(datagram, sender)

    def _carry(self, datagram: bytes, sender: int) -> None:
        link, chance = self._link, self._random.random
        if self.cut or chance() < link.loss:
            return
        leaves = self.now
        if link.rate is not None:
            leaves = max(self.now, self._free[sender])
            if leaves - self.now > link.queue / link.rate:
                return
            self._free[sender] = leaves = leaves + 1 / link.rate
        for _ in range(2 if chance() < link.duplicate else 1):
            self._count += 1
            when = leaves + link.delay + chance() * link.jitter
            heapq.heappush(self._arrivals, (when, self._count, 1 - sender, datagram))
