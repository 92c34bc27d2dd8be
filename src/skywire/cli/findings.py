"""Results of checks: how bad, what shows it, what fixes it; causes stand before what they cause."""

from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from skywire.cli.output import Table, harmless


class Verdict(Enum):
    GREEN = "GREEN"
    YELLOW = "YELLOW"  # works, and is probably not meant
    RED = "RED"  # does not work
    SKIPPED = "SKIPPED"  # cannot be checked as things are


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """`fix` is a command or what to do; `follows_from` names the checks that explain this one."""

    name: str
    verdict: Verdict
    evidence: str
    fix: str = ""
    follows_from: tuple[str, ...] = ()


CHECK = {
    "name": str,
    "verdict": str,
    "evidence": str,
    "fix": str,
    "follows_from": [str],
}  # the shape of one
REPORT = {"verdict": str, "causes": [CHECK], "checks": [CHECK]}

_BAD = (Verdict.RED, Verdict.YELLOW)
# what is first explains what comes behind it
CAUSES = (
    "config file",
    "disk",
    "file descriptors",
    "dns",
    "clock",
    "ports",
    "visor",
    "services over http",
    "dmsg servers",
    "dmsg sessions",
    "services over dmsg",
    "discovery entry",
)
_EXPLAINED = {
    "visor": ("config file", "disk", "ports"),
    "services over http": ("dns",),
    "dmsg servers": ("dns", "services over http"),
    "dmsg sessions": ("file descriptors", "clock", "services over http", "dmsg servers"),
    "services over dmsg": ("dmsg servers",),
    "discovery entry": ("clock", "services over http", "dmsg sessions"),
    "setup nodes": ("dmsg servers", "services over http"),
    "hypervisor link": ("dmsg sessions",),
    "transports": ("dmsg sessions", "services over http"),
    "parts": ("disk", "ports", "services over http", "dmsg sessions"),
    "nat": ("dns",),
    "lists": ("dns", "services over http"),
}


def worst(checks: Iterable[Check]) -> Verdict:
    found = {check.verdict for check in checks}
    return next((verdict for verdict in _BAD if verdict in found), Verdict.GREEN)


def explained(checks: Sequence[Check]) -> list[Check]:
    """The same, each with the failing checks that explain it."""
    failing = {check.name for check in checks if check.verdict is Verdict.RED}

    def why(check: Check) -> tuple[str, ...]:
        if check.verdict not in _BAD:
            return ()
        return tuple(name for name in _EXPLAINED.get(check.name, ()) if name in failing)

    return [msgspec.structs.replace(check, follows_from=why(check)) for check in checks]


def ranked(checks: Sequence[Check]) -> list[Check]:
    """What is wrong: first what nothing else explains, RED before YELLOW, causes before effects."""

    def place(check: Check) -> tuple[bool, bool, int]:
        depth = CAUSES.index(check.name) if check.name in CAUSES else len(CAUSES)
        return bool(check.follows_from), check.verdict is Verdict.YELLOW, depth

    return sorted((check for check in checks if check.verdict in _BAD), key=place)


def report(checks: Sequence[Check]) -> dict[str, object]:
    """The JSON: `causes` are ranked."""
    known = explained(checks)
    return {"verdict": worst(known).value, "causes": ranked(known), "checks": known}


def table(checks: Sequence[Check]) -> Table:
    rows = [(check.verdict.value, check.name, check.evidence) for check in checks]
    return Table(["verdict", "check", "evidence"], rows)


def causes_text(checks: Sequence[Check]) -> str:
    """For people: each cause with its evidence and what fixes it."""
    lines = []
    for number, check in enumerate(ranked(explained(checks)), 1):
        after = f" (follows from: {', '.join(check.follows_from)})" if check.follows_from else ""
        lines.append(f"{number}. {check.verdict.value} {check.name}{after}: {check.evidence}")
        if check.fix:
            lines.append(f"   fix: {check.fix}")
    return "\n".join(map(harmless, lines))
