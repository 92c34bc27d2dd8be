"""Commands that ask a deployment's services: fresh, or old and said so, or an error. Rows of 3087.

The commands run as processes; the deployment is a real one, in this process.
"""

import asyncio
import datetime as dt
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from skywire.cli.main import root
from skywire.config.load import ConfigFile
from skywire.crypto.generate import deterministic_key_pair
from skywire.http.cached import cache_file
from skywire.testing.wait import eventually
from tests.visor.private import SOON, Private, private_deployment, started

LIMIT = 40.0  # seconds no command here should need
NOBODY = "127.0.0.1:1"
A, B, C = (str(deterministic_key_pair(name)[0]) for name in (b"a", b"b", b"c"))
SK = deterministic_key_pair(b"visor that fetches")[1]
DAY = "2026-06-11"
OLD = [{"pk": A, "on": True, "version": "v1.3.20", "daily": {DAY: "80.5"}}]
NEW = [
    {"pk": A, "on": True, "version": "v1.3.29", "daily": {DAY: "97.22", "2026-06-10": "75"}},
    {"pk": B, "on": False, "version": "v1.3.21", "daily": {DAY: "100"}},
    {"pk": C, "on": True, "version": "evil\u001b[31m", "daily": {DAY: "12.5", "later": "99"}},
    {"pk": "not a key", "on": True},
]
ROW_A, ROW_B = f"{A} {DAY} 97.22", f"{B} {DAY} 100"


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def cli(*words: object, within: int = 20, **environment: str) -> Ended:
    """`skywire cli …` to its end; no visor answers unless `--rpc` names one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "skywire", "cli", *map(str, words), "--timeout", str(within)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SKYWIRE_RPC": NOBODY, **environment},
    )
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Private]:
    """HTTP and dmsg work; `monkeypatch` may change that by another SKYDEPLOY."""
    async with private_deployment(tmp_path) as made:
        made.tpd.document = NEW
        monkeypatch.setenv("SKYDEPLOY", str(made.write(http=True)))
        yield made


def dead(private: Private) -> str:
    """A deployment of which nothing answers, with the URLs that the cache knows."""
    server = {"static": A, "server": {"address": NOBODY}}
    document = private.document(http=False) | {"dmsg_servers": [server]}
    path = private.folder / "dead.json"
    path.write_text(json.dumps({"prod": document}))
    return str(path)


def put(folder: Path, url: str, *, minutes: float, rows: Any = OLD) -> Path:
    """A document in the cache, as if it had been fetched so long ago."""
    path = cache_file(folder, url)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(rows))
    os.utime(path, (time.time() - minutes * 60,) * 2)
    return path


DEAD_URL = "http://127.0.0.1:2/uptimes?v=v2"  # where the dead transport discovery is not


async def test_a_all_paths_dead_and_age_zero(private: Private, tmp_path: Path) -> None:
    path = put(tmp_path / "probe", DEAD_URL, minutes=24 * 60)
    before = path.stat().st_mtime_ns
    words = ["--cache-age", 0, "--cache-dir", tmp_path / "probe", "--since", DAY, "--until", DAY]
    ended = await cli("ut", "tpd", *words, within=3, SKYDEPLOY=dead(private))
    assert (ended.code, ended.out) == (1, "")
    assert "all fetch paths failed" in ended.err
    for prefix in ("RPC DmsgHTTP: ", "DMSG direct: ", "HTTP: "):
        assert prefix in ended.err
    assert path.stat().st_mtime_ns == before


async def test_b_old_rows_with_one_warning(private: Private, tmp_path: Path) -> None:
    put(tmp_path / "probe", DEAD_URL, minutes=24 * 60)
    words = ["ut", "tpd", "--cache-age", 5, "--cache-dir", tmp_path / "probe"]
    ended = await cli(*words, "--since", DAY, within=3, SKYDEPLOY=dead(private))
    assert (ended.code, ended.out) == (0, f"{A} {DAY} 80.5\n")
    warnings = [line for line in ended.err.splitlines() if "serving stale cache" in line]
    assert len(warnings) == 1
    assert "age=24.0 h" in warnings[0]
    assert ended.err.splitlines()[-1] == f"source: {DEAD_URL}, from the cache, 24.0 h old, STALE"
    said = [line for line in ended.err.splitlines() if not line.startswith("fetching ")]
    assert len(said) == 2
    as_json = await cli(*words, "--json", within=3, SKYDEPLOY=dead(private))
    assert as_json.json["source"]["stale"] is True
    assert as_json.json["source"]["age_seconds"] == pytest.approx(86400, abs=120)
    assert as_json.json["output"] == OLD


async def test_c_a_young_cache_and_nobody_is_asked(private: Private, tmp_path: Path) -> None:
    url = f"{private.urls['transport_discovery']}/uptimes?v=v2"
    put(tmp_path / "probe", url, minutes=2)
    ended = await cli("ut", "tpd", "--cache-age", 5, "--cache-dir", tmp_path / "probe")
    assert (ended.code, ended.out) == (0, f"{A} {DAY} 80.5\n")
    assert private.tpd.asked == 0
    assert "from the cache, 2 min old" in ended.err


async def test_d_age_zero_asks_and_rewrites_the_cache(private: Private, tmp_path: Path) -> None:
    url = f"{private.urls['transport_discovery']}/uptimes?v=v2"
    path = put(tmp_path / "probe", url, minutes=2)
    ended = await cli("ut", "tpd", "--cache-age", 0, "--cache-dir", tmp_path / "probe")
    assert (ended.code, ended.out) == (0, f"{ROW_A}\n{ROW_B}\n")
    assert private.tpd.asked == 1
    assert json.loads(path.read_bytes()) == NEW
    assert ", over dmsg, fresh" in ended.err  # no visor runs here


@pytest.mark.parametrize("age", [0, 5])
async def test_e_no_cache_and_a_dead_network(private: Private, age: int) -> None:
    ended = await cli("ut", "-m", age, "--cache-dir", "", within=3, SKYDEPLOY=dead(private))
    assert (ended.code, ended.out) == (1, "")
    assert "all fetch paths failed" in ended.err


async def test_f_an_error_on_one_way_and_the_answer_on_the_next(
    private: Private, tmp_path: Path
) -> None:
    """The twin is a service without such a page; over HTTP it is there."""
    wrong = f"dmsg://{private.keys['conf']}:80"
    changed = str(private.write(http=True, transport_discovery_dmsg=wrong))
    ended = await cli("ut", "-m", 0, "--cache-dir", tmp_path / "probe", SKYDEPLOY=changed)
    assert (ended.code, ended.out) == (0, f"{ROW_A}\n{ROW_B}\n")
    assert "WARNING" not in ended.err
    assert ", over http, fresh" in ended.err


async def test_g_all_ways_refused(private: Private) -> None:
    ended = await cli("ut", "--cache-dir", "", "--no-cxo", "--no-rpc", "--no-dmsg", "--no-http")
    assert (ended.code, ended.out) == (1, "")
    assert "all fetch methods disabled or unavailable for http://127.0.0.1" in ended.err


async def test_h_a_cut_download_does_not_replace_the_cache(tmp_path: Path) -> None:
    """The server promises more than it sends, and ends."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n[" + b" " * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        path = put(tmp_path, f"{url}/uptimes?v=v2", minutes=60)
        words = ["ut", "--url", url, "--cache-dir", tmp_path]
        old = await cli(*words, "-m", 5)
        fresh = await cli(*words, "-m", 0)
    assert (old.code, old.out) == (0, f"{A} {DAY} 80.5\n")
    assert (fresh.code, fresh.out) == (1, "")
    assert json.loads(path.read_bytes()) == OLD
    assert os.listdir(path.parent) == [path.name]


