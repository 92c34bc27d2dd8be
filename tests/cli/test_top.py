"""`skywire top`: what it shows of a visor, live and once; keys, sizes, restarts."""

import asyncio
import json
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from textual.widgets import DataTable, Static

from skywire.cli import top_data
from skywire.cli.main import root
from skywire.cli.node import NodeAddress, node_of
from skywire.cli.snapshot import Snapshot
from skywire.cli.top import start
from skywire.cli.top_app import TopApp
from skywire.crypto.generate import deterministic_key_pair
from skywire.streams.tcp import listen_tcp
from skywire.testing.wait import eventually
from skywire.visor.ops_state import PartState
from skywire.visor.types import (
    AppConfig,
    AppState,
    LoadStats,
    LogEntry,
    Overview,
    RouteGroupInfo,
    Summary,
    TransportSummary,
)
from tests.cli.test_visor_words import fits
from tests.visor.network import SOON, Net, Node, network

OWN, OTHER, SERVER = (deterministic_key_pair(name)[0] for name in (b"a", b"b", b"c"))
ID = UUID(int=7)
FIXED = ("COLUMNS", "LINES", "TERM")  # pytest-xdist sets the first: a size that never changes


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, root, list(words))


@asynccontextmanager
async def two_nodes(tmp_path: Path) -> AsyncIterator[tuple[Net, Node, Node]]:
    """With a transport from the first to the second."""
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        first, second = await net.start(net.config("a")), await net.start(net.config("b"))
        await first.visor.transports.manager.save(second.pk, "dmsg")
        yield net, first, second


def at(node: Node) -> NodeAddress:
    return node_of(node.fact("rpc", "rpc"), "", 10.0)


def text_of(app: TopApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


def columns(app: TopApp) -> list[str]:
    return [str(each.label) for each in app.query_one(DataTable).columns.values()]


def rows(app: TopApp) -> list[list[str]]:
    table: DataTable[Any] = app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


async def until(condition: Any) -> None:
    await eventually(condition, SOON)


async def test_a_live_visor_at_the_usual_size_and_others(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, node, other):
        app = TopApp(at(node), 0.2)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(lambda: app.found is not None and rows(app))
            assert text_of(app, "head").startswith(str(node.pk)[:16])
            assert "reachable by dmsg" in text_of(app, "head")
            assert text_of(app, "tabs").startswith("[1 transports 1]")
            (row,) = rows(app)
            assert row[:2] == ["dmsg", f"{str(other.pk)[:8]}…"]
            assert app.query_one(DataTable).size.height >= 10
            assert sum(len(line) for line in columns(app)) < 80

            for key, name in zip("12345", top_data.NAMES, strict=True):
                await pilot.press(key)
                assert app.view == name
            assert "dmsg control" in [row[0] for row in rows(app)]
            await pilot.press("tab")
            assert app.view == "transports"

            await pilot.resize_terminal(160, 50)
            await until(lambda: rows(app)[0][1] == str(other.pk))
            await pilot.resize_terminal(20, 5)
            await until(lambda: rows(app)[0][1] != str(other.pk))
            await pilot.resize_terminal(80, 24)
            await pilot.press("q")
        assert app.return_code == 0


async def test_sorting_and_pausing(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, node, _other):
        app = TopApp(at(node), 0.2)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(lambda: app.found is not None)
            await pilot.press("5")
            assert app.sorted_by == (0, False)
            first = [row[0] for row in rows(app)]
            assert rows(app) == sorted(rows(app), key=lambda row: (row[1] == "running", row[0]))
            assert columns(app)[0] == "part ▲"
            await pilot.press("r")
            assert [row[0] for row in rows(app)] == first[::-1]
            await pilot.press("s")
            assert app.sorted_by == (1, True)
            await pilot.press("s", "s", "s")
            assert app.sorted_by == (0, True)

            await pilot.press("p")
            await asyncio.sleep(0.3)  # what was on its way
            held = app.found
            assert text_of(app, "state").startswith("paused")
            await asyncio.sleep(0.5)
            assert app.found is held
            await pilot.press("p")
            await until(lambda: app.found is not held)


async def test_old_data_is_marked_and_a_restart_is_survived(tmp_path: Path) -> None:
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        node = await net.start(net.config("a"))
        address = node.fact("rpc", "rpc")
        app = TopApp(node_of(address, "", 10.0), 0.2)
        async with app.run_test(size=(80, 24)):
            await until(lambda: app.found is not None and not app.lost)
            assert not app.query_one(DataTable).has_class("old")
            first = app.found
            await node.stop()
            await until(lambda: app.lost)
            await until(lambda: app.query_one(DataTable).has_class("old"))
            assert text_of(app, "state").startswith("OLD: this is ")
            assert app.found is not None
            assert app.found["public_key"] == str(node.pk)
            again = await net.start(net.config("a", cli_addr=address))
            await until(lambda: not app.lost and app.found is not first)
            await until(lambda: not app.query_one(DataTable).has_class("old"))
            assert app.found["uptime_s"] < 30
            assert again.pk == node.pk


async def test_a_visor_that_is_not_there_yet() -> None:
    app = TopApp(node_of("127.0.0.1:1", "", 1.0), 0.2)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "127.0.0.1:1" in app.lost)
        await pilot.press("s", "r", "5", "p")
        assert "Connection refused" in text_of(app, "state")
        assert app.found is None


