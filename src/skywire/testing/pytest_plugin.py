"""A network for your tests, as pytest fixtures. Needs pytest-asyncio; nothing has to be enabled.

    @pytest.mark.skywire(nodes=3)
    async def test_hello(skywire_nodes):
        here, there, _ = skywire_nodes

Each test has a network of its own, which takes some tenths of a second. Loaded into every pytest
run where Skywire is installed, so nothing of it is imported before a test asks for it.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from skywire.node import Node
    from skywire.testing.embedded import TestNetwork

try:
    from pytest_asyncio import fixture
except ImportError:  # the tests that ask for them are told so by pytest
    fixture = pytest.fixture  # type: ignore[assignment]

MARK = "skywire"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(nodes=2, links=()): how many nodes the skywire_* fixtures start, and which have "
        "transports from the start",
    )


@fixture
async def skywire_network(request: pytest.FixtureRequest) -> "AsyncIterator[TestNetwork]":
    """A network in this process: two nodes, or what `@pytest.mark.skywire` says."""
    from skywire.testing.embedded import network

    mark = request.node.get_closest_marker(MARK)
    async with network(*(mark.args if mark else ()), **(mark.kwargs if mark else {})) as net:
        yield net


@fixture
async def skywire_nodes(skywire_network: "TestNetwork") -> "tuple[Node, ...]":
    """The nodes of that network."""
    return tuple(skywire_network)


@fixture
async def skywire_node(skywire_network: "TestNetwork") -> "Node":
    """The first of them."""
    return skywire_network[0]
