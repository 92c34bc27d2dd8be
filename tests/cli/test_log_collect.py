"""`skywire cli log`: from visors that serve on dmsg port 80, into folders, and what is shown."""

import asyncio
import datetime as dt
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from skywire.cli.documents import Uptime
from skywire.cli.log_collect import Choice, Plan, collect_all
from skywire.cli.main import root
from skywire.crypto.generate import deterministic_key_pair, key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import Unavailable
from skywire.http.files import only_keys
from skywire.http.over_stream import serve_http
from skywire.streams.supervise import Tasks
from tests.cli.test_fetch import cli
from tests.visor.private import SOON, Private, private_deployment

COLLECTOR, COLLECTOR_SK, _ = deterministic_key_pair(b"collector")
TODAY = dt.datetime.now(dt.UTC).date().isoformat()
CSV = "tp_id,recv,sent,time_stamp\n"
A, B = (str(deterministic_key_pair(name)[0]) for name in (b"a", b"b"))


def visor_app(*, survey: str = "node-info") -> web.Application:
    """What a visor serves: health for all, the survey for the collector."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"started_at": "2026-06-11T00:00:00Z"})

    async def info(_: web.Request) -> web.Response:
        return web.json_response({"ip_address": "192.0.2.7"})

    async def log(_: web.Request) -> web.Response:
        return web.Response(text=CSV)

    async def big(_: web.Request) -> web.Response:
        return web.Response(body=bytes(5000))

    app = web.Application()
    private = web.Application(middlewares=[only_keys([COLLECTOR])])
    app.router.add_get("/health", health)
    app.router.add_get(f"/{TODAY}.csv", log)
    app.router.add_get("/big", big)
    private.router.add_get("", info)
    app.add_subapp(f"/{survey}", private)
    return app


@asynccontextmanager
async def visor_on(private: Private, app: web.Application | None) -> AsyncIterator[PubKey]:
    """A client of the deployment that serves `app` on port 80; None: it serves nothing."""
    tasks = Tasks("visor")
    async with (
        DiscoveryClient(private.urls["dmsg_discovery"]) as directory,
        DmsgClient(*key_pair(), directory) as client,
    ):
        async with asyncio.timeout(SOON):
            await client.ready()
        if app is not None:
            tasks.spawn(serve_http(app, client.listen(80)))
        yield client.public
        await tasks.close()


def online(pk: object, version: str, *, on: bool = True) -> dict[str, object]:
    return {"pk": str(pk), "on": on, "version": version}


async def test_what_visors_serve_is_collected_over_dmsg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        private_deployment(tmp_path) as private,
        visor_on(private, visor_app()) as new,
        visor_on(private, visor_app(survey="node-info.json")) as old,
        visor_on(private, None) as silent,
    ):
        monkeypatch.setenv("SKYDEPLOY", str(private.write(http=True)))
        private.tracker.document = [
            online(new, "v1.3.29"),
            online(old, "v1.3.10"),
            online(silent, "v1.3.29"),
            online(A, "v1.3.29", on=False),
            online(B, ""),
        ]
        folder = tmp_path / "logs"
        words = ["log", "-d", folder, "--cache-dir", "", "--json", "--clean", "--minv", "v1.3.9"]
        ended = await cli(*words, DMSGCURL_SK=COLLECTOR_SK.hex())
        assert ended.code == 0, ended.err
        found = {row["pk"]: row for row in ended.json["output"]}
        assert set(found) == {str(new), str(old), str(silent)}
        for pk in (new, old):
            assert found[str(pk)]["files"] == ["health.json", "node-info.json", f"{TODAY}.csv"]
            survey = (folder / str(pk) / "node-info.json").read_bytes()
            assert json.loads(survey) == {"ip_address": "192.0.2.7"}
        assert found[str(silent)]["files"] == []
        assert "/health: " in found[str(silent)]["error"]
        assert not (folder / str(silent)).exists()
        assert COLLECTOR_SK.hex() not in ended.err + ended.out

        stranger = await cli("log", "-d", tmp_path / "other", "-v", "-k", new, "--json")
        (row,) = stranger.json["output"]
        assert row["files"] == ["health.json"]
        assert row["error"].startswith("/node-info: status 403")
        big = await cli("log", "-d", folder, "-f", "big", "--maxfilesize", 1, "-k", new)
        assert big.code == 1
        assert "larger than 1024 bytes" in big.err
        assert "big" not in os.listdir(folder / str(new))


def visor(pk: str, version: str = "v1.3.29", *, on: bool = True) -> Uptime:
    return Uptime(pk, on, version, {})


def test_old_offline_and_unknown_versions_are_left_out() -> None:
    choice = Choice((1, 3, 19), frozenset({"v1.2.0"}), False, frozenset())
    visors = [
        visor("new"),
        visor("same", "v1.3.19"),
        visor("old", "v1.3.18"),
        visor("special", "v1.2.0"),
        visor("blank", " "),
        visor("odd", "snapshot"),
        visor("off", on=False),
    ]
    assert sorted(one.pk for one in choice.of(visors)) == ["new", "same", "special"]
    every = choice._replace(every_version=True, keys=frozenset({"old", "off"}))
    assert [one.pk for one in every.of(visors)] == ["old"]


async def test_no_more_than_a_batch_at_a_time(tmp_path: Path) -> None:
    now = most = 0

    async def get(pk: str, path: str) -> bytes:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return b"{}"

    visors = [visor(f"{number:066x}") for number in range(20)]
    outcomes = await collect_all(visors, Plan(tmp_path), get, batch=3)
    assert (len(outcomes), most) == (20, 3)
    assert len(os.listdir(tmp_path)) == 20


async def test_a_full_disk_ends_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def get(pk: str, path: str) -> bytes:
        return b"{}"

    with pytest.raises(ExceptionGroup) as caught:
        await collect_all([visor(A)], Plan(tmp_path / "file"), get, batch=3)
    assert caught.group_contains(Unavailable, match="cannot make")


async def test_a_folder_that_was_there_is_not_cleaned_away(tmp_path: Path) -> None:
    async def get(pk: str, path: str) -> bytes:
        raise TimeoutError

    (tmp_path / A).mkdir()
    (tmp_path / A / "health.json").write_text("{}")
    (outcome,) = await collect_all([visor(A)], Plan(tmp_path, clean=True), get, batch=1)
    assert outcome.error == "/health: no answer in time"
    assert os.listdir(tmp_path / A) == ["health.json"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-l", "-v"], "exclude each other"),
        (["-f", "../secret"], "name of a file"),
        (["--minv", "new"], "no version"),
        (["-k", "zz"], "public key"),
        (["-s", "zz"], "secret key"),
    ],
)
def test_bad_words_are_refused_before_anybody_is_asked(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deployment.json"
    path.write_text('{"prod": {"uptime_tracker": "http://127.0.0.1:1"}}')
    monkeypatch.setenv("SKYDEPLOY", str(path))
    ended = CliRunner().invoke(root, ["cli", "log", *words])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert text in ended.stderr


def test_what_was_collected_is_shown_and_compared(tmp_path: Path) -> None:
    lines = {
        A: ["id1,100,200,x", "id2,5,6,x", "id3,0,6,x"],
        B: ["tp_id,recv,sent,time_stamp", "id1,200,100,x", "id2,7,8,x", "broken", "id4,1,b,x"],
    }
    for pk, rows in lines.items():
        (tmp_path / pk).mkdir()
        (tmp_path / pk / "2026-06-11.csv").write_text("\n".join(rows))
        (tmp_path / pk / "health.json").write_text("{}")
    (tmp_path / "no key").mkdir()
    shown = CliRunner().invoke(root, ["cli", "log", "st", "-d", str(tmp_path)])
    at = shown.stdout.splitlines().index(A)
    assert shown.stdout.splitlines()[at + 1] == "  2026-06-11.csv  33 bytes"
    one = CliRunner().invoke(root, ["cli", "log", "st", "-d", str(tmp_path), "-p", B, "--json"])
    assert [each["pk"] for each in json.loads(one.stdout)["output"]] == [B]
    compared = CliRunner().invoke(root, ["cli", "log", "tp", "-d", str(tmp_path), "--json"])
    assert [(row["line"], row["state"]) for row in json.loads(compared.stdout)["output"]] == [
        ("2026-06-11 id3,0,6,x", "idle"),
        ("2026-06-11 id2,7,8,x", "inconsistent"),
        ("2026-06-11 id2,5,6,x", "inconsistent"),
        ("2026-06-11 id1,200,100,x", "verified"),
        ("2026-06-11 id1,100,200,x", "verified"),
    ]
    text = CliRunner().invoke(root, ["cli", "log", "tp", "-d", str(tmp_path)]).stdout
    assert text.splitlines()[0] == "date tp_id,recv,sent,time_stamp"