async def test_one_that_never_answers_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.cli.top_app.ANSWER_LIMIT", 0.2)
    silent = await listen_tcp("127.0.0.1", 0)
    app = TopApp(node_of(f"127.0.0.1:{silent.address.port}", "", 1.0), 0.2)
    async with app.run_test(size=(80, 24)):
        await until(lambda: app.lost)
        assert "no answer within 0.2 s" in app.lost
    await silent.close()


@asynccontextmanager
async def in_a_terminal(
    *words: str, rows: int = 24, columns: int = 80
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The command in a process and a terminal of its own, and our end of that."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skywire", *words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"TERM": "xterm-256color"} | {k: v for k, v in os.environ.items() if k not in FIXED},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def reading(terminal: int) -> tuple[bytearray, asyncio.AbstractEventLoop]:
    """What appears there, as it comes."""
    seen, loop = bytearray(), asyncio.get_running_loop()

    def read() -> None:
        try:
            seen.extend(os.read(terminal, 65536))
        except OSError:  # the program has ended
            loop.remove_reader(terminal)

    loop.add_reader(terminal, read)
    return seen, loop


@pytest.mark.parametrize("end", ["q", "ctrl-c", "SIGTERM"])
async def test_in_a_real_terminal(tmp_path: Path, end: str) -> None:
    async with two_nodes(tmp_path) as (_, node, other):
        words = ("top", "--rpc", node.fact("rpc", "rpc"), "-d", "0.2")
        async with in_a_terminal(*words) as (process, terminal):
            seen, loop = reading(terminal)
            await until(lambda: str(other.pk)[:8].encode() in seen)
            assert str(other.pk).encode() not in seen
            termios.tcsetwinsize(terminal, (40, 170))
            process.send_signal(signal.SIGWINCH)
            await until(lambda: str(other.pk).encode() in seen)
            if end == "SIGTERM":
                process.send_signal(signal.SIGTERM)
            else:
                os.write(terminal, b"q" if end == "q" else b"\x03")
            async with asyncio.timeout(SOON):
                assert await process.wait() == 0
            await until(lambda: b"\x1b[?1049l" in seen)  # the screen is as it was before
            loop.remove_reader(terminal)


