"""Loads the golden vectors recorded from the Go reference (`tests/vectors`)."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3] / "tests" / "vectors"


def load(name: str) -> list[dict[str, Any]]:
    """The cases of `tests/vectors/<name>.json`, e.g. `load("dmsg/keys")`."""
    document = json.loads((ROOT / f"{name}.json").read_text())
    cases = document["cases"]
    assert isinstance(cases, list), f"{name}: no cases"
    return cases