async def test_seeded_and_fresh_through_the_rpc_of_a_minimal_visor(
    private: Private, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3088 h: nothing but a key pair in the config, nothing but dmsg in the network."""
    deploy = str(private.write(http=False))
    monkeypatch.setenv("SKYDEPLOY", deploy)
    async with started(ConfigFile(json.dumps({"sk": SK.hex()}), "test"), tmp_path) as visor:
        await eventually(lambda: visor.dmsg.sessions, SOON)
        rpc = str(visor.modules["rpc"].facts["rpc"])
        words = ["--rpc", rpc, "--cache-dir", tmp_path / "probe", "--no-dmsg", "--no-http"]
        ended = await cli("ut", "tpd", "--cache-age", 0, *words)
        assert (ended.code, ended.out) == (0, f"{ROW_A}\n{ROW_B}\n")
        assert ", over rpc, fresh" in ended.err
        private.tpd.status = 500
        failed = await cli("ut", "tpd", "--cache-age", 0, *words)
    assert (failed.code, failed.out) == (1, "")
    assert "RPC DmsgHTTP: status 500" in failed.err
    assert private.tpd.asked == 2


def run(*words: object, **environment: str) -> Result:
    """In this process, for what the answer is made into."""
    return CliRunner(env={"SKYWIRE_RPC": NOBODY, **environment}).invoke(
        root, ["cli", *map(str, words)]
    )


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds what the commands ask for; nobody can be asked."""
    urls = {
        "transport_discovery": "http://tpd.test",
        "uptime_tracker": "http://ut.test",
        "service_discovery": "http://sd.test",
        "dmsg_discovery": "http://dmsgd.test",
    }
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({"prod": urls}))
    monkeypatch.setenv("SKYDEPLOY", str(path))
    return tmp_path / "cache"


