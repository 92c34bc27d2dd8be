"""`skywire cli visor hv tui`: a list that lives, one visor, filter, order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from skywire.cli.hv_tui_app import HypervisorApp
from skywire.cli.main import root
from skywire.cli.node import node_of
from skywire.errors import Unavailable
from skywire.testing.wait import eventually
from skywire.visor import ops_hv
from skywire.visor.types import LoadStats
from tests.cli.fake_rpc import FakeRpc, fake_rpc
from tests.cli.test_hv import BROKEN, FAR, HERE, NEAR, OWN, THERE

BUSY = replace(
    THERE, hostname="mill", proxied_via=OWN, load=LoadStats(8.0, 0, 0, 4, 97, 12), transports=12
)


@asynccontextmanager
async def running(*entries: Any) -> AsyncIterator[tuple[HypervisorApp, Pilot[None], FakeRpc]]:
    with fake_rpc({ops_hv.list_visors: list(entries)}) as fake:
        app = HypervisorApp(node_of(fake.address, "", 5.0), 0.2)
        async with asyncio.timeout(30), app.run_test(size=(200, 30)) as pilot:
            await eventually(lambda: app.entries is not None)
            await pilot.pause()
            yield app, pilot, fake


def keys(app: HypervisorApp) -> list[str]:
    table: DataTable[Any] = app.query_one(DataTable)
    return [str(table.get_row_at(row)[0]) for row in range(table.row_count)]


def text_of(app: HypervisorApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


async def test_the_list_as_the_hypervisor_tells_it() -> None:
    async with running(HERE, BUSY, BROKEN) as (app, _, _):
        assert keys(app) == [str(OWN), str(NEAR), str(FAR)]
        table: DataTable[Any] = app.query_one(DataTable)
        row = table.get_row_at(1)
        assert [str(cell) for cell in row[-4:]] == ["8.00/4", "97%", "12%", str(OWN)[:8]]
        assert [cell.style for cell in row[-4:-1]] == ["bold red", "bold red", ""]
        assert "3 visors" in text_of(app, "state")


async def test_one_visor_is_looked_into(tmp_path: Any) -> None:
    async with running(HERE, BUSY) as (app, pilot, fake):
        await pilot.press("down", "enter")
        assert app.chosen is not None
        assert app.chosen.pk == NEAR
        assert "mill" in text_of(app, "one")
        fake.answers[ops_hv.list_visors] = [HERE, replace(BUSY, hostname="other")]
        await eventually(lambda: "other" in text_of(app, "one"))
        await pilot.press("escape")
        assert app.chosen is None


async def test_filter_and_order() -> None:
    async with running(HERE, BUSY, BROKEN) as (app, pilot, _):
        await pilot.press("slash", *"mill", "enter")
        assert keys(app) == [str(NEAR)]
        assert "1 of 3" in text_of(app, "state")
        await pilot.press("escape")
        assert len(keys(app)) == 3
        for _ in range(app.columns.index("TP") + 1):
            await pilot.press("s")
        await pilot.press("r")
        assert keys(app)[:2] == [str(NEAR), str(OWN)]
        for _ in range(len(app.columns) - app.columns.index("TP")):
            await pilot.press("s")
        assert app.sorted_by is None
        assert keys(app) == [str(OWN), str(NEAR), str(FAR)]


async def test_what_is_old_says_so_and_a_pause_holds() -> None:
    async with running(HERE) as (app, pilot, fake):
        fake.answers[ops_hv.list_visors] = Unavailable("it is\x1b gone")
        await eventually(lambda: text_of(app, "state").startswith("OLD"))
        assert "\x1b" not in text_of(app, "state")
        assert keys(app) == [str(OWN)]
        fake.answers[ops_hv.list_visors] = [HERE, THERE]
        await eventually(lambda: len(keys(app)) == 2)
        await pilot.press("p")
        assert text_of(app, "state").startswith("paused")
        await pilot.press("p", "t")  # no terminal to lend


def test_it_needs_a_terminal() -> None:
    result = CliRunner().invoke(root, ["cli", "visor", "hv", "tui"])
    assert result.exit_code == 2
    assert "hv ls" in result.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "x"])
def test_a_bad_interval_is_refused(seconds: str) -> None:
    result = CliRunner().invoke(root, ["cli", "visor", "hv", "tui", "-d", seconds])
    assert result.exit_code == 2
