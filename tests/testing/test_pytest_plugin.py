"""The fixtures, used as an author of apps does."""

import subprocess
import sys
from pathlib import Path

import pytest

from skywire.node import Node
from skywire.testing import TestNetwork


async def test_two_nodes_without_asking(
    skywire_network: TestNetwork, skywire_node: Node, skywire_nodes: tuple[Node, ...]
) -> None:
    assert skywire_nodes == tuple(skywire_network)
    assert skywire_node is skywire_nodes[0]
    assert len(skywire_nodes) == 2


@pytest.mark.skywire(nodes=3, links=[(0, 1)])
async def test_what_the_mark_says(skywire_nodes: tuple[Node, ...]) -> None:
    assert [len(node.visor.transports.links) for node in skywire_nodes] == [1, 1, 0]


SETTINGS = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""
AUTHORS = """
import pytest
pytestmark = pytest.mark.asyncio

@pytest.mark.skywire(nodes=1)
async def test_mine(skywire_node, skywire_nodes):
    assert [skywire_node] == list(skywire_nodes)
"""


def test_in_a_project_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(AUTHORS)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