def test_ut_chooses_days_and_visors(cached: Path) -> None:
    put(cached, "http://tpd.test/uptimes?v=v2", minutes=1, rows=NEW)
    ut = ["ut", "--cache-dir", cached]
    assert run(*ut, "-n", 0, "--since", DAY).stdout.splitlines() == [
        ROW_A,
        ROW_B,
        f"{C} {DAY} 12.5",
    ]
    assert run(*ut, "-a", "--until", "2026-06-10").stdout == f"{A} 2026-06-10 75\n"
    assert run(*ut, "--date", "2026-06-10").stdout == ""  # 75 is not more than 75
    assert run(*ut, "--online-typo").exit_code == 2
    assert run(*ut, "-o").stdout.splitlines() == [A, C]
    assert run(*ut, "-s").stdout == "2 visors online\n"
    assert run(*ut, "-k", B).stdout == f"{ROW_B}\n"
    assert run(*ut, "--min-version", "v1.3.29").stdout == f"{ROW_A}\n"
    assert run(*ut, "--version", "1.3.21").stdout == f"{ROW_B}\n"
    assert run(*ut, "-t").stdout.splitlines() == ["1 unknown", "1 v1.3.21", "1 v1.3.29"]
    assert "\u001b" not in run(*ut, "-l").stdout
    assert "unknown" not in run(*ut, "-l").stdout
    today = run(*ut, "-d", 1, "-a").stdout
    assert today == ""
    output = json.loads(run(*ut, "-o", "--json").stdout)["output"]
    assert [sorted(row) for row in output] == [["daily", "on", "pk", "version"]] * 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--date", "yesterday"], "expected a day"),
        (["-d", "2", "--since", DAY], "choose one"),
        (["-k", "zz"], "public key"),
        (["--min-version", "new"], "no version"),
        (["--url", "ftp://x/y"], "no URL of a service"),
        (["-m", "-1"], "-1"),
    ],
)
def test_ut_refuses_before_it_asks(cached: Path, words: list[str], text: str) -> None:
    ended = run("ut", "--cache-dir", cached, *words)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert text in ended.stderr


OFFERS = [
    {"address": f"{A}:44", "type": "vpn", "geo": {"country": "DE", "region": "BE"}},
    {"address": f"{B}:44", "type": "vpn", "version": "v1.3.29"},
    {"address": "nonsense"},
]


