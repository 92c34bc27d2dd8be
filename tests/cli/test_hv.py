"""`skywire cli visor hv`: keys, the list of visors as the reference shows it. Source: §8, §10."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli import output
from skywire.cli.hv_rows import COLUMNS, load_cells
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Unavailable
from skywire.visor import ops_hv, ops_hypervisors, ops_info
from skywire.visor.ops_hypervisors import HypervisorOut
from skywire.visor.ports_shown import PortDetail
from skywire.visor.types import LoadStats, Overview, Summary
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree
from tests.cli.fake_rpc import fake_rpc

OWN, NEAR, FAR = (deterministic_key_pair(name)[0] for name in (b"own", b"near", b"far"))
HERE = HVVisorEntry(
    OWN,
    online=True,
    is_local=True,
    version="v1",
    uptime_seconds=47585.9,
    transports=3,
    apps=2,
    public_ip="192.0.2.1",
    country_code="DE",
    hostname="home",
    load=LoadStats(load1=9.43, cpu_cores=4, mem_used_percent=35.2, disk_used_percent=100),
)
THERE = HVVisorEntry(NEAR, online=True)
BROKEN = HVVisorEntry(FAR, error="a text of more than twenty-five characters")
TREE = HVVisorTree(
    [
        HVSection(OWN, visors=[HERE, THERE]),
        HVSection(FAR, via_chain=[OWN], sub_error="timed out"),
        HVSection(NEAR, via_chain=[OWN]),
    ]
)


def hv(answers: dict[Any, Any], *words: str) -> str:
    with fake_rpc(answers) as fake:
        result = CliRunner().invoke(root, ["cli", "--rpc", fake.address, "visor", "hv", *words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_list_by_section() -> None:
    lines = hv({ops_hv.list_visors_tree: TREE}, "ls").splitlines()
    assert lines[0] == str(OWN)
    assert lines[1].split() == list(COLUMNS)
    assert lines[2].split() == [
        str(OWN),
        "home",
        "v1",
        "13h13m5s",
        "3",
        "2",
        "192.0.2.1",
        "DE",
        "local",
    ]
    assert lines[3].split() == [str(NEAR), "-", "-", "-", "0", "0", "-", "-", "ok"]
    assert lines[4:8] == [
        "",
        f"    {OWN}",
        f"└── {FAR}",
        "  (sub-hypervisor query error: timed out)",
    ]
    assert lines[-1] == "  (no visors)"


def test_with_the_load() -> None:
    lines = hv({ops_hv.list_visors_tree: TREE}, "ls", "--load").splitlines()
    assert lines[1].split()[-3:] == ["LOAD", "MEM%", "DISK%"]
    assert lines[2].split()[-3:] == ["9.43/4", "35%", "100%"]
    assert lines[3].split()[-3:] == ["-", "-", "-"]


@pytest.mark.parametrize(
    ("load", "cells"),
    [
        (None, ("-", "-", "-")),
        (LoadStats(9.43, 0, 0, 4, 35.2, 100), ("9.43/4", "35%", "100%")),
        (LoadStats(1.07, 0, 0, 0, 12.9, 48.4), ("1.07", "13%", "48%")),
    ],
)
def test_the_cells_of_the_reference(load: LoadStats | None, cells: tuple[str, str, str]) -> None:
    assert tuple(map(str, load_cells(load))) == cells


def row_of(lines: list[str], pk: PubKey) -> list[str]:
    (line,) = (line for line in lines if line.startswith(f"{pk} "))
    return line.split()


def listed(entry: HVVisorEntry, *words: str) -> list[str]:
    """The row of one visor, in both layouts, which show the same."""
    tree = HVVisorTree([HVSection(OWN, visors=[entry])])
    sections = hv({ops_hv.list_visors_tree: tree}, "ls", *words).splitlines()
    flat = hv({ops_hv.list_visors: [entry]}, "ls", "--flat", *words).splitlines()
    assert row_of(sections, entry.pk) == row_of(flat, entry.pk)
    return row_of(flat, entry.pk)


def test_3092_a_load_memory_and_disk() -> None:
    entry = replace(HERE, load=LoadStats(9.43, 0, 0, 4, 35.2, 100))
    assert listed(entry, "--load")[-3:] == ["9.43/4", "35%", "100%"]


def test_3092_b_an_older_visor_has_no_load_and_all_else() -> None:
    entry = replace(HERE, load=None)
    row = listed(entry, "--load")
    assert row == [*listed(HERE), "-", "-", "-"]


@pytest.mark.parametrize("words", [["ls", "--load"], ["ls", "--load", "--flat"]])
def test_3092_c_an_older_hypervisor_tells_no_load(words: list[str]) -> None:
    """One of 2024 has no list with figures; one of early 2026 has one without load."""
    answers = {
        ops_info.overview: Overview(local_pk=OWN),
        ops_info.remote_visors: [str(NEAR), str(FAR)],
    }
    for told in (answers, without_load()):
        lines = hv(told, *words).splitlines()
        assert row_of(lines, NEAR)[-3:] == row_of(lines, FAR)[-3:] == ["-", "-", "-"]


def without_load() -> dict[Any, Any]:
    entries = [replace(HERE, pk=pk, load=None) for pk in (NEAR, FAR)]
    tree = HVVisorTree([HVSection(OWN, visors=entries)])
    return {ops_hv.list_visors: entries, ops_hv.list_visors_tree: tree}


def test_3092_d_without_cores_there_is_no_slash() -> None:
    entry = replace(HERE, load=LoadStats(1.07, 0, 0, 0, 12.9, 48.4))
    assert listed(entry, "--load")[-3:] == ["1.07", "13%", "48%"]


def test_3092_e_without_the_flag_the_header_is_as_it_was() -> None:
    """Padded to the widest cell and two spaces."""
    header = hv({ops_hv.list_visors: [HERE]}, "ls", "--flat").splitlines()[0]
    wide = [66, 5, 7, 8, 2, 4, 9, 2, 6]
    assert header == "  ".join(map(str.ljust, COLUMNS, wide)).rstrip()
    assert header.split() == [
        "PK",
        "LABEL",
        "VERSION",
        "UPTIME",
        "TP",
        "APPS",
        "IP",
        "CC",
        "STATUS",
    ]


def test_what_is_scarce_stands_out() -> None:
    def styles(load: LoadStats) -> list[str]:
        return [getattr(cell, "style", "") for cell in load_cells(load)]

    assert styles(LoadStats(1.0, 0, 0, 4, 50, 79.9)) == ["", "", ""]
    assert styles(LoadStats(3.0, 0, 0, 4, 80, 94)) == ["yellow"] * 3
    assert styles(LoadStats(4.0, 0, 0, 4, 95, 100)) == ["bold red"] * 3
    assert styles(LoadStats(99, 0, 0, 0, 1, 1)) == ["", "", ""], "of how many cores?"


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(HERE, load=LoadStats(9.43, 0, 0, 4, 35.2, 100))
    assert "\x1b" not in hv({ops_hv.list_visors: [entry]}, "ls", "--flat", "--load")
    table = output.Table(["DISK%"], [[load_cells(entry.load)[2]]])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m100%" in output.render(table)


def watched(answers: dict[Any, Any], words: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two rounds of --watch; before the second one the hypervisor goes away."""
    rounds: list[float] = []
    with fake_rpc(answers) as fake:

        async def sleep(seconds: float) -> None:
            rounds.append(seconds)
            if len(rounds) == 2:
                raise KeyboardInterrupt
            fake.answers[ops_hv.list_visors] = Unavailable("it is\x1b gone")

        monkeypatch.setattr("skywire.cli.hv_list.asyncio.sleep", sleep)
        line = ["cli", "--rpc", fake.address, "visor", "hv", "ls", "--flat", *words]
        result = CliRunner().invoke(root, line)
    assert result.exit_code == 130, result.output
    return result, rounds


