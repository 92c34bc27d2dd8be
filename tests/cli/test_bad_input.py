"""Every command with bad input: one clear line on stderr, an exit code, never a traceback.

The real program, with no node, no discovery and no file where the arguments point.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skywire.crypto.generate import deterministic_key_pair

PK, SK, _SEED = deterministic_key_pair(b"bad input")
LIMIT = 60  # seconds; a command that asks a discovery tries three times
USAGE, FAILURE = 2, 1


def run(folder: Path, *arguments: str, given: str = "") -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "skywire", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=LIMIT,
        input=given,
    )
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """Bound and not listened on: nobody else gets it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "garbage.json").write_text("garbage")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "noise.json").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "sk.json").write_text('{"sk": "zz", "secret_key": "zz"}')
    return tmp_path


KEYS = [
    ("keys", "check", "zz"),
    ("dmsg", "ping", "zz"),
    ("dmsg", "curl", "dmsg://zz:80/"),
    ("dmsg", "ip", "--srv", "zz"),
    ("dmsg", "http", "-w", "zz"),
    ("dmsg", "socks", "client", "-k", "zz"),
    ("dmsg", "socks", "server", "-w", "zz"),
    ("dmsg", "web", "-t", "zz"),
    ("dmsg", "disc", "--official-servers", "zz"),
    ("cli", "pty", "start", "zz"),
    ("cli", "pty", "exec", "zz", "true"),
    ("cli", "pty", "whitelist-add", "zz"),
    ("cli", "pty", "whitelist-remove", "02" + "ff" * 32),
    ("visor", "-C", f'{{"sk": "{SK.hex()}"}}', "-j", "zz"),
]


@pytest.mark.parametrize("arguments", KEYS, ids=" ".join)
def test_a_wrong_key(folder: Path, arguments: tuple[str, ...]) -> None:
    code, error = run(folder, *arguments)
    assert code == USAGE
    assert "key" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "pk"),
        ("dmsg", "ip", "-s", "5ec3e7"),
        ("dmsg", "disc", "--sk", "5ec3e7"),
        ("cli", "pty", "start", str(PK), "--sk", "5ec3e7"),
        ("visor", "-C", '{"sk": "5ec3e7"}'),
    ],
    ids=" ".join,
)
def test_a_wrong_secret_key_is_not_shown(folder: Path, arguments: tuple[str, ...]) -> None:
    code, error = run(folder, *arguments, given="5ec3e7\n")
    assert code == USAGE
    assert "secret key" in error
    assert "5ec3e7" not in error


@pytest.mark.parametrize(
    "url", ["ftp://x", "nonsense", "http://[::1", "http://a..b/", "http://x:99999"]
)
@pytest.mark.parametrize("command", [("dmsg", "ip"), ("dmsg", "ping", str(PK))], ids=" ".join)
def test_a_wrong_discovery(folder: Path, command: tuple[str, ...], url: str) -> None:
    code, error = run(folder, *command, "--dmsg-disc", url)
    assert (code, "no discovery URL" in error) == (USAGE, True)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "dmsg://", "x", f"dmsg://{PK}:0/", f"dmsg://{PK}:99999/"]
)
def test_a_wrong_url(folder: Path, url: str) -> None:
    code, error = run(folder, "dmsg", "curl", url)
    assert code == USAGE
    assert url.removeprefix("dmsg://").removesuffix("/") in error


@pytest.mark.parametrize(
    "command",
    [
        ("dmsg", "ip"),
        ("dmsg", "ping", str(PK)),
        ("dmsg", "curl", f"dmsg://{PK}/"),
        ("cli", "pty", "exec", str(PK), "true"),
        ("cli", "pty", "start", str(PK)),
    ],
    ids=" ".join,
)
def test_a_discovery_nobody_answers_for(
    folder: Path, command: tuple[str, ...], closed_port: int
) -> None:
    at = 3 if command[:2] == ("cli", "pty") else len(command)
    options = ("--dmsg-disc", f"http://127.0.0.1:{closed_port}")
    code, error = run(folder, *command[:at], *options, *command[at:])
    assert code == FAILURE
    assert f"127.0.0.1:{closed_port}" in error


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (("cli", "pty", "list", "--rpc", "127.0.0.1:{port}"), "127.0.0.1:{port}"),
        (("cli", "pty", "list", "--rpc", "a..b:1"), "--rpc"),
        (("cli", "pty", "whitelist", "-r", "{folder}/none"), "{folder}/none"),
        (("cli", "pty", "whitelist", "-r", "{folder}/garbage.json"), "{folder}/garbage.json"),
        (("cli", "pty", "exec", "-r", "{folder}/none", str(PK), "true"), "{folder}/none"),
        (("cli", "pty", "start", "-r", "{folder}/none", str(PK)), "{folder}/none"),
        (("demo", "break", "--what", "node", "--state-dir", "{folder}"), "{folder}"),
        (("demo", "break"), "--what"),
        (("demo", "break", "--what", "everything"), "everything"),
        (("demo", "--state-dir", "{folder}/garbage.json"), "{folder}/garbage.json"),
        (("demo", "--hypervisor-port", "99999"), "99999"),
        (("dmsg", "disc", "-a", "nowhere"), "--addr"),
        (("dmsg", "disc", "-a", "a..b:80"), "--addr"),
        (("dmsg", "disc", "--entry-timeout", "soon"), "--entry-timeout"),
        (("dmsg", "disc", "--store", "redis://127.0.0.1:{port}"), "127.0.0.1:{port}"),
        (("dmsg", "http", "-d", "{folder}/none"), "{folder}/none"),
        (("dmsg", "curl", "-s", "@{folder}/none", f"dmsg://{PK}/"), "{folder}/none"),
        (("keys", "gen", "-o", "{folder}/none/keys"), "{folder}/none/keys"),
        (("keys", "gen", "-n", "many"), "many"),
        (("doc", "everything"), "everything"),
        (("nonsense",), "nonsense"),
        (("dmsg", "nonsense"), "nonsense"),
        (("dmsg", "ip", "--nonsense"), "--nonsense"),
        (("dmsg", "server", "config", "gen", "-o", "{folder}/none/c.json"), "{folder}/none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_named(
    folder: Path, command: tuple[str, ...], place: str, closed_port: int
) -> None:
    facts = {"folder": folder, "port": closed_port}
    code, error = run(folder, *(word.format(**facts) for word in command))
    assert code in (USAGE, FAILURE)
    assert place.format(**facts) in error


@pytest.mark.parametrize("command", [("visor", "-c"), ("dmsg", "server", "start")], ids=" ".join)
@pytest.mark.parametrize("name", ["none", "garbage", "list", "noise", "deep", "sk", "."])
def test_a_config_that_is_none(folder: Path, command: tuple[str, ...], name: str) -> None:
    file = str(folder) if name == "." else str(folder / f"{name}.json")
    code, error = run(folder, *command, file)
    assert code == USAGE
    assert file in error