def test_lists_show_who_is_online(cached: Path) -> None:
    put(cached, "http://sd.test/api/services?type=vpn", minutes=1, rows=OFFERS)
    put(cached, "http://ut.test/uptimes?v=v2", minutes=1, rows=NEW)
    listing = ["vpn", "list", "--cache-dir", cached]
    shown = run(*listing)
    assert shown.stdout == f"{A}\n"
    assert [line.split(",")[0] for line in shown.stderr.splitlines()] == [
        "source: http://sd.test/api/services?type=vpn",
        "source: http://ut.test/uptimes?v=v2",
    ]
    assert run(*listing, "--noton").stdout.splitlines() == sorted([A, B])
    assert run(*listing, "-s", "--noton").stdout == "2\n"
    assert run(*listing, "-l").stdout == f"{A} DE\n"
    assert "v1.3.29" in run(*listing, "-u").stdout
    assert run(*listing, "-k", B).exit_code == 1
    found = json.loads(run(*listing, "--json").stdout)
    assert found["output"] == [
        {"pk": A, "port": 44, "version": "", "country": "DE", "region": "BE"}
    ]
    assert [source["via"] for source in found["source"]] == ["cache", "cache"]
    assert run("sd", "vpn", "-o", "--cache-dir", cached).stdout.splitlines() == sorted([A, B])
    nobody = run("proxy", "list", "--cache-dir", cached, "--no-http")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "disabled or unavailable" in nobody.stderr


def transports() -> list[dict[str, object]]:
    from skywire.crypto.keys import PubKey
    from skywire.wire.transport import Entry

    pairs = [(A, B, "stcpr"), (B, C, "sudph"), (A, B, "dmsg")]
    return [
        json.loads(Entry.of(PubKey.parse(one), PubKey.parse(two), kind).encode())
        for one, two, kind in pairs
    ]


def test_the_tree_of_transports(cached: Path) -> None:
    rows = transports()
    put(cached, "http://tpd.test/all-transports", minutes=1, rows=rows)
    tree = ["tp", "tree", "--cache-dir", cached, "--noton"]
    lines = run(*tree, "-k", A).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [A, B, C]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4]
    assert "dmsg" in lines[1]
    assert lines[1].endswith("[3]")
    assert run(*tree).stdout.splitlines()[0].startswith(B)  # it has the most
    path = json.loads(run(*tree, "-k", A, "-d", C, "--json").stdout)["output"]
    assert [step["pk"] for step in path] == [A, B, C]
    assert path[2]["transport"]["type"] == "sudph"
    figures = run(*tree, "-s").stdout.splitlines()
    assert figures[:2] == ["Unique keys in Transport Discovery: 3", "Count of transports: 3"]
    assert run(*tree, "-d", C).exit_code == 2
    assert run(*tree, "-k", str(deterministic_key_pair(b"nobody")[0])).exit_code == 1
    put(cached, "http://ut.test/uptimes?v=v2", minutes=1, rows=NEW)
    assert run("tp", "tree", "--cache-dir", cached).stdout == ""  # B is offline
    found = ["tp", "disc", "--cache-dir", cached]
    assert str(rows[1]["t_id"]) in run(*found, "-p", C).stdout
    by_id = json.loads(run(*found, "-i", rows[1]["t_id"], "--json").stdout)["output"]
    assert (by_id[0]["type"], sorted(by_id[0]["edges"])) == ("sudph", sorted([B, C]))
    assert run(*found, "-i", "no-such").exit_code == 1
    assert run(*found).exit_code == 2


async def test_the_dmsg_discovery_is_listed_from_a_real_one(
    private: Private, tmp_path: Path
) -> None:
    folder, server = tmp_path / "probe", private.servers[0]
    servers = await cli("mdisc", "servers", "--cache-dir", folder, "--json")
    (row,) = servers.json["output"]
    assert (row["public_key"], row["address"]) == (str(server.public), server.public_address)
    assert servers.json["source"]["via"] == "dmsg"
    tpd = private.keys["transport_discovery"]
    clients = await cli("mdisc", "--cache-dir", folder)
    assert str(tpd) in clients.out.splitlines()
    count = len(clients.out.splitlines())
    stats = await cli("mdisc", "-s", "--cache-dir", folder)
    assert stats.out == f"{count} clients\n"
    entry = await cli("mdisc", "entry", tpd, "--cache-dir", folder, "--json")
    assert entry.json["output"]["delegated_servers"] == [str(server.public)]
    checked = await cli("mdisc", "check", tpd, "--cache-dir", folder)
    assert (checked.code, checked.out) == (0, "1 of its 1 servers exist\n")
    unknown = await cli("mdisc", "entry", A, "--cache-dir", folder)
    assert (unknown.code, unknown.out) == (1, "")
    assert "is not found" in unknown.err


