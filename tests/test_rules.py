"""House rules about the source, by its syntax tree: secrets, tasks, comparisons, deadlines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "skywire"
SECRET = re.compile(
    r"(^|_)(sk|secret|secrets|password|passphrase|passcode|token|cookie|salt|ephemeral)$"
)
PROOF = re.compile(r"(^|_)(digest|mac|hmac|signature|passphrase|password|passcode|token|tag|hash)$")
LOGGERS = {"debug", "info", "warning", "error", "exception", "log"}
# values that are public although their name says what they are compared with
PUBLIC = {
    "wire/dmsg.py": "an object's hash is no secret, it is on the wire",
    "wire/noise.py": "tokens of the pattern language",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_bytes())


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def told(call: ast.Call) -> Iterator[ast.AST]:
    """What a call shows of its arguments: names and f-string parts, not what functions make."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(argument, ast.JoinedStr):
            yield from (
                part.value for part in argument.values if isinstance(part, ast.FormattedValue)
            )
        else:
            yield argument


def shows_a_secret(tree: ast.AST) -> list[str]:
    """Log calls and raised errors that are given a value with a secret's name."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        raised = last_name(node.func).endswith(
            ("Error", "Failed", "Refused", "Value", "Unavailable")
        )
        logged = (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in LOGGERS
            and last_name(node.func.value) in ("log", "logger", "logging")
        )
        if raised or logged:
            found += [
                f"line {node.lineno}: {last_name(part)}"
                for part in told(node)
                if SECRET.search(last_name(part).strip("_"))
            ]
    return found


# names that sound like secrets there and are none
HARMLESS = {"wire/noise.py": "tokens of the pattern language"}


def test_no_log_line_and_no_error_is_given_a_secret() -> None:
    found = {name: lines for name, tree in modules() if (lines := shows_a_secret(tree))}
    assert {name: lines for name, lines in found.items() if name not in HARMLESS} == {}


@pytest.mark.parametrize(
    "code", ["log.info('x=%s', self._sk)", "raise InvalidValue(f'bad {password}')"]
)
def test_a_shown_secret_would_be_found(code: str) -> None:
    assert shows_a_secret(ast.parse(code))


def compares_a_proof(tree: ast.AST) -> list[str]:
    """`==` between two values of which one is a proof: use `hmac.compare_digest`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, node.comparators[0]]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            found += [
                f"line {node.lineno}: {last_name(side)}"
                for side in sides
                if PROOF.search(last_name(side).strip("_"))
            ]
    return found


def test_proofs_are_compared_in_constant_time() -> None:
    found = {name: lines for name, tree in modules() if (lines := compares_a_proof(tree))}
    assert {name: lines for name, lines in found.items() if name not in PUBLIC} == {}
    assert compares_a_proof(ast.parse("if given == self._passphrase: pass"))


def unowned(tree: ast.AST) -> list[int]:
    """Tasks that nobody owns: only `streams/supervise.py` and task groups make some."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (last_name(node.func) == "create_task" and _is_loop(node.func))
            or (last_name(node.func) == "ensure_future")
            or (last_name(node.func) == "run_coroutine_threadsafe")
        )
    ]


def _is_loop(function: ast.AST) -> bool:
    owner = function.value if isinstance(function, ast.Attribute) else function
    if isinstance(owner, ast.Call):
        return last_name(owner.func) in ("get_running_loop", "get_event_loop")
    return last_name(owner).strip("_") in ("asyncio", "loop")


def test_every_task_has_an_owner() -> None:
    found = {name: lines for name, tree in modules() if (lines := unowned(tree))}
    shipped = {name for name in found if not name.startswith("testing/")}
    assert shipped <= {"streams/supervise.py"}, found
    assert unowned(ast.parse("asyncio.get_running_loop().create_task(work)"))


def test_nothing_waits_without_end_for_a_silent_peer_at_the_start_of_a_connection() -> None:
    """Dials and look-ups stand inside `asyncio.timeout`, in their function or their caller's."""
    names = {"dial_tcp", "dial_unix", "create_connection", "create_unix_connection"}
    # these say "the caller sets the deadline"; their callers are checked like all others
    passing_on = {"streams/tcp.py", "streams/unix.py", "streams/socks5.py"}
    # here `serve_socks` gives the dial its deadline
    passing_on.add("cli/dmsg_web.py")
    bare = [
        f"{name}:{call.lineno}"
        for name, tree in modules()
        if name not in passing_on
        for call in _awaited_outside_timeout(tree, names)
    ]
    assert bare == []
    alone = ast.parse("async def f():\n    await dial_tcp(host, port)")
    assert list(_awaited_outside_timeout(alone, names))


def _awaited_outside_timeout(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    def visit(node: ast.AST, bounded: bool) -> Iterator[ast.Call]:
        if isinstance(node, ast.AsyncWith):
            bounded = bounded or any(
                isinstance(item.context_expr, ast.Call)
                and last_name(item.context_expr.func) == "timeout"
                for item in node.items
            )
        if isinstance(node, ast.AsyncFunctionDef):
            bounded = False
        if isinstance(node, ast.Call) and last_name(node.func) in names and not bounded:
            yield node
        for child in ast.iter_child_nodes(node):
            yield from visit(child, bounded)

    yield from visit(tree, False)
