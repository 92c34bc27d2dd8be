"""Apps that fail, hang or are not there: what the launcher says, and that it goes on."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skywire.appkit import launcher as module
from skywire.appkit import registry
from skywire.appkit.launcher import INTERNAL, Launcher, Places, new_key
from skywire.appkit.logs import AppLogs
from skywire.appkit.network import DMSG, SKYNET, Network
from skywire.appkit.pids import PidFile, is_app
from skywire.appkit.proc import Proc
from skywire.appkit.process import check_executable, own_program
from skywire.appkit.types import PROC_CONFIG, ProcConfig
from skywire.config.model import AppConfig
from skywire.errors import Conflict, InvalidValue, NotFound, SkywireError, Unavailable
from skywire.stores.app_logs import AppLogStore
from skywire.testing.wait import eventually
from tests.appkit.kit import FAR, KEY, OWN, SOON, FakeCarrier
from tests.appkit.odd_apps import Odd


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.ended: list[str] = []
        self.skynet = FakeCarrier(SKYNET)
        self.logs = AppLogs(AppLogStore(tmp_path / "logs.db"))
        self.launcher = Launcher(
            Places(OWN, tmp_path / "bin", tmp_path / "local"),
            Network(FakeCarrier(DMSG), self.skynet),
            self.logs,
            environment=os.environ,
            variables=self.variables,
            on_end=self.on_end,
        )

    async def variables(self, kind: str) -> list[str]:
        return [f"KIND={kind}"]

    async def on_end(self, proc: Proc) -> None:
        self.ended.append(proc.name)


@asynccontextmanager
async def launching(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    async with asyncio.timeout(SOON), made.logs, made.launcher:
        yield made


def odd(monkeypatch: pytest.MonkeyPatch, kind: str) -> AppConfig:
    monkeypatch.setattr(registry, "OURS", {"odd": f"tests.appkit.odd_apps:{kind}"})
    monkeypatch.setattr(Odd, "hosts", [])
    return AppConfig(name="odd", args=["app", "odd"])


@pytest.mark.parametrize(
    ("kind", "told"),
    [("Odd", "a bug of this app"), ("Refusing", "it does not like its config")],
)
async def test_an_app_inside_that_fails_is_told_and_can_be_started_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    told: str,
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with launching(tmp_path) as made:
        for times in (1, 2):
            await made.launcher.start(odd(monkeypatch, kind))
            await eventually(lambda n=times: len(made.ended) == n)  # type: ignore[misc]
            last = made.launcher.last("odd")
            assert last is not None
            assert last.error == told
            assert made.launcher.proc("odd") is None


async def test_one_that_will_not_end_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_LIMIT", 0.05)
    app = odd(monkeypatch, "Immortal")
    async with launching(tmp_path) as made:
        await made.launcher.start(app)
        await eventually(lambda: made.skynet.ports.listener(77))
        await made.launcher.stop("odd")
        assert made.skynet.ports.listener(77) is None  # nothing of it is left in the network
        with pytest.raises(SkywireError):
            await Odd.hosts[0].dial(FAR, 1)
        await made.launcher.start(app)
        Odd.hosts.append(None)  # both may end now


async def test_what_cannot_be_started_is_told_in_gos_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SERVER_WAIT", 0.01)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "plain").touch()
    (folder / "runs").symlink_to("/bin/true")
    async with launching(tmp_path) as made:
        start = made.launcher.start
        with pytest.raises(NotFound, match=r"^fork/exec /.*/bin/x: no such file or directory$"):
            await start(AppConfig(name="a", binary="x"))
        with pytest.raises(Unavailable, match="permission denied"):
            await start(AppConfig(name="a", binary="plain"))
        with pytest.raises(Unavailable, match="app server is not up"):
            await start(AppConfig(name="a", binary="runs"))
        with pytest.raises(NotFound, match='no app "a"'):
            await start(AppConfig(name="a", binary="runs"), INTERNAL)
        with pytest.raises(InvalidValue, match="no arguments, please"):
            await start(AppConfig(name="b", args=["app", *odd(monkeypatch, "Odd").args[1:], "x"]))
        with pytest.raises(Conflict):
            await made.launcher.stop("a")
        assert made.launcher.procs() == []
    check_executable(own_program()[0])


async def test_a_process_gets_all_that_go_gives_it(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "skywire"
    script.write_text(
        '#!/bin/sh\nprintf "%s|%s|%s|%s|%s" "$0" "$PWD" "$KIND" "$1" "$PROC_CONFIG"\n'
    )
    script.chmod(0o755)
    async with launching(tmp_path) as made:
        made.launcher.serves_at("127.0.0.1:5505")
        await made.launcher.start(AppConfig(name="talker", args=["app", "talker"], port=9))
        await eventually(lambda: made.ended == ["talker"])
        line, ended = [line.text for line in made.logs._waiting if "started" not in line.text]
        assert ended.endswith("INFO [talker]: ended, error: none\n")
        _, _, printed = line.strip().partition("(STDOUT) ")
        program, place, kind, first, config = printed.split("|")
        assert (program, place) == (str(script), str(tmp_path / "local" / "talker"))
        assert (kind, first) == ("talker", "app")
        parsed = ProcConfig.parse(config)
        assert parsed.app_server_addr == "127.0.0.1:5505"
        assert (parsed.visor_pk, parsed.routing_port) == (OWN, 9)
        assert parsed.proc_envs == ["KIND=talker"]
        assert parsed.binary_loc == str(script)
        assert parsed.log_db_loc == str(tmp_path / "local" / "talker_log.db")


def test_keys_are_random_uuids() -> None:
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(key[6] >> 4 == 4 and key[8] >> 6 == 2 for key in keys)


# What an earlier run left behind


def test_only_a_process_that_is_this_app_of_this_visor_is_ended(tmp_path: Path) -> None:
    own = PidFile(tmp_path / "pids", OWN)
    own.add("x", os.getpid())
    PidFile(tmp_path / "pids", OWN).kill_all()  # we are still here
    assert (tmp_path / "pids").read_text() == ""
    assert not is_app(os.getpid(), "x", OWN)
    assert not is_app(1 << 30, "x", OWN)
    (tmp_path / "pids").write_bytes(b"\xff\xfe no\n 12 34 \nx\n" + b"y 5" * 1000)
    PidFile(tmp_path / "pids", OWN).kill_all()


async def test_a_process_says_by_its_environment_which_app_it_is(tmp_path: Path) -> None:
    config = ProcConfig("it", "127.0.0.1:1", KEY, visor_pk=OWN)
    process = await asyncio.create_subprocess_exec(
        "/bin/sleep", "30", env={PROC_CONFIG: config.encode()}
    )
    try:
        await eventually(lambda: is_app(process.pid, "it", OWN))
        assert not is_app(process.pid, "other", OWN)
        assert not is_app(process.pid, "it", FAR)
    finally:
        process.kill()
        await process.wait()


# The registry


def test_an_app_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.find_app("example-server-app").port == 45
    assert "example-server-app" in registry.known_apps()
    assert not registry.is_known("nobody")
    with pytest.raises(NotFound, match="known are"):
        registry.find_app("nobody")
    monkeypatch.setattr(registry, "OURS", {"x": "no.such.module:X", "y": "json:Y"})
    for name in ("x", "y"):
        with pytest.raises(InvalidValue, match="cannot be imported"):
            registry.find_app(name)
