"""Scenarios T3 to T8 and what else a session promises, on a shell without a terminal."""

import asyncio

import pytest

from skywire.crypto.keys import NULL_KEY
from skywire.pty.ring import RING_SIZE
from skywire.pty.session import LOSSLESS_LIMIT, Session
from skywire.pty.types import NATURAL_END, STOPPED, WinSize
from skywire.rpc.server import GoError
from skywire.testing.shells import Clock, FakeShell


def new_session(*, lossless: bool = False) -> tuple[Session, FakeShell, Clock]:
    clock = Clock()
    session = Session(NULL_KEY, FakeShell, lossless=lossless, clock=clock)
    shell = session._shell
    assert isinstance(shell, FakeShell)
    return session, shell, clock


async def test_t03_a_follower_gets_the_output() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    reading = asyncio.ensure_future(follower.read(100))
    await asyncio.sleep(0)
    assert not reading.done()
    shell.print(b"hello")
    assert await reading == b"hello"


async def test_t04_write_and_resize_reach_the_terminal() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    await session.write(follower, b"ls\n")
    session.resize(follower, WinSize(rows=30, cols=100))
    assert shell.typed == b"ls\n"
    assert shell.sizes == [WinSize(rows=30, cols=100)]


async def test_t05_output_printed_while_away_is_in_the_replay() -> None:
    session, shell, _ = new_session()
    first = session.follow()
    shell.print(b"before ")
    first.close()
    shell.print(b"meanwhile ")
    again = session.follow(replay=True)
    assert await again.read(100) == b"before meanwhile "
    shell.print(b"live")
    assert await again.read(100) == b"live"


async def test_a_new_follower_without_replay_starts_now() -> None:
    session, shell, _ = new_session()
    shell.print(b"before")
    follower = session.follow()
    shell.print(b"after")
    assert await follower.read(100) == b"after"


async def test_t06_stop_wakes_a_blocked_reader_with_the_end() -> None:
    session, shell, _ = new_session()
    reading = asyncio.ensure_future(session.follow().read(100))
    await asyncio.sleep(0)
    await session.stop()
    with pytest.raises(GoError, match=f"^{STOPPED}$"):
        await reading
    assert session.end == STOPPED
    assert shell.stops == 1


async def test_t07_a_follower_that_was_overrun_goes_on_with_what_is_kept() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    output = bytes(range(256)) * ((RING_SIZE + 1024) // 256)
    for start in range(0, len(output), 4095):
        shell.print(output[start : start + 4095])
    data = await follower.read(2 * RING_SIZE)
    assert data == output[-RING_SIZE:]


async def test_t08_the_idle_time() -> None:
    session, _, clock = new_session()
    clock.now += 1000
    assert session.idle(clock.now) == 0, "never attached"
    follower = session.follow()
    clock.now += 1000
    assert session.idle(clock.now) == 0, "attached"
    follower.close()
    clock.now += 7
    assert session.idle(clock.now) == 7
    again = session.follow(replay=True)
    assert session.idle(clock.now) == 0
    again.close()
    clock.now += 2
    assert session.idle(clock.now) == 2, "from the last detach"


async def test_the_end_comes_after_all_output() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    shell.print(b"last words")
    shell.exit()
    await session.stop()  # changes nothing any more
    assert await follower.read(4) == b"last"
    assert await follower.read(100) == b" words"
    for _ in range(2):
        with pytest.raises(GoError, match=f"^{NATURAL_END}$"):
            await follower.read(100)


async def test_followers_are_independent() -> None:
    session, shell, _ = new_session()
    slow, quick = session.follow(), session.follow()
    shell.print(b"one ")
    assert await quick.read(100) == b"one "
    shell.print(b"two")
    assert await quick.read(100) == b"two"
    assert await slow.read(100) == b"one two"


async def test_two_reads_of_one_follower_share_the_output() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    reads = [asyncio.ensure_future(follower.read(2)) for _ in range(2)]
    await asyncio.sleep(0)
    shell.print(b"abcd")
    assert sorted(await asyncio.gather(*reads)) == [b"ab", b"cd"]


async def test_a_cancelled_read_loses_nothing() -> None:
    session, shell, _ = new_session()
    follower = session.follow()
    reading = follower.read(100)
    reading.cancel()
    shell.print(b"kept")
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await follower.read(100) == b"kept"


async def test_t17_closing_a_follower_twice_counts_once() -> None:
    session, _, clock = new_session()
    first, second = session.follow(), session.follow()
    first.close()
    first.close()
    clock.now += 10
    assert session.idle(clock.now) == 0
    second.close()
    clock.now += 10
    assert session.idle(clock.now) == 10


async def test_who_types_sets_the_size() -> None:
    session, shell, _ = new_session()
    one, two, three = session.follow(), session.follow(), session.follow()
    session.resize(one, WinSize(rows=10, cols=10))
    session.resize(two, WinSize(rows=20, cols=20))
    await session.write(two, b"a")
    await session.write(one, b"b")
    await session.write(one, b"c")
    await session.write(three, b"d")
    assert [size.rows for size in shell.sizes] == [10, 20, 10]
    assert shell.typed == b"abcd"


async def test_a_lossless_session_waits_for_its_reader() -> None:
    session, shell, _ = new_session(lossless=True)
    follower = session.follow()
    printed = 0
    while not shell.paused:
        shell.print(bytes(4095))
        printed += 4095
    assert LOSSLESS_LIMIT < printed <= RING_SIZE - 4095
    read = 0
    while shell.paused:
        read += len(await follower.read(65536))
    assert read >= printed - LOSSLESS_LIMIT // 2
    while not shell.paused:
        shell.print(bytes(4095))
    follower.close()
    assert not shell.paused, "nobody left to wait for"


async def test_a_program_that_does_not_read_fails_its_writer_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skywire.pty.session.WRITE_TIMEOUT", 0.01)
    session, shell, _ = new_session()
    follower, other = session.follow(), session.follow()
    shell.blocked = True
    for _ in range(3):  # the first waits, the others find it blocked still
        with pytest.raises(GoError, match=r"^short write$"):
            await session.write(follower, b"x")
    with pytest.raises(GoError):
        await session.write(other, b"y")
    assert shell.typed == b""
    shell.blocked = False
    await session.write(follower, b"z")
    assert shell.typed == b"z"
