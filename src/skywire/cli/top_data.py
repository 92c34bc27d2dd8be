"""What `skywire top` shows: the views of a snapshot, and how fast it changes since the last one."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from skywire.cli import figures, health
from skywire.cli.findings import Verdict, worst
from skywire.cli.output import harmless
from skywire.cli.progress import size
from skywire.cli.route import group_row
from skywire.cli.snapshot import Snapshot
from skywire.visor.ops_state import RUNNING as PART_RUNS
from skywire.visor.types import ERRORED, RUNNING, STARTING, STOPPED, BuildInfo, to_json

APP_STATES = {STOPPED: "stopped", RUNNING: "running", ERRORED: "failed", STARTING: "starting"}
SHORT_KEY = 8  # characters of a key where there is little room

SHAPE = {
    "public_key": str,
    "version": str,
    "uptime_s": float,
    "verdict": str,
    "ways": [health.Way],
    "problems": [{"name": str, "verdict": str, "evidence": str, "fix": str}],
    "load": {"…": float},
    "transports": [
        {
            "id": str,
            "type": str,
            "remote_pk": str,
            "label": str,
            "latency_ms": float,
            "received": int,
            "sent": int,
            "received_per_s": float,
            "sent_per_s": float,
            "queued": int,
        }
    ],
    "route_groups": [
        {
            "consume_rule_id": int,
            "forward_rule_id": int,
            "local_port": int,
            "remote_pk": str,
            "remote_port": int,
            "initiator": bool,
            "hops": [{"tp_id": str, "from": str, "to": str, "tp_type": str}],
        }
    ],
    "apps": [{"name": str, "state": str, "port": int, "detail": str}],
    "dmsg_servers": [{"public_key": str, "round_trip_ms": float}],
    "parts": [{"name": str, "state": str, "age_s": float, "reason": str}],
}


def about(now: Snapshot, before: Snapshot | None) -> dict[str, Any]:
    """The JSON. Rates are in bytes/s, None without an earlier snapshot of the same run."""
    overview = now.overview
    problems = health.problems(now)
    return {
        "public_key": str(overview.local_pk),
        "version": (overview.build_info or BuildInfo()).version,
        "uptime_s": now.summary.uptime,
        "verdict": worst(problems).value,
        "ways": health.ways(now),
        "problems": problems,
        "load": {} if now.summary.load is None else to_json(now.summary.load),
        "transports": _transports(now, before),
        "route_groups": [group_row(overview.local_pk, one) for one in now.groups],
        "apps": [
            {
                "name": app.app_config.name,
                "state": APP_STATES.get(app.status, str(app.status)),
                "port": app.app_config.port,
                "detail": app.detailed_status,
            }
            for app in overview.apps
        ],
        "dmsg_servers": [
            {"public_key": key, "round_trip_ms": trip or None}
            for key, trip in now.dmsg_servers.items()
        ],
        "parts": [
            {"name": part.name, "state": part.state, "age_s": part.age_s, "reason": part.reason}
            for part in (now.parts or {}).values()
        ],
    }


def _transports(now: Snapshot, before: Snapshot | None) -> list[dict[str, Any]]:
    earlier = {}
    if before is not None and before.summary.uptime <= now.summary.uptime:
        earlier = {one.id: one.log for one in before.overview.transports if one.log}
    seconds = 0.0 if before is None else now.taken - before.taken
    rows = []
    for one in now.overview.transports:
        log, old = one.log, earlier.get(one.id)
        figure = (now.figures or {}).get(str(one.id))
        rows.append(
            {
                "id": str(one.id),
                "type": one.type,
                "remote_pk": str(one.remote_pk),
                "label": one.label,
                "latency_ms": one.latency_ms or None,
                "received": log.recv if log else None,
                "sent": log.sent if log else None,
                "received_per_s": _rate(log.recv, old.recv, seconds) if log and old else None,
                "sent_per_s": _rate(log.sent, old.sent, seconds) if log and old else None,
                "queued": figure.queued if figure else None,
            }
        )
    return rows


def _rate(now: int, before: int, seconds: float) -> float | None:
    """None when the count began anew."""
    return (now - before) / seconds if seconds > 0 and now >= before else None


# Views


class Cell(NamedTuple):
    """`value` is what is sorted by; cells of a column have values of one type, or None."""

    value: Any
    text: str


class View(NamedTuple):
    """`sort`: the column that is sorted by at first, from its greatest value if `falling`."""

    name: str
    columns: Sequence[str]
    rows: list[list[Cell]]
    sort: int = 0
    falling: bool = False

    def sorted(self, column: int, *, falling: bool) -> list[list[Cell]]:
        """Cells that have no value come last in either direction."""
        known = [row for row in self.rows if row[column].value is not None]
        unknown = [row for row in self.rows if row[column].value is None]
        return sorted(known, key=lambda row: row[column].value, reverse=falling) + unknown


NAMES = ("transports", "routes", "apps", "dmsg", "health")


def views(found: dict[str, Any], *, short: bool) -> list[View]:
    """In the order of NAMES. `short`: keys are cut to their beginning."""
    key = _short if short else _whole
    return [
        View(
            "transports",
            ["type", "remote", "in/s", "out/s", "latency", "in", "out", "label"],
            [
                [
                    _text(one["type"]),
                    key(one["remote_pk"]),
                    _cell(one["received_per_s"], figures.rate),
                    _cell(one["sent_per_s"], figures.rate),
                    _cell(one["latency_ms"], figures.milliseconds),
                    _cell(one["received"], size),
                    _cell(one["sent"], size),
                    _text(one["label"]),
                ]
                for one in found["transports"]
            ],
            sort=2,
            falling=True,
        ),
        View(
            "routes",
            ["remote", "port", "local port", "hops", "begun", "first"],
            [
                [
                    key(one["remote_pk"]),
                    Cell(one["remote_port"], str(one["remote_port"])),
                    Cell(one["local_port"], str(one["local_port"])),
                    _cell(len(one["hops"]) or None, str),
                    _text("here" if one["initiator"] else "there"),
                    _text(one["hops"][0]["tp_type"] if one["hops"] else ""),
                ]
                for one in found["route_groups"]
            ],
        ),
        View(
            "apps",
            ["app", "state", "port", "detail"],
            [
                [
                    _text(one["name"]),
                    _text(one["state"]),
                    Cell(one["port"], str(one["port"])),
                    _text(one["detail"]),
                ]
                for one in found["apps"]
            ],
        ),
        View(
            "dmsg",
            ["server", "round trip"],
            [
                [key(one["public_key"]), _cell(one["round_trip_ms"], figures.milliseconds)]
                for one in found["dmsg_servers"]
            ],
            sort=1,
        ),
        View("health", ["part", "state", "for", "reason"], _health(found)),
    ]


def _health(found: dict[str, Any]) -> list[list[Cell]]:
    """Parts that do not run stand before those that do."""
    return [
        [
            Cell((one["state"] == PART_RUNS, one["name"]), harmless(one["name"])),
            _text(one["state"]),
            Cell(one["age_s"], figures.age(one["age_s"])),
            _text(one["reason"]),
        ]
        for one in found["parts"]
    ]


def _text(text: str) -> Cell:
    return Cell(text or None, harmless(text) or "-")


def _short(key: str) -> Cell:
    return Cell(key, f"{key[:SHORT_KEY]}…")


def _whole(key: str) -> Cell:
    return Cell(key, key)


def _cell(value: Any, show: Any) -> Cell:
    return Cell(value, "-" if value is None else show(value))


def headline(found: dict[str, Any], *, short: bool) -> list[str]:
    """Three lines: who, how it is reached and how busy it is, what is wrong."""
    key = found["public_key"]
    who = f"{key[: 2 * SHORT_KEY]}…" if short else key
    ways = ", ".join(way.name for way in found["ways"] if way.reachable) or "nothing"
    load = found["load"]
    busy = ""
    if load:
        busy = "   load " + " ".join(
            figures.number(load[name]) for name in ("load1", "load5", "load15")
        )
        busy += f"   memory {figures.percent(load['mem_used_percent'])}"
        busy += f"   disk {figures.percent(load['disk_used_percent'])}"
    return [
        f"{who}   {found['version']}   up {figures.age(found['uptime_s'])}",
        f"reachable by {ways}{busy}",
        harmless(_wrong(found["problems"])),
    ]


def _wrong(problems: Iterable[Any]) -> str:
    listed = sorted(problems, key=lambda check: check.verdict is not Verdict.RED)
    if not listed:
        return "Nothing is wrong."
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return f"{listed[0].verdict.value} {listed[0].name}: {listed[0].evidence}{more}"
