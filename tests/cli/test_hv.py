"""`skywire cli visor hv`: keys, the list of visors as the reference shows it. Source: §8, §10."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from skywire.cli.hv_list import COLUMNS, load_cells
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.visor import ops_hv, ops_info
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
    assert load_cells(load) == cells


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


def test_keys_and_the_pages() -> None:
    keys: list[PubKey] = [NEAR, FAR]
    overview = Overview(local_pk=OWN, hypervisors=keys, connected_hypervisor=[FAR])
    assert hv({ops_info.overview: overview}, "cpk") == f"{NEAR}\n{FAR}\n"
    assert hv({ops_info.overview: overview}, "pk") == f"{FAR}\n"
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
