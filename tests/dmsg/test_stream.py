"""A dmsg stream is a Stream, at both of its ends."""

import pytest

from skywire.testing.stream_contract import Check, Traits, checks, name

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
