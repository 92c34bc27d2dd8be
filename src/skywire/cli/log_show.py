"""`skywire cli log st|tp`: what was collected. Source: rewards.md §6."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from skywire.cli import documents, output
from skywire.errors import InvalidValue

MAX_ROWS = 5_000_000
MAX_COUNT = 1 << 63
HEADER = "date tp_id,recv,sent,time_stamp"
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\.csv", re.ASCII)
COLOURS = {"verified": "blue", "inconsistent": "yellow", "idle": "red", "alone": ""}

folder_option = click.option(
    "-d",
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("log_collecting"),
    show_default=True,
    help="Where a folder for each visor is.",
)


class File(msgspec.Struct, frozen=True):
    name: str
    bytes: int


class Collected(msgspec.Struct, frozen=True):
    pk: str
    files: list[File]


class Row(NamedTuple):
    """A line of a transport log: what one end counted on a day. `text` is how it is shown."""

    text: str
    tp_id: str
    recv: int
    sent: int


class Verdict(msgspec.Struct, frozen=True):
    """`state`: verified (the ends agree), inconsistent, idle (a count is zero) or alone."""

    line: str
    state: str


def collected(folder: Path, keys: Iterable[str]) -> list[Collected]:
    """The folders whose names are public keys; all, unless `keys` names some."""
    wanted = set(keys)
    found = []
    for place in sorted(folder.iterdir()):
        if documents.is_key(place.name) and (not wanted or place.name in wanted):
            files = [File(one.name, one.stat().st_size) for one in sorted(place.iterdir())]
            found.append(Collected(place.name, files))
    return found


def rows(folder: Path) -> list[Row]:
    """Of all transport logs, each once, in descending order of their text."""
    found: dict[str, Row] = {}
    for place in folder.iterdir():
        if documents.is_key(place.name):
            for path in place.iterdir():
                if match := _DAY.fullmatch(path.name):
                    found |= {row.text: row for row in _rows(path, match[1])}
        if len(found) > MAX_ROWS:
            raise InvalidValue(f"{folder}: more than {MAX_ROWS} rows; compare a part of it")
    return [found[text] for text in sorted(found, reverse=True)]


def _rows(path: Path, day: str) -> Iterator[Row]:
    """What is no row, a header for one, is left out."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for line in csv.reader(file):
            if len(line) == 4 and all(documents.plain(cell) == cell for cell in line[:3]):
                tp_id, recv, sent, stamp = line
                if recv.isdecimal() and sent.isdecimal():
                    text = f"{day} {tp_id},{recv},{sent},{documents.shown(stamp)}"
                    yield Row(text, tp_id, min(int(recv), MAX_COUNT), min(int(sent), MAX_COUNT))


def verdicts(found: list[Row]) -> list[Verdict]:
    """Two neighbours of one transport are its two ends."""
    result = []
    at = 0
    while at < len(found):
        row = found[at]
        other = found[at + 1] if at + 1 < len(found) else None
        if other is not None and other.tp_id == row.tp_id:
            agree = (row.recv, row.sent) == (other.sent, other.recv)
            state = "verified" if agree else "inconsistent"
            result += [Verdict(each.text, _state(each, state)) for each in (row, other)]
            at += 2
        else:
            result.append(Verdict(row.text, _state(row, "alone")))
            at += 1
    return result


def _state(row: Row, state: str) -> str:
    return "idle" if not (row.recv and row.sent) else state


@click.command(epilog="Example: skywire cli log st -d log_collecting")
@folder_option
@click.option("-p", "--pks", default="", metavar="PK,PK", help="These visors only.")
@output.json_option(shape=list[Collected])
def st(folder: Path, pks: str, as_json: bool) -> None:
    """Show what was collected, as a tree."""
    keys = [documents.wanted_key(word) for word in re.split(r"[,;\s]+", pks) if word]
    found = collected(folder, keys)
    lines = []
    for one in found:
        lines.append(one.pk)
        lines += [f"  {documents.shown(file.name)}  {file.bytes} bytes" for file in one.files]
    output.emit(found, as_json=as_json, text="\n".join(lines))


@click.command(epilog="Example: skywire cli log tp -d log_collecting")
@folder_option
@output.json_option(shape=list[Verdict])
def tp(folder: Path, as_json: bool) -> None:
    """Compare what the two ends of each transport wrote down, line by line.

    Blue lines agree with the other end's, yellow ones do not, in red ones a count is zero.
    """
    found = verdicts(rows(folder))
    shown = [
        click.style(one.line, fg=COLOURS[one.state]) if COLOURS[one.state] else one.line
        for one in found
    ]
    output.emit(found, as_json=as_json, text="\n".join([HEADER, *shown]))
