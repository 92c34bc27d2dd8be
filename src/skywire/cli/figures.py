"""Numbers for people: three significant digits and a unit. JSON keeps what was measured."""

from collections.abc import Callable

from skywire.cli.progress import size

_UNKNOWN = "-"


def number(value: float) -> str:
    """At most three significant digits, and no exponent: 0.892, 3.22, 45.7, 1234."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    digits = 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits if abs(value) < 10 or digits == 3 else 1}f}"
    return text.rstrip("0").rstrip(".")


def rate(per_second: float) -> str:
    return f"{size(per_second)}/s"


def age(seconds: float) -> str:
    """The two largest units: "45 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"."""
    if seconds < 1:
        return f"{number(max(0.0, seconds))} s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def percent(value: float) -> str:
    return f"{number(value)} %"


_Show = Callable[[float], str]
# end of a key → its unit; a measured 0 of these means that nothing was measured
_MEASURED: tuple[tuple[str, _Show], ...] = (
    ("_ms", milliseconds),
    ("_s", age),
    ("_percent", percent),
    ("bandwidth", rate),
)
_COUNTED: dict[str, _Show] = {"queued": size}


_UNITS: dict[str, _Show] = {
    "ns": lambda value: milliseconds(value / 1e6),
    "ms": milliseconds,
    "s": age,
    "B/s": rate,
    "B": size,
}  # that a class names for a key whose end tells nothing


def shown(key: str, value: float, unit: str = "") -> str:
    """A number as the value of `key`, whose end tells the unit unless `unit` does."""
    if unit:
        return _UNITS[unit](value) if value or unit == "B" else _UNKNOWN
    if key in _COUNTED:
        return _COUNTED[key](value)
    for end, show in _MEASURED:
        if key.endswith(end):
            return show(value) if value else _UNKNOWN
    return number(value) if isinstance(value, float) else str(value)


def heading(key: str) -> str:
    """A column's name: without the unit, which the cells have."""
    for end, _ in _MEASURED:
        if end.startswith("_") and key.endswith(end):
            return key.removesuffix(end)
    return key
