"""`import skywire`: cheap, typed, and every name is what it says."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import skywire
import skywire.testing

ROOT = Path(__file__).parents[1]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


def test_the_import_costs_nothing() -> None:
    loaded = modules_after("import skywire")
    assert {name for name in loaded if name.startswith("skywire")} == {"skywire"}
    assert not loaded & {"asyncio", "typing", "aiohttp", "msgspec", "dataclasses"}


def test_keys_and_errors_need_no_network() -> None:
    assert "asyncio" not in modules_after("import skywire\nskywire.NotFound\nskywire.errors")


def test_the_plugin_costs_nothing_where_it_is_not_used() -> None:
    loaded = modules_after("import pytest_asyncio\nimport skywire.testing.pytest_plugin")
    assert {name for name in loaded if name.startswith("skywire")} == {
        "skywire",
        "skywire.testing",
        "skywire.testing.pytest_plugin",
    }


@pytest.mark.parametrize("name", skywire.__all__)
def test_every_name_leads_somewhere(name: str) -> None:
    value = getattr(skywire, name)
    assert name in dir(skywire)
    if isinstance(value, type):
        assert value.__name__ == name


@pytest.mark.parametrize("package", ["skywire", "skywire.testing"])
def test_type_checkers_are_told_of_the_same_names(package: str) -> None:
    module = import_module(package)
    assert module.__file__ is not None
    lines = Path(module.__file__).read_text().splitlines()
    told = {line.split()[-1] for line in lines if " import " in line and " as " in line}
    assert told | {"__version__"} == {*module.__all__, "__version__"}


@pytest.mark.parametrize("package", [skywire, skywire.testing])
def test_other_names_are_refused(package: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        package.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_types_are_shipped_and_the_plugin_is_found() -> None:
    assert (ROOT / "src" / "skywire" / "py.typed").exists()
    (found,) = entry_points(group="pytest11", name="skywire")
    assert found.value == "skywire.testing.pytest_plugin"
