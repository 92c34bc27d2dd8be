"""How a figure is printed: one JSON object per line, always with the same keys."""

import json
import statistics
from collections.abc import Sequence
from typing import Any


def figure(
    name: str,
    runs: Sequence[float],
    unit: str,
    *,
    target: str,
    met: bool,
    calibration: dict[str, float] | None = None,
    ratio: float | None = None,
    **more: Any,
) -> None:
    """Print the median of `runs`.

    `calibration` is what the machine did in the same run, `ratio` the median of the per-round
    ratios to it; `target` says what is wanted and `met` whether it is reached.
    """
    shown = {
        "figure": name,
        "value": _short(statistics.median(runs)),
        "unit": unit,
        "ratio": None if ratio is None else _short(ratio),
        "target": target,
        "met": met,
        "calibration": {key: _short(value) for key, value in (calibration or {}).items()},
        "runs": [_short(value) for value in runs],
        **more,
    }
    print(json.dumps(shown, ensure_ascii=False), flush=True)


def ratios(values: Sequence[float], references: Sequence[float]) -> float:
    """The median of value by reference of the same round."""
    return statistics.median(
        value / reference for value, reference in zip(values, references, strict=True)
    )


def _short(number: float) -> float:
    """Four digits are more than the noise allows."""
    return float(f"{number:.4g}")
