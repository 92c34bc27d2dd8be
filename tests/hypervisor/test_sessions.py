"""Login sessions: opaque ids, expiry, bounds, and the limit on failed attempts."""

from skywire.hypervisor.sessions import MAX_SESSIONS, Attempts, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_leads_to_its_session_until_it_expires() -> None:
    clock = Clock()
    sessions = Sessions(clock, 60)
    token, session = sessions.create("admin")
    assert sessions.find(token) == session
    assert session.expires == 1060
    clock.now += 60
    assert sessions.find(token) is None


def test_other_cookies_lead_nowhere() -> None:
    sessions = Sessions(Clock(), 60)
    token, session = sessions.create("admin")
    for wrong in (None, "", token[:-1], token + "A", str(session.id), "\udcff"):
        assert sessions.find(wrong) is None
    assert len(token) >= 43  # 256 bits
    assert str(session.id) not in token


def test_a_session_ends_alone_or_with_all_of_its_user() -> None:
    sessions = Sessions(Clock(), 60)
    (one, first), (two, second), (three, _) = (
        sessions.create(name) for name in ("admin", "admin", "other")
    )
    assert sessions.others(first) == [second]
    sessions.end(first)
    assert sessions.find(one) is None
    assert sessions.find(two) == second
    sessions.end_all("admin")
    assert sessions.find(two) is None
    assert sessions.find(three) is not None


async def test_the_oldest_session_makes_room() -> None:
    sessions = Sessions(Clock(), 60)
    first, oldest = sessions.create("admin")
    second, _ = sessions.create("admin")
    ended: list[bool] = []
    with sessions.tied(oldest, lambda: ended.append(True)):
        for _ in range(MAX_SESSIONS - 1):
            sessions.create("admin")
    assert ended == [True], "its terminals end with it"
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


def test_expired_sessions_take_no_room() -> None:
    clock = Clock()
    sessions = Sessions(clock, 60)
    sessions.create("admin")
    clock.now += 61
    sessions.create("admin")
    assert len(sessions) == 1


def test_an_address_that_fails_often_must_wait() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(Attempts.LIMIT):
        assert attempts.wait("192.0.2.1") == 0
        attempts.failed("192.0.2.1")
        clock.now += 1
    assert attempts.wait("192.0.2.1") == Attempts.PERIOD - Attempts.LIMIT
    assert attempts.wait("192.0.2.2") == 0
    clock.now += Attempts.PERIOD - Attempts.LIMIT
    assert attempts.wait("192.0.2.1") == 0


def test_a_success_forgives_and_many_addresses_are_bounded() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(Attempts.LIMIT):
        attempts.failed("a")
    attempts.succeeded("a")
    assert attempts.wait("a") == 0
    for number in range(Attempts.MAX_ADDRESSES + 5):
        attempts.failed(str(number))
    assert len(attempts._failures) == Attempts.MAX_ADDRESSES
