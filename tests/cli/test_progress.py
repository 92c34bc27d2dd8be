import asyncio
import io
import sys

import pytest

from skywire.cli import progress as module
from skywire.cli.progress import progress, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_what_is_quick_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async with progress(lambda: "waiting"):
        await asyncio.sleep(0)
    assert capsys.readouterr() == ("", "")


async def test_what_takes_long_is_told_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    told = asyncio.Event()

    def describe() -> str:
        told.set()
        return "waiting"

    async with progress(describe):
        await told.wait()
    assert capsys.readouterr() == ("", "waiting\n")


async def test_a_terminals_line_changes_and_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(module, "ON_TERMINAL", 0.0)
    texts = iter(["long text", "short"])
    done = asyncio.Event()

    def describe() -> str:
        text = next(texts, "")
        if not text:
            done.set()
        return text or "short"

    async with progress(describe):
        await done.wait()
    assert terminal.getvalue().startswith("\rlong text\rshort    \r")
    assert terminal.getvalue().endswith("\r")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (12_340_000, "12.3 MB"), (5e12, "5.0 TB")],
)
def test_sizes_for_people(count: float, text: str) -> None:
    assert size(count) == text
