"""Which network leads to a pty host."""

from pathlib import Path

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import StreamReset
from skywire.pty.dialing import dial_host
from skywire.pty.types import CommandExecReq
from skywire.streams.stream import Stream
from tests.pty.web_kit import Node


async def test_a_route_that_leads_to_nobody_gives_way_to_dmsg(tmp_path: Path) -> None:
    async with Node(tmp_path) as node:
        node.missing.clear()
        node.deaf.add("skynet")

        async def dial(pk: PubKey, port: int, scheme: str) -> Stream:
            return await node.dial(pk, port, scheme or "skynet")  # a route comes first

        async with await dial_host(dial, node.key, 22, "") as host:
            assert node.dials == ["skynet", "dmsg"]
            result = await host.execute(CommandExecReq("echo", ["hi"]))
            assert result.stdout == b"hi\n"


async def test_when_a_route_is_asked_for_it_is_the_only_way(tmp_path: Path) -> None:
    async with Node(tmp_path) as node:
        node.missing.clear()
        node.deaf.add("skynet")
        with pytest.raises(StreamReset, match="no listener on port 22"):
            await dial_host(node.dial, node.key, 22, "skynet")
        assert node.dials == ["skynet"]
