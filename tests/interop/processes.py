"""Programs as processes: their output in a file, an end for each of them, no way out for any."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

START_LIMIT = 30.0  # seconds for a program to come up
END_LIMIT = 10.0  # seconds between SIGTERM and SIGKILL
LOOPBACK = "127.0.0.1"

_Result = TypeVar("_Result")


class Program:
    """A running program and its process group; its output goes to `log`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        executable: str | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                executable=executable,
                cwd=log.parent,
                env=env,
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def until(self, probe: Callable[[], _Result | None], what: str) -> _Result:
        """What `probe` gives once it gives something; fails when the program ends or takes long."""

        def alive() -> _Result | None:
            if not self.running:
                raise AssertionError(f"{self.log.stem} ended before {what}:\n{self._tail()}")
            return probe()

        try:
            return wait_for(alive, what)
        except TimeoutError as error:
            raise AssertionError(f"{self.log.stem}: {error}:\n{self._tail()}") from error

    def until_printed(self, pattern: str) -> "re.Match[str]":
        return self.until(lambda: re.search(pattern, self.output), f'"{pattern}"')

    def _tail(self) -> str:
        return self.output[-3000:]

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for what is left of the group. Returns the exit code."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_LIMIT)
        return self.kill()

    def kill(self) -> int:
        self.signal(signal.SIGKILL)
        return self._process.wait(END_LIMIT)


def wait_for(probe: Callable[[], _Result | None], what: str, limit: float = START_LIMIT) -> _Result:
    """The first true value of `probe`, asked again every few milliseconds. Raises TimeoutError."""
    deadline = time.monotonic() + limit
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {limit:.0f} s")
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port of loopback where nobody listens, and nobody else can."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


def environment(home: Path, refused: int) -> dict[str, str]:
    """For every program: its files below `home`, HTTP to the outside refused by port `refused`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    nowhere = f"http://{LOOPBACK}:{refused}"
    return kept | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "TERM": "xterm",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": f"{LOOPBACK},localhost",
    }


def get_json(url: str) -> Any:
    """The answer of a service on loopback; None while there is none, or an error."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as response:
            return json.load(response)
    except (OSError, ValueError):
        return None


def start_ours(
    arguments: Sequence[str], log: Path, env: Mapping[str, str]
) -> tuple[Program, dict[str, Any]]:
    """`skywire ARGUMENTS` once it is ready, and the facts it reports then."""
    reader, writer = os.pipe()
    try:
        program = Program(
            [sys.executable, "-m", "skywire", *arguments],
            log=log,
            env={**env, "SKYWIRE_READY_FD": str(writer)},
            pass_fds=(writer,),
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    with os.fdopen(reader) as pipe:
        line = pipe.readline() if select.select([pipe], [], [], START_LIMIT)[0] else ""
    if not line:
        program.kill()
        raise AssertionError(f"skywire {arguments[0]} did not come up:\n{program.output[-3000:]}")
    facts: dict[str, Any] = json.loads(line)
    return program, facts


def run_ours(
    *arguments: str, env: Mapping[str, str], limit: float = START_LIMIT
) -> "subprocess.CompletedProcess[str]":
    """`skywire ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "skywire", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
    )