async def test_one_snapshot(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, node, other):
        address = node.fact("rpc", "rpc")
        result = await run("top", "--rpc", address, "--json", "-d", "0.2")
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)["output"]
        assert fits(found, json.loads((await run("top", "--shape")).stdout)["output"])
        (link,) = found["transports"]
        assert link["remote_pk"] == str(other.pk)
        assert link["received_per_s"] == 0
        assert {part["name"] for part in found["parts"]} >= {"dmsg", "rpc"}
        text = await run("cli", "top", "--rpc", address, "--once", "-d", "0.2")
        assert str(other.pk) in text.stdout
        assert "transports\n" in text.stdout
        assert "health\n" in text.stdout


@pytest.mark.parametrize(
    "words", [["--interval", "0"], ["-d", "x"], ["--rpc", "x", "--once"], ["more"], []]
)
async def test_what_is_refused(words: list[str]) -> None:
    """Without a terminal there is nothing to watch."""
    result = await run("top", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_without_textual_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "skywire.cli.top_app", raising=False)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(Exception, match="needs the Python package textual") as caught:
        start(node_of("127.0.0.1:1", "", 1.0), 1.0)
    assert "pyskywire[top]" in " ".join(caught.value.__notes__)


# Data


def link(received: int, sent: int) -> TransportSummary:
    return TransportSummary(ID, OWN, OTHER, "stcpr", LogEntry(received, sent), False, "user", 1.5)


def snapshot(taken: float, *links: TransportSummary, uptime: float = 0.0) -> Snapshot:
    apps = [AppState(AppConfig("chat\x1b[2J", port=1), 2, "gone\x07")]
    overview = Overview(local_pk=OWN, transports=list(links), apps=apps)
    load = LoadStats(load1=3.216339727250969, mem_used_percent=31.25)
    summary = Summary(overview=overview, uptime=uptime or taken, load=load)
    parts = {"survey": PartState("survey", "failed", 5.0, "disk \x1b full")}
    return Snapshot(taken, summary, parts, {}, [RouteGroupInfo()])


@pytest.mark.parametrize(
    ("before", "now", "rates"),
    [
        (snapshot(10, link(100, 50)), snapshot(12, link(300, 50)), (100.0, 0.0)),
        (None, snapshot(12, link(300, 50)), (None, None)),
        (snapshot(10), snapshot(12, link(300, 50)), (None, None)),  # a new one
        (snapshot(10, link(900, 9)), snapshot(12, link(300, 9)), (None, 0.0)),  # counts anew
        (  # the visor started anew
            snapshot(10, link(100, 9), uptime=500),
            snapshot(12, link(300, 9), uptime=1),
            (None, None),
        ),
        (snapshot(12, link(1, 1)), snapshot(12, link(2, 2)), (None, None)),
    ],
)
def test_rates(before: Snapshot | None, now: Snapshot, rates: tuple[Any, Any]) -> None:
    (found,) = top_data.about(now, before)["transports"]
    assert (found["received_per_s"], found["sent_per_s"]) == rates


def test_what_has_no_value_comes_last_in_either_direction() -> None:
    cells = [[top_data.Cell(value, str(value))] for value in (2, None, 1)]
    view = top_data.View("x", ["a"], cells)
    assert [row[0].value for row in view.sorted(0, falling=False)] == [1, 2, None]
    assert [row[0].value for row in view.sorted(0, falling=True)] == [2, 1, None]


def test_nothing_that_is_shown_steers_the_terminal() -> None:
    found = top_data.about(snapshot(1, link(1, 2)), None)
    shown = "\n".join(top_data.headline(found, short=True))
    for view in top_data.views(found, short=False):
        assert len(view.columns) == len(view.rows[0]) if view.rows else True
        shown += "".join(cell.text for row in view.rows for cell in row)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "load 3.22" in shown
    assert "memory 31.2 %" in shown
    assert "YELLOW survey" in shown


def test_each_view_can_be_sorted_by_each_column() -> None:
    found = top_data.about(snapshot(3, link(1, 2)), snapshot(1, link(0, 0)))
    for view in top_data.views(found, short=True):
        for column in range(len(view.columns)):
            assert len(view.sorted(column, falling=True)) == len(view.rows)
