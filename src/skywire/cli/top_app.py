"""The live view of `skywire top`, with textual: three lines, one table at a time."""

import asyncio
import signal
import time
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable, Footer, Static

from skywire.cli import figures, snapshot, top_data
from skywire.cli.net_probes import reason
from skywire.cli.node import NodeAddress
from skywire.cli.output import harmless
from skywire.cli.snapshot import Snapshot
from skywire.errors import SkywireError
from skywire.visor.client import RemoteVisor

ANSWER_LIMIT = 10.0  # seconds for a snapshot
RETRY = 1.0  # seconds until a visor that is away is dialled again
ROOM_FOR_KEYS = 150  # columns from which keys are shown whole


class TopApp(App[None]):
    """Asks the visor at `node` every `interval` seconds."""

    TITLE = "skywire top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 3; padding: 0 1; }
    #tabs { height: 1; padding: 0 1; background: $surface; }
    #state { height: 1; padding: 0 1; }
    #state.old { background: $error; color: $text; }
    DataTable { height: 1fr; }
    DataTable.old { opacity: 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "end"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("p", "pause", "pause"),
        Binding("s", "sort", "sort"),
        Binding("r", "reverse", "turn round"),
        Binding("tab", "next", "next table", priority=True),
        *(
            Binding(str(number), f"view({number - 1})", name, show=False)
            for number, name in enumerate(top_data.NAMES, 1)
        ),
    ]

    def __init__(self, node: NodeAddress, interval: float) -> None:
        super().__init__()
        self.paused = False
        self.lost = ""  # why the visor does not answer; "" while it does
        self.found: dict[str, Any] | None = None
        self._node = node
        self._interval = interval
        self._before: Snapshot | None = None
        self._view = 0
        self._columns: dict[int, tuple[int, bool]] = {}  # view → sorted by, falling

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="tabs", markup=False)
        yield DataTable[Text](id="table", cursor_type="row", zebra_stripes=True)
        yield Static(id="state", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        if not self.is_headless:  # the terminal is left as it was
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.query_one(DataTable).focus()
        self._tell()
        self.set_interval(1.0, self._tell)
        self.run_worker(self._watch(), name="watch")

    def on_resize(self, _: Resize) -> None:
        self._show()

    # Asking

    async def _watch(self) -> None:
        """For ever; a visor that is away or starts anew is dialled again."""
        while True:
            try:
                async with self._node.connect() as visor:
                    await self._follow(visor)
            except (SkywireError, TimeoutError, OSError) as error:
                self.lost = reason(error, ANSWER_LIMIT)
                self._tell()
            await asyncio.sleep(RETRY)

    async def _follow(self, visor: RemoteVisor) -> None:
        while True:
            if not self.paused:
                async with asyncio.timeout(ANSWER_LIMIT):
                    now = await snapshot.take(visor)
                self.found = top_data.about(now, self._before)
                self._before, self.lost = now, ""
                self._show()
            await asyncio.sleep(self._interval)

    # Showing

    @property
    def age(self) -> float:
        """Seconds since what is shown was asked for."""
        return 0.0 if self._before is None else time.monotonic() - self._before.taken

    @property
    def is_old(self) -> bool:
        return bool(self.lost) or self.age > 2 * self._interval + 1

    @property
    def view(self) -> str:
        return top_data.NAMES[self._view]

    @property
    def sorted_by(self) -> tuple[int, bool]:
        """Column of the table that is shown, and whether the greatest value comes first."""
        views = top_data.views(self.found, short=True) if self.found else None
        usual = (views[self._view].sort, views[self._view].falling) if views else (0, False)
        return self._columns.get(self._view, usual)

    def _tell(self) -> None:
        """The line about the data: live, paused, or old and why."""
        state = self.query_one("#state", Static)
        if self._before is None:
            text = f"{self._node}: {self.lost or 'asking …'}"
        elif self.paused:
            text = f"paused; this is {figures.age(self.age)} old; p goes on"
        elif self.is_old:
            text = f"OLD: this is {figures.age(self.age)} old: {self.lost or 'no answer yet'}"
        else:
            text = f"{self._node}, every {figures.age(self._interval)}"
        state.update(harmless(text))
        old = self.is_old and not self.paused
        state.set_class(old, "old")
        self.query_one(DataTable).set_class(old, "old")

    def _show(self) -> None:
        if self.found is None or not self.is_running:
            return
        short = self.size.width < ROOM_FOR_KEYS
        self.query_one("#head", Static).update(
            "\n".join(top_data.headline(self.found, short=short))
        )
        views = top_data.views(self.found, short=short)
        tabs = [f"{number} {each.name} {len(each.rows)}" for number, each in enumerate(views, 1)]
        tabs[self._view] = f"[{tabs[self._view]}]"
        self.query_one("#tabs", Static).update("  ".join(tabs))
        self._fill(views[self._view])
        self._tell()

    def _fill(self, view: top_data.View) -> None:
        """Rows may come and go; where the person is in the table stays."""
        table: DataTable[Text] = self.query_one(DataTable)
        column, falling = self.sorted_by
        row, scrolled = table.cursor_row, table.scroll_y
        table.clear(columns=True)
        for number, name in enumerate(view.columns):
            mark = (" ▼" if falling else " ▲") if number == column else ""
            table.add_column(f"{name}{mark}")
        for cells in view.sorted(column, falling=falling):
            table.add_row(*(Text(cell.text) for cell in cells))
        if table.row_count:
            table.move_cursor(row=min(row, table.row_count - 1), animate=False, scroll=False)
            table.scroll_to(y=scrolled, animate=False)

    # Keys

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._tell()

    def action_view(self, number: int) -> None:
        self._view = number
        self._show()

    def action_next(self) -> None:
        self.action_view((self._view + 1) % len(top_data.NAMES))

    def action_sort(self) -> None:
        if self.found is None:
            return
        column, falling = self.sorted_by
        count = len(top_data.views(self.found, short=True)[self._view].columns)
        self._columns[self._view] = ((column + 1) % count, falling)
        self._show()

    def action_reverse(self) -> None:
        column, falling = self.sorted_by
        self._columns[self._view] = (column, not falling)
        self._show()
