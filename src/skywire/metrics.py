"""Counters and gauges in Prometheus' text format. A registry is made where the program starts."""

import math
from collections.abc import Callable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> None:
        self.value += amount


class Registry:
    """Named metrics, each with optional labels; the same name and labels give the same one."""

    def __init__(self) -> None:
        self._help: dict[str, tuple[str, str]] = {}  # name -> type, help
        self._series: dict[str, dict[str, Counter | Callable[[], float]]] = {}

    def counter(self, name: str, help: str, **labels: str) -> Counter:
        """`name` ends in _total by convention."""
        series = self._declare(name, "counter", help)
        counter = series.setdefault(_labels(labels), Counter())
        assert isinstance(counter, Counter)  # noqa: S101 - _declare checked the type
        return counter

    def gauge(self, name: str, help: str, read: Callable[[], float], **labels: str) -> None:
        """`read` is called whenever the metrics are asked for."""
        self._declare(name, "gauge", help)[_labels(labels)] = read

    def _declare(self, name: str, kind: str, help: str) -> dict[str, Counter | Callable[[], float]]:
        declared, _ = self._help.setdefault(name, (kind, help))
        if declared != kind:
            raise ValueError(f"metric {name} is a {declared}, not a {kind}")
        return self._series.setdefault(name, {})

    def text(self) -> str:
        lines = []
        for name, series in self._series.items():
            kind, help = self._help[name]
            lines += [f"# HELP {name} {_escape(help)}", f"# TYPE {name} {kind}"]
            for labels, metric in series.items():
                value = metric.value if isinstance(metric, Counter) else metric()
                lines.append(f"{name}{labels} {_number(value)}")
        return "".join(line + "\n" for line in lines)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _labels(labels: dict[str, str]) -> str:
    pairs = (f'{key}="{_quoted(value)}"' for key, value in sorted(labels.items()))
    return f"{{{','.join(pairs)}}}" if labels else ""


def _quoted(value: str) -> str:
    return _escape(value).replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else f"{value:.17g}"
