"""A dmsg stream is a Stream, at both of its ends."""

import pytest

from skywire.testing.stream_contract import Check, Traits, checks, name, read_exactly

from .conftest import Net, soon

TRAITS = Traits(half_close=False)


@pytest.mark.parametrize("accepted_first", [False, True], ids=["dialled", "accepted"])
@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(net: Net, check: Check, accepted_first: bool) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    dialled = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    pair = (accepted, dialled) if accepted_first else (dialled, accepted)
    await check(*pair, TRAITS)
    dialled.abort()
    accepted.abort()


async def test_it_takes_data_at_once_while_the_window_lasts(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    dialled = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    sent = 0
    while dialled.write_now(bytes([sent]) * 10_000):
        sent += 1
    assert 20 <= sent <= 27, "about one window"
    for number in range(sent):
        assert await soon(read_exactly(accepted, 10_000)) == bytes([number]) * 10_000
    await dialled.write(b"end")
    assert await soon(accepted.read()) == b"end"
