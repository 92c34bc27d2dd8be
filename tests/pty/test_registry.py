"""Scenarios T9 to T12, the cap and the owner guard."""

import re

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import NotFound, Unavailable
from skywire.pty.registry import SESSION_TTL, Registry
from skywire.pty.session import Session
from skywire.testing.shells import Clock, FakeShell


def new_session(clock: Clock, owner: PubKey = NULL_KEY) -> Session:
    return Session(owner, FakeShell, clock=clock)


async def test_t09_add_get_remove_count() -> None:
    registry, session = Registry(), new_session(Clock())
    name = registry.add(session)
    assert session.id == name
    assert registry.get(name, NULL_KEY) is session
    assert len(registry) == 1
    registry.remove(name)
    registry.remove(name)
    assert len(registry) == 0
    with pytest.raises(NotFound, match=r"^dmsgpty: session not found$"):
        registry.get(name, NULL_KEY)


async def test_t10_only_sessions_detached_for_the_whole_time_are_swept() -> None:
    registry, clock = Registry(), Clock()
    never, attached, detached = (new_session(clock) for _ in range(3))
    for session in (never, attached, detached):
        registry.add(session)
    attached.follow()
    detached.follow().close()
    clock.now += SESSION_TTL - 1
    assert registry.sweep(clock.now) == []
    clock.now += 1
    assert registry.sweep(clock.now) == [detached]
    assert len(registry) == 2


async def test_t11_an_ended_session_is_swept_at_once() -> None:
    registry, clock = Registry(ttl=1e9), Clock()
    session = new_session(clock)
    registry.add(session)
    session.follow()
    await session.stop()
    assert registry.sweep(clock.now) == [session]


async def test_t12_ids_are_unique_and_have_16_digits() -> None:
    registry, clock = Registry(limit=2000), Clock()
    names = {registry.add(new_session(clock)) for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


async def test_an_id_in_use_is_not_given_out_again() -> None:
    randoms = [b"\1" * 8, b"\1" * 8, b"\2" * 8]
    registry = Registry(random=lambda size: randoms.pop(0))
    clock = Clock()
    assert registry.add(new_session(clock)) == "01" * 8
    assert registry.add(new_session(clock)) == "02" * 8


async def test_a_foreign_owner_gets_the_answer_for_an_unknown_id() -> None:
    owner, other = key_pair()[0], key_pair()[0]
    registry = Registry()
    name = registry.add(new_session(Clock(), owner))
    assert registry.get(name, owner).owner == owner
    with pytest.raises(NotFound, match=r"^dmsgpty: session not found$"):
        registry.get(name, other)


async def test_the_session_idle_for_longest_makes_room() -> None:
    registry, clock = Registry(limit=3), Clock()
    attached, older, newer = (new_session(clock) for _ in range(3))
    attached.follow()
    assert registry.make_room(clock.now) is None
    for session in (attached, newer, older):
        registry.add(session)
    older.follow().close()
    clock.now += 1
    newer.follow().close()
    clock.now += 1
    assert registry.make_room(clock.now) is older
    registry.add(older)
    await newer.stop()
    assert registry.make_room(clock.now) is newer, "an ended one goes first"


async def test_no_room_when_everybody_is_watching() -> None:
    registry, clock = Registry(limit=1), Clock()
    session = new_session(clock)
    registry.add(session)
    session.follow()
    with pytest.raises(Unavailable, match="too many sessions: 1 are open"):
        registry.make_room(clock.now)
    assert len(registry) == 1


async def test_clear_hands_out_all() -> None:
    registry, clock = Registry(), Clock()
    sessions = {new_session(clock) for _ in range(3)}
    for session in sessions:
        registry.add(session)
    assert set(registry.clear()) == sessions
    assert len(registry) == 0


async def test_a_session_is_seen_by_its_owner_and_by_the_node_alone() -> None:
    own, one, other = (key_pair()[0] for _ in range(3))
    registry, clock = Registry(own=own), Clock()
    local, first, second = (new_session(clock, key) for key in (NULL_KEY, one, other))
    names = [registry.add(session) for session in (local, first, second)]
    assert registry.seen_by(one) == [first]
    assert registry.seen_by(other) == [second]
    assert registry.seen_by(key_pair()[0]) == []
    for node in (NULL_KEY, own):
        assert registry.seen_by(node) == [local, first, second]
        assert [registry.owns(node, session) for session in (local, first)] == [True, False]
        assert registry.find(names[1], node) is first
        assert registry.get(names[0], node) is local
        with pytest.raises(NotFound):
            registry.get(names[1], node)  # seen and ended, but never typed at


async def test_a_foreign_session_is_answered_like_an_unknown_one() -> None:
    registry, owner, stranger = Registry(), key_pair()[0], key_pair()[0]
    name = registry.add(new_session(Clock(), owner))
    texts = set()
    for find in (registry.find, registry.get):
        for wanted in (name, "0" * 16, ""):
            with pytest.raises(NotFound) as caught:
                find(wanted, stranger)
            texts.add(str(caught.value))
    assert texts == {"dmsgpty: session not found"}
