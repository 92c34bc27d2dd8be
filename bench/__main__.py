"""Run the figures: python -m bench [NAME…], e.g. `make bench ARGS="bulk pty_echo"`.

Each `bench_<name>.py` is a process of its own, one after the other, within a time limit. One JSON
line per figure on stdout, a table on stderr; the exit code is 1 when a figure could not be taken or
--check is given and a target is missed.
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TIME_LIMIT = 120.0  # seconds for one script; each is made for 60 on a quiet machine
STOP_LIMIT = 20.0  # seconds a script that is late has to end its processes


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def run(name: str) -> list[dict[str, Any]]:
    """The figures of one script; none when it failed, which has been told."""
    with subprocess.Popen(
        [sys.executable, "-m", f"bench.bench_{name}"],
        cwd=FOLDER.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # lets it stop what it started
            try:
                process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
            print(f"{name}: not done within {TIME_LIMIT:.0f} s", file=sys.stderr)
            return []
    if process.returncode:
        print(f"{name}: failed with exit code {process.returncode}", file=sys.stderr)
        return []
    return [json.loads(line) for line in output.splitlines()]


def table(figures: list[dict[str, Any]]) -> str:
    rows = [("figure", "value", "ratio", "target", "")]
    for one in figures:
        ratio = "" if one.get("ratio") is None else f"{one['ratio']:.3g}"
        value = f"{one['value']:g} {one['unit']}"
        rows.append((one["figure"], value, ratio, one["target"], "" if one["met"] else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Skywire.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no figure {', '.join(unknown)}; expected some of {', '.join(names())}")
    figures: list[dict[str, Any]] = []
    failed = False
    for name in options.names or names():
        print(f"measuring {name} …", file=sys.stderr)
        taken = run(name)
        failed |= not taken
        for one in taken:
            print(json.dumps(one, ensure_ascii=False), flush=True)
        figures += taken
    if figures:
        print(f"\n{table(figures)}", file=sys.stderr)
    missed = any(not one["met"] for one in figures)
    return 1 if failed or (options.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
