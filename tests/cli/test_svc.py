"""`skywire svc …` as processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from skywire.crypto.generate import key_pair

PK = key_pair()[0].hex()
COMMAND = [sys.executable, "-m", "skywire", "svc"]
LIMIT = 30  # seconds
LOGGED = re.compile(r"\d{4}-\d\d-\d\dT")


@contextmanager
def started(*arguments: str, folder: Path, **environment: str) -> Iterator[dict[str, Any]]:
    """What the running service reports; afterwards it ends in order."""
    reading, writing = os.pipe()
    environment["SKYWIRE_READY_FD"] = str(writing)
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | environment,
        pass_fds=[writing],
        stderr=subprocess.PIPE,
    ) as service:
        os.close(writing)
        try:
            with open(reading) as pipe:
                line = pipe.readline()
            assert line, service.stderr and service.stderr.read()
            yield json.loads(line)
        finally:
            service.send_signal(signal.SIGTERM)
            _, errors = service.communicate(timeout=LIMIT)
        assert (service.returncode, b"Traceback" in errors) == (0, False)


def failed(*arguments: str, folder: Path) -> str:
    """The last line on stderr of a command that must not start: the only one besides the log."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=LIMIT
    )
    assert (done.returncode != 0, "Traceback" in done.stderr) == (True, False)
    (line,) = [line for line in done.stderr.splitlines() if not LOGGED.match(line)]
    return line


def get(url: str) -> Any:
    with urlopen(url, timeout=LIMIT) as response:
        return json.load(response)


@pytest.mark.parametrize(
    ("name", "path", "answer"),
    [
        ("tpd", "/all-transports", None),
        ("ar", "/transports", {}),
        ("sd", "/api/services?type=vpn", None),
        ("ut", "/uptimes", []),
    ],
)
def test_a_service_answers_and_keeps_a_file(
    name: str, path: str, answer: object, tmp_path: Path
) -> None:
    private = ["-p", "127.0.0.1:0"] if name == "ut" else []
    with started(name, "-a", "127.0.0.1:0", *private, folder=tmp_path) as facts:
        url = f"http://{facts['address']}"
        assert get(url + path) == answer
        assert "dmsg_address" not in get(f"{url}/health")
    assert len(list(tmp_path.glob("*.db"))) == 1


def test_with_a_key_it_is_on_dmsg_too(tmp_path: Path) -> None:
    pk, sk = key_pair()
    dmsg = ["--dmsg-disc", "http://127.0.0.1:1", "--store", "sqlite::memory:"]
    with started("tpd", "-a", "127.0.0.1:0", *dmsg, folder=tmp_path, TPD_SK=sk.hex()) as facts:
        assert facts["public_key"] == str(pk)
        assert get(f"http://{facts['address']}/health")["dmsg_address"] == f"{pk}:80"


def test_the_config_bootstrapper_takes_lists_and_a_domain(tmp_path: Path) -> None:
    (tmp_path / "lists.json").write_text('{"stun_servers": ["192.0.2.1:3478"], "more": 1}')
    arguments = ["conf", "-a", "127.0.0.1:0", "-d", "example.org", "-c", "lists.json"]
    with started(*arguments, folder=tmp_path) as facts:
        told = get(f"http://{facts['address']}/")
    assert told["transport_discovery"] == "http://tpd.example.org"
    assert told["stun_servers"] == ["192.0.2.1:3478"]
    assert "route_setup_nodes" not in told


def test_the_map_is_there_before_its_sources(tmp_path: Path) -> None:
    arguments = ["nv", "-a", "127.0.0.1:0", "--tpd", "http://127.0.0.1:1"]
    with started(*arguments, folder=tmp_path) as facts:
        assert get(f"http://{facts['address']}/map") == {"nodes": {}, "edges": []}


def test_all_services_share_one_process_and_one_file(tmp_path: Path) -> None:
    arguments = ["all", "--host", "127.0.0.1", "--any-port", "--lease", "0", "--allow-loopback"]
    with started(*arguments, folder=tmp_path) as facts:
        assert set(facts["urls"]) == {
            "tpd",
            "rf",
            "ar",
            "sd",
            "ut",
            "ut-private",
            "conf",
            "nv",
        }
        for url in facts["urls"].values():
            get(f"{url}/health")
        assert get(facts["urls"]["conf"])["route_finder"] == facts["urls"]["rf"]
    assert [path.name for path in tmp_path.glob("*.db")] == ["services.db"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tpd", "--lease", "x"], "--lease"),
        (["tpd", "--lease", "-1s"], "expected a duration"),
        (["tpd", "--store", "nowhere"], '"nowhere" names no store'),
        (["tpd", "--addr", "x"], "--addr"),
        (["sd", "--store", "redis://127.0.0.1:1"], "127.0.0.1:1"),
        (["ar", "--whitelist-keys", "x"], "invalid public key"),
        (["conf", "-c", "none.json"], "none.json"),
        (["nv"], "--tpd"),
        (["all", "-p", "xx=1"], "expected NAME=PORT"),
        (["all", "-p", "tpd=99999"], "expected NAME=PORT"),
        (["all", "--host", "a b"], "--host"),
        (["all", "--stun", "nonsense:x"], "STUN"),
        (["nv", "--tpd", "nonsense"], "--tpd"),
        (["nv", "--tpd", "http://[::1"], "--tpd"),
        (["nv", "--tpd", "http://h", "--ut", "ftp://h"], "--ut"),
        (["sd", "--geo-url", "http://"], "--geo-url"),
        (["conf", "-d", "no domain"], "--domain"),
        (["rf", "--store", "postgresql://127.0.0.1:1/x"], "127.0.0.1:1"),
        (["tps", "list", "-1", PK, "-z", "nonsense"], "--addr"),
        (["tps", "list", "-1", PK, "-z", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (["tps", "add", "-1", "zz", "-2", PK, "-t", "dmsg"], "invalid public key"),
        (["sn", "none.json"], "none.json"),
        (["tps", "-c", "none.json"], "none.json"),
    ],
)
def test_bad_options_are_named(arguments: list[str], text: str, tmp_path: Path) -> None:
    assert text in failed(*arguments, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    (tmp_path / "lists.json").write_text('{"stun_servers": 7}')
    assert "lists.json" in failed("conf", "-c", "lists.json", folder=tmp_path)
