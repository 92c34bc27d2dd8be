"""How long a command takes: `skywire --help`, and `skywire cli visor info` at a running visor.

`python -m bench.bench_cli_start`. Each call is a process of its own, from its start to its end. An
empty Python program of the same interpreter is timed between them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.bench_rpc_summary import config
from bench.figures import figure, ratios
from bench.net import child

CALLS = 15
HELP_TARGET = 150.0  # ms
INFO_TARGET = 250.0  # ms
SKYWIRE = ("-m", "skywire")
NOTHING = ("-c", "pass")


def milliseconds(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - begin) * 1000


def take(name: str, words: Sequence[str], target: float, environment: Mapping[str, str]) -> None:
    milliseconds([*SKYWIRE, *words], environment)  # byte code is written once
    bare, runs = [], []
    for _ in range(CALLS):
        bare.append(milliseconds(NOTHING, environment))
        runs.append(milliseconds([*SKYWIRE, *words], environment))
    figure(
        name,
        runs,
        "ms",
        target=f"≤ {target:g}",
        met=statistics.median(runs) <= target,
        calibration={"python_ms": statistics.median(bare)},
        ratio=ratios(runs, bare),
    )


def main() -> None:
    environment = dict(os.environ)
    take("skywire --help", ["--help"], HELP_TARGET, environment)
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        _, document = config(folder)
        with child(*SKYWIRE, "visor", "-C", document, folder=Path(folder)) as visor:
            asked = environment | {"SKYWIRE_RPC": visor.facts["rpc"]}
            take("skywire cli visor info", ["cli", "visor", "info"], INFO_TARGET, asked)


if __name__ == "__main__":
    main()
