"""The house rules that no tool checks: size, words, paths, secrets, pins."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 600
SECRET_NAMES = re.compile(r"\.(pem|key|db|sqlite3?|log)$|(^|/)(password|\.env)$")
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:work|root|farm)/")
REGISTRY = re.compile(
    rb"--(?:extra-)?index-url|files\.pythonhosted\.org|registry\.npmjs\.org|pypi\.org/simple"
    rb'|"resolved": *"http|deb\.debian\.org'
)
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")


def tracked(*patterns: str) -> list[Path]:
    """Files git knows, and new ones it does not ignore, so that a mistake shows before a commit."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_file_is_longer_than_a_reader_likes() -> None:
    sources = [
        path
        for path in tracked("src/*.py", "src/*.js", "src/*.css", "tests/*.py", "bench/*.py")
        if "vendor" not in path.parts
    ]
    assert len(sources) > 50
    long = [path for path in sources if path.read_bytes().count(b"\n") > MAX_LINES]
    assert named(long) == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path
        for path in tracked("src/*.py", "bench/*.py", "tools/*.py")
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert named(silent) == []


@pytest.mark.parametrize(
    "pattern", [MACHINE_PATH, REGISTRY, PRIVATE_KEY], ids=["path", "registry", "key"]
)
def test_no_file_names_this_machine_a_registry_or_a_private_key(pattern: re.Pattern[bytes]) -> None:
    here = Path(__file__)
    found = [
        path
        for path in tracked()
        if path != here and "vendor" not in path.parts and pattern.search(path.read_bytes())
    ]
    assert named(found) == []


def test_no_secret_and_no_product_of_a_run_is_tracked() -> None:
    assert [name for name in named(tracked()) if SECRET_NAMES.search(name)] == []
    built = re.compile(r"(^|/)(\.venv|__pycache__|node_modules|build|dist)/|\.py[co]$|\.egg-info/")
    assert [name for name in named(tracked()) if built.search(name)] == []


def test_every_dependency_is_pinned_by_name_and_version_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)
    ] == []
    pinned = {normal(line.partition("==")[0]) for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    names = {normal(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in wanted}
    assert names - pinned - {"pyskywire"} == set()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_layers_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
