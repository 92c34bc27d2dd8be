"""Bytes per transport and day, in files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from skywire.transport.traffic_log import KEEP_TIME, SWEEP_INTERVAL, Row, TrafficLog, read_rows

NOON = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
MIDNIGHT = 1_700_006_400.0


class Now:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> float:
        return self.time


@dataclass(eq=False)
class Counted:
    payload_received: int
    payload_sent: int
    id: UUID = field(default_factory=uuid4)
    is_up: bool = True


def link(received: int = 0, sent: int = 0) -> Any:
    return Counted(received, sent)


def links(*each: Any) -> dict[UUID, Any]:
    return {one.id: one for one in each}


def test_the_file_is_go_s(tmp_path: Path) -> None:
    now, one = Now(), link(5, 7)
    log = TrafficLog(tmp_path, clock=now)
    log.count(links(one))
    log.write()
    written = (tmp_path / "2023-11-14.csv").read_text()
    assert written == f"tp_id,recv,sent,time_stamp\n{one.id},5,7,{int(NOON)}\n"


def test_counters_start_over_at_midnight_and_the_old_day_stays(tmp_path: Path) -> None:
    now, one = Now(), link(5, 7)
    log = TrafficLog(tmp_path, clock=now)
    log.count(links(one))
    now.time, one.payload_received = MIDNIGHT, 105
    log.count(links(one))
    log.write()
    assert read_rows(tmp_path / "2023-11-14.csv") == {one.id: Row(5, 7, int(NOON))}
    assert read_rows(tmp_path / "2023-11-15.csv") == {one.id: Row(100, 0, int(MIDNIGHT))}


def test_a_restart_and_a_new_connection_add_to_the_day(tmp_path: Path) -> None:
    now, one = Now(), link(5, 7)
    first = TrafficLog(tmp_path, clock=now)
    first.count(links(one))
    one.is_up, one.payload_received = False, 6
    again = link(10, 20)
    again.id = one.id
    first.count(links(again))
    first.write()
    second = TrafficLog(tmp_path, clock=now)
    later = link(100, 200)
    later.id = one.id
    second.count(links(later))
    second.write()
    assert read_rows(tmp_path / "2023-11-14.csv") == {one.id: Row(116, 227, int(NOON))}


def test_nothing_is_written_without_traffic(tmp_path: Path) -> None:
    log = TrafficLog(tmp_path / "new", clock=Now())
    log.count(links(link()))
    log.write()
    assert not (tmp_path / "new").exists()


def test_old_files_go_and_others_stay(tmp_path: Path) -> None:
    now = Now()
    log = TrafficLog(tmp_path, clock=now)
    log.write()
    for name in ("2020-01-01.csv", "notes.csv"):
        (tmp_path / name).write_text("")
    now.time = (tmp_path / "notes.csv").stat().st_mtime + KEEP_TIME + SWEEP_INTERVAL + 1
    log.write()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.csv"]


def test_a_damaged_file_gives_the_rows_that_make_sense(tmp_path: Path) -> None:
    path, one = tmp_path / "2023-11-14.csv", uuid4()
    path.write_text(f"tp_id,recv,sent,time_stamp\njunk,1,2,3\n{one},1,2,3\n{uuid4()},x,2\n\n")
    assert read_rows(path) == {one: Row(1, 2, 3)}
    path.write_bytes(b"\xff\xfe\x00")
    assert read_rows(path) == {}
    assert read_rows(tmp_path / "none.csv") == {}


def test_a_directory_that_cannot_be_made_is_survived(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = TrafficLog(tmp_path / "file" / "logs", clock=Now())
    log.count(links(link(1, 1)))
    log.write()
