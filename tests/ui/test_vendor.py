import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from skywire import ui

TOOL = Path(__file__).resolve().parents[2] / "tools" / "vendor.py"
VENDOR = Path(ui.__file__).parent / "vendor"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vendor_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vendored_files_are_those_of_the_lists(tool: ModuleType) -> None:
    assert VENDOR in tool.FOLDERS
    assert [tool.problems(folder) for folder in tool.FOLDERS] == [[], []]


def test_a_changed_a_missing_and_an_unknown_file_are_found(
    tool: ModuleType, tmp_path: Path
) -> None:
    vendor = shutil.copytree(VENDOR, tmp_path / "vendor")
    (vendor / "xterm" / "xterm.css").write_text("changed")
    (vendor / "addon-fit" / "addon-fit.mjs").unlink()
    (vendor / "extra.js").write_text("")
    wrong = "\n".join(tool.problems(vendor))
    assert "xterm/xterm.css: sha256 is" in wrong
    assert "addon-fit/addon-fit.mjs: missing" in wrong
    assert "extra.js: not listed" in wrong
    assert wrong.count("\n") == 2
