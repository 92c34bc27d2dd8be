import pytest

from skywire.metrics import Registry


def test_counters_and_gauges_are_written_as_prometheus_reads_them() -> None:
    registry = Registry()
    registry.counter("posts_total", "Posts\nby result.", result="ok").add()
    registry.counter("posts_total", "Posts\nby result.", result="ok").add(2)
    registry.counter("posts_total", "Posts\nby result.", result='"\\\n').add()
    registry.gauge("entries", "Entries.", lambda: 0.5)
    registry.gauge("limit", "Limit.", lambda: float("inf"), b="2", a="1")
    registry.gauge("low", "Low.", lambda: float("-inf"))
    registry.gauge("none", "None.", lambda: float("nan"))
    assert registry.text() == (
        "# HELP posts_total Posts\\nby result.\n"
        "# TYPE posts_total counter\n"
        'posts_total{result="ok"} 3\n'
        'posts_total{result="\\"\\\\\\n"} 1\n'
        "# HELP entries Entries.\n"
        "# TYPE entries gauge\n"
        "entries 0.5\n"
        "# HELP limit Limit.\n"
        "# TYPE limit gauge\n"
        'limit{a="1",b="2"} +Inf\n'
        "# HELP low Low.\n"
        "# TYPE low gauge\n"
        "low -Inf\n"
        "# HELP none None.\n"
        "# TYPE none gauge\n"
        "none NaN\n"
    )


def test_a_name_has_one_type() -> None:
    registry = Registry()
    registry.counter("posts_total", "Posts.")
    with pytest.raises(ValueError, match="posts_total is a counter, not a gauge"):
        registry.gauge("posts_total", "Posts.", lambda: 1)


def test_registries_are_apart() -> None:
    Registry().counter("posts_total", "Posts.").add()
    assert Registry().text() == ""