async def test_tools_take_a_discovery_on_dmsg(private: Private) -> None:
    disc = f"dmsg://{private.keys['dmsg_discovery']}:80"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skywire", "dmsg", "curl", "--dmsg-disc", disc),
        f"dmsg://{private.keys['transport_discovery']}:80/health",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SKYDEPLOY": str(private.write(http=False))},
    )
    async with asyncio.timeout(LIMIT):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "build_info" in json.loads(out)


async def test_the_sources_of_who_is_there(private: Private, tmp_path: Path) -> None:
    none = await cli("ut", "sd", "--cache-dir", tmp_path / "probe", "-s")
    assert (none.code, none.out) == (0, "0 visors\n")
    assert none.err.count("source: ") == 3
    visors = await cli("ut", "mdisc", "--cache-dir", tmp_path / "probe", "--json")
    assert visors.json["output"] == []


def metrics(day: str) -> list[dict[str, object]]:
    def metric(one: str, two: str, *counts: int) -> dict[str, object]:
        keys = ("a", "b")
        daily: dict[str, object] = {"date": day}
        for key, at in zip(keys, (0, 2), strict=True):
            if len(counts) > at:
                daily[key] = {"sent": counts[at], "recv": counts[at + 1]}
        return {"id": "x", "type": "stcpr", "edges": [one, two], "daily": [daily]}

    return [metric(A, B, 1000, 300, 200, 900), metric(A, C, 5000, 5000), metric(B, C, 70, 9, 9, 50)]


def test_bandwidth_counts_what_both_ends_say(cached: Path, tmp_path: Path) -> None:
    day = dt.datetime.now(dt.UTC).date().isoformat()
    url = "http://tpd.test/metrics?days=1&bandwidth=true&edges=true"
    put(cached, url, minutes=1, rows=metrics(day))
    collect = ["rewards", "bw-collect", "--cache-dir", cached, "-p", tmp_path / "hist"]
    surveys = tmp_path / "surveys"
    done = run(*collect, "-l", surveys, "--json")
    # A sent 1000, of which B got 900; B sent 200, and 50 of 70; nobody confirms the 5000
    path = tmp_path / "hist" / f"{day}_bandwidth.json"
    assert json.loads(path.read_bytes()) == {A: 900, B: 250}
    assert path.read_text().startswith('{\n  "')
    told = json.loads(done.stdout)
    assert told["output"] == {"file": str(path), "day": day, "visors": 2, "bytes": 1150}
    assert told["source"]["via"] == "cache"
    for pk in (A, B):
        (surveys / pk).mkdir(parents=True)
        (surveys / pk / "node-info.json").write_text('{"ip_address": "192.0.2.7"}')
    run(*collect, "-l", surveys, "-b", 0)
    assert json.loads(path.read_bytes()) == {B: 50, C: 9}  # A and B are one household
    run(*collect, "-l", surveys)
    assert json.loads(path.read_bytes()) == {}  # 50 are less than 64
    fresh = run(*collect, "-n", "--no-http")
    assert (fresh.exit_code, fresh.stdout) == (1, "")
    run(*collect, "--date", "2026-06-10")
    assert json.loads((tmp_path / "hist" / "2026-06-10_bandwidth.json").read_bytes()) == {}


def test_old_figures_replace_no_file(cached: Path, tmp_path: Path) -> None:
    day = dt.datetime.now(dt.UTC).date().isoformat()
    url = "http://tpd.test/metrics?days=1&bandwidth=true&edges=true"
    put(cached, url, minutes=60, rows=metrics(day))
    words = ["--cache-dir", cached, "-p", tmp_path / "hist", "--no-http"]
    path = tmp_path / "hist" / f"{day}_bandwidth.json"
    first = run("rewards", "bw-collect", *words, "--json")
    assert (first.exit_code, json.loads(first.stdout)["source"]["stale"]) == (0, True)
    before = path.stat().st_mtime_ns
    second = run("rewards", "bw-collect", *words)
    assert (second.exit_code, second.stdout) == (1, "")
    assert "it stays as it is" in second.stderr
    assert path.stat().st_mtime_ns == before
