"""The live view of `skywire cli visor hv tui`, with textual: one table, or one visor."""

import asyncio
import signal
import subprocess
import sys
import time
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from skywire.cli import figures, hv_rows
from skywire.cli.hv_list import ask
from skywire.cli.net_probes import reason
from skywire.cli.node import NodeAddress
from skywire.cli.output import Facts, Marked, harmless, render_facts
from skywire.errors import SkywireError
from skywire.visor.types_managed import HVVisorEntry

VIA = "VIA"
SHORT_KEY = 8  # characters


class HypervisorApp(App[None]):
    """Asks the hypervisor at `node` every `interval` seconds."""

    TITLE = "skywire cli visor hv tui"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #state { height: 1; padding: 0 1; }
    #state.old { background: $error; color: $text; }
    #one { display: none; padding: 1 2; height: 1fr; overflow-y: auto; }
    #filter { display: none; }
    #filter.open { display: block; }
    DataTable { height: 1fr; }
    .looks-into-one DataTable { display: none; }
    .looks-into-one #one { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "end"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("enter", "look", "look into", priority=False),
        Binding("t", "terminal", "terminal"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "leave", "back", show=False),
        Binding("s", "sort", "sort"),
        Binding("r", "reverse", "turn round"),
        Binding("p", "pause", "pause"),
    ]

    def __init__(self, node: NodeAddress, interval: float) -> None:
        super().__init__()
        self.paused = False
        self.lost = ""  # why the hypervisor does not answer; "" while it does
        self.entries: list[HVVisorEntry] | None = None
        self.chosen: HVVisorEntry | None = None  # that is looked into
        self.wanted = ""  # text of the filter
        self.sorted_by: tuple[int, bool] | None = None  # column, falling; None: as listed
        self._node = node
        self._interval = interval
        self._told = 0.0

    def compose(self) -> ComposeResult:
        yield DataTable[Text](id="table", cursor_type="row", zebra_stripes=True)
        yield Static(id="one", markup=False)
        yield Input(id="filter", placeholder="text that a visor has in one of its cells")
        yield Static(id="state", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        if not self.is_headless:  # the terminal is left as it was
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.query_one(DataTable).focus()
        self._tell()
        self.set_interval(1.0, self._tell)
        self.run_worker(self._watch(), name="watch")

    # Asking

    async def _watch(self) -> None:
        """For ever; a hypervisor that is away is asked again."""
        while True:
            if not self.paused:
                try:
                    found = await ask(self._node, flat=True)
                except (SkywireError, TimeoutError, OSError) as error:
                    self.lost = reason(error, self._node.timeout)
                else:
                    assert isinstance(found, list)  # noqa: S101 - that is what was asked for
                    self.entries, self.lost, self._told = found, "", time.monotonic()
                    self._show()
                self._tell()
            await asyncio.sleep(self._interval)

    # Showing

    @property
    def columns(self) -> list[str]:
        return [*hv_rows.columns(load=True), VIA]

    def rows(self) -> list[tuple[HVVisorEntry, list[object]]]:
        """Those that the filter lets through, in the order that is wanted."""
        found = []
        for one in self.entries or ():
            via = str(one.proxied_via)[:SHORT_KEY] if one.proxied_via is not None else "-"
            cells = ["-" if cell in (None, "") else cell for cell in hv_rows.cells(one, load=True)]
            cells.append(via)
            if self.wanted in " ".join(map(str, cells)).lower():
                found.append((one, cells))
        if self.sorted_by is not None:
            column, falling = self.sorted_by
            found.sort(key=lambda row: _order(row, column), reverse=falling)
        return found

    def _show(self) -> None:
        if not self.is_running:
            return
        table: DataTable[Text] = self.query_one(DataTable)
        row, scrolled = table.cursor_row, table.scroll_y
        table.clear(columns=True)
        for number, name in enumerate(self.columns):
            mark = ""
            if self.sorted_by is not None and self.sorted_by[0] == number:
                mark = " ▼" if self.sorted_by[1] else " ▲"
            table.add_column(f"{name}{mark}")
        for one, cells in self.rows():
            table.add_row(*map(_cell, cells), key=str(one.pk))
        if table.row_count:
            table.move_cursor(row=min(row, table.row_count - 1), animate=False, scroll=False)
            table.scroll_to(y=scrolled, animate=False)
        if self.chosen is not None:
            again = [one for one in self.entries or () if one.pk == self.chosen.pk]
            self.chosen = again[0] if again else self.chosen
            self.query_one("#one", Static).update(_about(self.chosen))

    def _tell(self) -> None:
        state = self.query_one("#state", Static)
        age = figures.age(time.monotonic() - self._told)
        old = bool(self.lost)
        if self.entries is None:
            text = f"{self._node}: {self.lost or 'asking …'}"
        elif self.paused:
            text, old = f"paused; this is {age} old; p goes on", False
        elif old:
            text = f"OLD: this is {age} old: {self.lost}"
        else:
            shown = len(self.rows())
            number = f"{shown} of {len(self.entries)}" if self.wanted else f"{shown}"
            text = f"{self._node}: {number} visors, every {figures.age(self._interval)}"
        state.update(harmless(text))
        state.set_class(old, "old")

    # Keys

    def _at_cursor(self) -> HVVisorEntry | None:
        if self.chosen is not None:
            return self.chosen
        rows, number = self.rows(), self.query_one(DataTable).cursor_row
        return rows[number][0] if 0 <= number < len(rows) else None

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        self.action_look()

    def action_look(self) -> None:
        """Into the visor at the cursor, or back to the list."""
        if self.chosen is not None:
            self.action_leave()
            return
        self.chosen = self._at_cursor()
        if self.chosen is not None:
            self.query_one("#one", Static).update(_about(self.chosen))
            self.screen.add_class("looks-into-one")

    def action_leave(self) -> None:
        if self.chosen is not None:
            self.chosen = None
            self.screen.remove_class("looks-into-one")
        else:
            self.wanted = ""
            self.query_one("#filter", Input).remove_class("open")
            self._show()
        self.query_one(DataTable).focus()

    def action_terminal(self) -> None:
        one = self._at_cursor()
        if one is None:
            return
        line = [sys.executable, "-m", "skywire", "cli", "pty", "start", str(one.pk)]
        try:
            with self.suspend():
                subprocess.run([*line, "--rpc", str(self._node.rpc)], check=False)  # noqa: S603
        except SuspendNotSupported:
            self.notify(f"skywire cli pty start {one.pk}", title="Not possible here; use")

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.wanted = event.value.strip().lower()
        self._show()
        self._tell()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.query_one(DataTable).focus()

    def action_sort(self) -> None:
        column = -1 if self.sorted_by is None else self.sorted_by[0]
        self.sorted_by = None if column + 1 == len(self.columns) else (column + 1, False)
        self._show()

    def action_reverse(self) -> None:
        if self.sorted_by is not None:
            self.sorted_by = (self.sorted_by[0], not self.sorted_by[1])
            self._show()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._tell()


def _cell(cell: object) -> Text:
    return Text(harmless(str(cell)), style=cell.style if isinstance(cell, Marked) else "")


def _order(row: tuple[HVVisorEntry, list[object]], column: int) -> tuple[float, str]:
    """Numbers by their value; those that are unknown come first."""
    one, cells = row
    load = one.load
    numbers = {
        "UPTIME": one.uptime_seconds,
        "TP": one.transports,
        "APPS": one.apps,
        "LOAD": -1.0 if load is None else load.load1 / max(load.cpu_cores, 1),
        "MEM%": -1.0 if load is None else load.mem_used_percent,
        "DISK%": -1.0 if load is None else load.disk_used_percent,
    }
    names = [*hv_rows.columns(load=True), VIA]
    return float(numbers.get(names[column], 0.0)), str(cells[column]).lower()


def _about(one: HVVisorEntry) -> str:
    load, memory, disk = hv_rows.load_cells(one.load)
    facts: list[tuple[str, object]] = [
        ("Public key", one.pk),
        ("Name", one.hostname),
        ("State", one.error or ("online" if one.online else "offline")),
        ("Behind", one.proxied_via),
        ("Version", f"{one.version} {one.build_tag}".strip()),
        ("Running for", figures.age(one.uptime_seconds) if one.uptime_seconds else None),
        ("Services", one.services_health),
        ("Addresses", " ".join(filter(None, (one.public_ip, one.local_ip, one.country_code)))),
        ("Load, memory, disk", f"{load}  {memory}  {disk}"),
        ("Apps", one.apps),
        ("Rewards to", one.reward_address),
        ("Transports", one.transports),
        *((f"  {tp.type}", f"{tp.remote_pk}  {tp.label}") for tp in one.transport_summaries),
    ]
    return render_facts(Facts(facts))