def test_watched_it_lives_through_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    result, rounds = watched({ops_hv.list_visors: [HERE]}, ["--watch"], monkeypatch)
    assert rounds == [2.0, 2.0]
    assert result.stdout.count(f"{OWN} ") == 2
    assert ": it is" in result.stdout
    assert "\x1b" not in result.stdout


def test_watched_in_json_it_is_a_document_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    result, rounds = watched({ops_hv.list_visors: [HERE]}, ["--json", "-w", "5"], monkeypatch)
    assert rounds == [5.0, 5.0]
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["output"][0]["pk"] == str(OWN)
    assert "gone" in result.stderr
    result, _ = watched({ops_hv.list_visors: [HERE]}, ["--jq", ".[].pk", "-w"], monkeypatch)
    assert result.stdout == f"{OWN}\n"


def test_watched_a_visor_that_is_not_there_is_an_error() -> None:
    with fake_rpc({}) as fake:
        address = fake.address
    line = ["cli", "--rpc", address, "visor", "hv", "ls", "--watch"]
    assert CliRunner().invoke(root, line).exit_code == 1


def test_keys_are_added_and_removed() -> None:
    answers = {ops_info.add_hypervisor: None, ops_hypervisors.remove_hypervisor: None}
    assert hv(answers, "add", str(NEAR)) == hv(answers, "rm", str(NEAR)) == "OK\n"
    with fake_rpc(answers) as fake:
        line = ["cli", "--rpc", fake.address, "visor", "hv", "rm", "no key"]
        assert CliRunner().invoke(root, line).exit_code == 2


