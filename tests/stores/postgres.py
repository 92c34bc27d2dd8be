"""A PostgreSQL of our own, on a socket in a temporary directory and a loopback port."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_LIMIT = 60.0  # seconds for initdb, and for the server to answer
BINARIES = Path("/usr/lib/postgresql")  # Debian's: not on the path
NOBODY = "nobody"  # PostgreSQL refuses to run as root


def find() -> Path | None:
    """Where initdb and pg_ctl of the newest version are."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).parent
    found = [path for path in BINARIES.glob("*/bin") if (path / "pg_ctl").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server that runs until the end. Skips, or in CI fails, without PostgreSQL."""
    programs = find()
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed, and in CI nothing may be skipped")
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="skywire-pg-") as name:
        if user is not None:
            shutil.chown(name, user)
        data = f"{name}/data"

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, "-D", data, *arguments],
                check=True,
                cwd=name,
                user=user,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                timeout=START_LIMIT,
            )

        run("initdb", "-U", "skywire", "-A", "trust", "-E", "UTF8", "--no-sync")
        for attempt in range(3):  # somebody may take the free port before PostgreSQL does
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
            options = f"-c listen_addresses=127.0.0.1 -p {port} -k {name} -F -c max_connections=50"
            try:
                run("pg_ctl", "-w", "-s", "-l", f"{name}/log", "-o", options, "start")
                break
            except subprocess.CalledProcessError:
                if attempt == 2:
                    raise
        try:
            yield f"postgresql://skywire@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "-s", "stop")
