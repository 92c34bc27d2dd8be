"""The Python of the documentation is run: the how-to as it stands, the tutorial by its steps."""

import ast
import asyncio
import inspect
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from aiohttp import web

import skywire
import skywire.testing
from skywire.cli.docs_library import library_reference

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text())


async def run(code: str, names: dict[str, Any]) -> None:
    """Top-level `await` works, as in `python -m asyncio`."""
    compiled = compile(code, "documentation", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(compiled, CodeType)
    if compiled.co_flags & inspect.CO_COROUTINE:
        await eval(compiled, names)
    else:
        exec(compiled, names)


@pytest.fixture
async def names(skywire_nodes: tuple[skywire.Node, ...]) -> AsyncIterator[dict[str, Any]]:
    """What the how-to takes for granted."""
    node, there = skywire_nodes
    given = {"asyncio": asyncio, "pytest": pytest, "skywire": skywire, "web": web}
    names: dict[str, Any] = {**given, "node": node, "there": there}
    yield names
    await names["listener"].close()
    await names["serving"]


async def test_the_how_to(names: dict[str, Any]) -> None:
    found = blocks("how-to/use-as-a-library.md")
    assert len(found) >= 8
    async with asyncio.timeout(30):
        for code in found:
            await run(code, names)


def test_the_tutorial(tmp_path: Path) -> None:
    service, test, page = blocks("tutorial-library.md")
    head, main, tail = re.split(r"(?=^async def main|^if __name__)", service, flags=re.MULTILINE)
    (tmp_path / "guestbook.py").write_text(f"{head}{page}\n\n{main}{tail}")
    (tmp_path / "test_guestbook.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_the_reference_is_what_make_docs_writes() -> None:
    written = (DOCS / "reference" / "library.md").read_text()
    assert written == library_reference(), 'library.md is not up to date: "make docs"'


def test_the_reference_has_every_name_and_no_bare_one() -> None:
    text = library_reference()
    for name in {*skywire.__all__} - {"errors", "testing", "__version__"}:
        assert f"## skywire.{name}\n" in text
    assert "## skywire.testing.network\n" in text
    assert "`skywire_network`" in text
    assert "ready_within: float=20.0" in text
    assert "async for … in lines(" in text
    assert not re.search(r"^## \S+\n\n(?=##)", text, re.MULTILINE)