def test_the_hypervisor_is_switched() -> None:
    url = "http://127.0.0.1:8000/"
    answers = {ops_hypervisors.set_hypervisor: HypervisorOut(True, url, "users.db")}
    assert hv(answers, "enable") == f"The hypervisor runs: {url}\n"
    assert hv(answers, "disable") == "The hypervisor is off.\n"
    assert json.loads(hv(answers, "enable", "--json"))["output"] == {
        "enabled": True,
        "live": True,
        "url": url,
        "users": "users.db",
    }
    answers = {ops_hypervisors.set_hypervisor: HypervisorOut(False)}
    assert "skywire cli visor reload" in hv(answers, "enable")


def test_flat_and_errors_cut() -> None:
    answers = {ops_hv.list_visors: [THERE, BROKEN]}
    assert "a text of more than twent..." in hv(answers, "ls", "--flat")
    assert hv({ops_hv.list_visors: []}, "ls", "--flat") == "No visors connected.\n"
    found = json.loads(hv(answers, "ls", "--flat", "--json"))["output"]
    assert [(row["pk"], "load" in row) for row in found] == [(str(NEAR), False), (str(FAR), False)]


def test_json_is_the_tree() -> None:
    found = json.loads(hv({ops_hv.list_visors_tree: TREE}, "ls", "--json"))["output"]
    assert [section["hypervisor_pk"] for section in found["sections"]] == list(
        map(str, [OWN, FAR, NEAR])
    )
    assert found["sections"][0]["visors"][0]["load"]["cpu_cores"] == 4


@pytest.mark.parametrize("words", [["ls"], ["ls", "--flat"], ["tree"]])
def test_a_hypervisor_of_2024_tells_keys_alone(words: list[str]) -> None:
    answers = {ops_info.overview: Overview(local_pk=OWN), ops_info.remote_visors: [str(NEAR)]}
    assert str(NEAR) in hv(answers, *words)


def test_keys_and_the_pages(tmp_path: Path) -> None:
    keys: list[PubKey] = [NEAR, FAR]
    overview = Overview(local_pk=OWN, hypervisors=keys, connected_hypervisor=[FAR])
    assert hv({ops_info.overview: overview}, "cpk") == f"{NEAR}\n{FAR}\n"
    assert hv({ops_info.overview: overview}, "pk") == f"{FAR}\n"
    file = tmp_path / "config.json"
    secret = deterministic_key_pair(b"own")[1].hex()
    file.write_text(json.dumps({"sk": secret, "hypervisors": [str(FAR)]}))
    assert hv({}, "cpk", "-i", str(file)) == f"{FAR}\n"
    answers = {ops_info.summary: Summary(overview=overview), ops_info.ports: {}}
    assert "Hypervisor here  no" in hv(answers, "status")
    answers[ops_info.ports] = {"hypervisor": PortDetail("8000", "TCP")}
    assert hv(answers, "ui", "-p") == "http://127.0.0.1:8000/\n"
    found = json.loads(hv(answers, "status", "--json"))["output"]
    assert (found["is_hypervisor"], found["url"]) == (True, "http://127.0.0.1:8000/")


def test_the_page_of_a_terminal() -> None:
    answers = {
        ops_info.overview: Overview(local_pk=OWN),
        ops_info.ports: {"hypervisor": PortDetail("8000", "TCP")},
    }
    for words, pk in (([], OWN), ([str(NEAR)], NEAR), (["-v", str(NEAR)], NEAR)):
        with fake_rpc(answers) as fake:
            where = ["--rpc", fake.address]
            url = CliRunner().invoke(root, ["cli", "pty", "url", *words, *where]).stdout
        assert url == f"http://127.0.0.1:8000/pty/{pk}\n"
    with fake_rpc({ops_info.ports: {}}) as fake:
        result = CliRunner().invoke(root, ["cli", "pty", "ui", "--rpc", fake.address])
    assert (result.exit_code, result.stderr) == (
        1,
        'Error: the visor runs no hypervisor. Start it with "skywire visor -i".\n',
    )
