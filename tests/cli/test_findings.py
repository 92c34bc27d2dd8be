"""The order of causes, and that each command which is to fix something is one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from skywire.cli import doctor, doctor_local, doctor_visor, findings, health, net_probes, netcheck
from skywire.cli.findings import Check, Verdict
from tests.test_docs import parse

MODULES = (doctor, doctor_local, doctor_visor, health, net_probes, netcheck)
VALUES = {"type": "stcpr"}  # what stands for a name in a command; else a key


def texts(tree: ast.AST) -> Iterator[str]:
    """Literal texts; in those with parts to fill in, a key stands for each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else VALUES.get(getattr(getattr(part, "value", None), "attr", ""), "$K")
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def commands() -> Iterator[str]:
    for module in MODULES:
        tree = ast.parse(Path(module.__file__ or "").read_bytes())
        for text in dict.fromkeys(texts(tree)):
            for part in text.split("; "):
                if part.startswith("skywire ") and "\n" not in part and not part.endswith(" "):
                    yield part


COMMANDS = sorted(set(commands()))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_fix_is_a_command_that_there_is(line: str) -> None:
    parse(line)


def test_all_fixes_are_found() -> None:
    assert {"skywire visor", "skywire cli config gen", "skywire netcheck"} <= set(COMMANDS)
    assert len(COMMANDS) > 12


def red(name: str) -> Check:
    return Check(name, Verdict.RED, "x", "do y")


def test_causes_stand_before_what_follows_from_them_and_red_before_yellow() -> None:
    yellow = Check("config keys", Verdict.YELLOW, "x")
    names = ["discovery entry", "dmsg sessions", "services over http", "dns", "pty socket"]
    found = findings.ranked(findings.explained([yellow, *map(red, names)]))
    assert [each.name for each in found] == [
        "dns",
        "pty socket",
        "config keys",
        "services over http",
        "dmsg sessions",
        "discovery entry",
    ]
    assert found[3].follows_from == ("dns",)


def test_only_what_fails_explains_and_only_what_is_wrong_is_explained() -> None:
    yellow, green = (Check("dns", verdict, "x") for verdict in (Verdict.YELLOW, Verdict.GREEN))
    for other in (yellow, green):
        (_, found) = findings.explained([other, red("services over http")])
        assert found.follows_from == ()
    fine = Check("services over http", Verdict.GREEN, "x")
    assert findings.explained([red("dns"), fine])[1].follows_from == ()


def test_each_name_that_explains_has_its_place() -> None:
    for names in findings._EXPLAINED.values():
        assert set(names) <= set(findings.CAUSES)


def test_the_worst() -> None:
    yellow, skipped = (Check("a", verdict, "x") for verdict in (Verdict.YELLOW, Verdict.SKIPPED))
    assert findings.worst([yellow, skipped]) is Verdict.YELLOW
    assert findings.worst([yellow, red("b")]) is Verdict.RED
    assert findings.worst([skipped]) is Verdict.GREEN
    assert findings.worst([]) is Verdict.GREEN


def test_the_words_of_others_do_not_steer_the_terminal() -> None:
    text = findings.causes_text([Check("a", Verdict.RED, "x\x1b[2J\ny", "z\x07")])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "   fix: z" in text
