"""The tutorial "your first three nodes" is run as its reader runs it: all its commands, in a shell.

What is changed: each port is a free one, and the relay server stays on the loopback address.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from skywire.testing.embedded import free_port

PAGE = Path(__file__).parents[1] / "docs" / "tutorial-nodes.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
PORTS = (
    *("9090", "8081", "9082", "3435", "3436", "3437", "8123", "9000"),
    *("7771", "7772", "7773", "5501", "5502", "5503"),
)
LIMIT = 150.0  # seconds, on a busy machine; some ten on a quiet one


def script() -> tuple[str, int]:
    """The commands of the page, and the RPC port of node A."""
    text = "".join(BLOCK.findall(PAGE.read_text()))
    ports = {port: str(free_port()) for port in PORTS}
    for port, free in ports.items():
        assert re.search(rf"\b{port}\b", text), f"{port} is not on the page any more"
        text = re.sub(rf"\b{port}\b", free, text)
    relay = "skywire dmsg server config gen"
    assert relay in text
    loopback = f"--local-address 127.0.0.1:{ports['8081']} --health-address ''"
    text = text.replace(relay, f"{relay} {loopback}")
    text = text.replace("svc all", f"svc all --any-port --port conf={ports['9082']}")
    return text, int(ports["3435"])


@pytest.mark.slow
@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_tutorial(tmp_path: Path) -> None:
    text, rpc = script()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SKYWIRE_RPC": f"localhost:{rpc}",
        "HOME": str(tmp_path),
    }
    process = subprocess.Popen(
        ["bash", "-eu", "-c", text],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"not done after {LIMIT:g} s: {error.output!r}")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, printed
    keys = re.findall(r"Public key: ([0-9a-f]{66})", printed)
    assert len(keys) == 3, printed
    a, b, c = keys
    for shown in (
        rf"Public key +{a}(.*\n)+Services +healthy",  # visor info
        rf"Public key +{b}",  # and the same of B
        rf"(?m)^1 +{b} +\w+ (.*\n)2 +{c} ",  # ping --via
        r"(?m)^Linux ",  # uname on C
        "C said no",
        "INFO",  # the log of C, from its web server
    ):
        assert re.search(shown, printed), f"{shown}\n{printed}"
