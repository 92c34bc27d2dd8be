"""`covers.toml` names a test for every line of the specification that asks for one."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
COVERS = tomllib.loads((TESTS / "covers.toml").read_text())
VECTORS = ("apps", "dmsg", "pty", "routing", "visor")
FAULTS = (
    "frames at the session handshake",
    "frames of a stream's noise",
    "frames of yamux",
    "request and response objects",
    "gob",
    "net/rpc",
    "pty hello",
    "HTTP requests and bodies",
    "websocket frames",
    "entries and configs",
    "command lines",
    "a peer that stops reading: a stream",
    "a peer that stops reading: a session",
    "a peer that stops reading: RPC",
    "a peer that stops reading: HTTP over a stream",
    "a peer that stops reading: a websocket",
    "a program that stops reading",
    "1,000 half-open connections",
    "a clock far off",
    "discovery down at start and later",
    "dmsg server killed",
    "a full disk",
    "a read-only state directory",
    "a port in use",
    "an unauthorised key",
    "a stolen session id of another owner",
    "a websocket from a foreign origin",
)

ROUTE_FAULTS = (
    "namespaces: a NAT",
    "namespaces: loss",
    "namespaces: delay",
    "namespaces: a cut link",
    "namespaces: a moved address",
    "an intermediary killed",
    "an intermediary frozen",
    "setup node dead",
    "finder or discovery dead",
    "a clock far off",
    "replayed or forged handshakes",
    "replayed or forged settlements",
    "replayed or forged HTTP signatures",
    "10,000 rules",
    "200 set-ups at once",
    "a visor that lies about others",
    "a slow reader",
    "packets",
    "rules and descriptors",
    "datagrams",
    "services' bodies",
    "services' command lines",
)
BUILDING = (
    "KCP",
    "STUN",
    "one bad peer never ends the accept loop",
    "four types",
    "persistent transports and redial",
    "public autoconnect",
    "type preference",
    "traffic log",
    "figures with their age",
    "transport setup by trusted nodes",
    "rule expiry",
    "route groups are streams",
    "retries over others",
    "rules before the answer",
    "services over HTTP and dmsg",
    "stores",
    "leases",
    "metrics and health",
    "svc commands",
    "one network",
    "demo",
)

PEOPLE = (
    "status",
    "netcheck",
    "doctor without a visor",
    "doctor with a visor",
    "top",
    "numbers",
    "DNS dead",
    "nobody answers",
    "other programs and versions",
)

NODE = (
    "config: every field",
    "config: pty and dmsgpty",
    "config: unknown keys survive",
    "config gen",
    "config update",
    "config priv, check-pk, check, show",
    "config: path, value, what was expected",
    "config: 0600, at once, with a backup",
    "the embedded deployment",
    "modules in order",
    "one failing never stops the rest",
    "health with reason and age",
    "an orderly stop",
    "restart",
    "logs",
    "survey",
    "STUN",
    "uptime",
    "log server",
    "hypervisor links",
    "systemd",
    "operations: the reference's lists",
    "operations: both forms",
    "commands from the declarations",
    "the tree of commands",
    "old words",
    "tables that fit",
    "JSON everywhere",
    "--timeout and --rpc",
    "exit codes",
    "completion and man pages",
    "source and age of what comes from elsewhere",
    "library",
    "ten examples",
    "an embedded network, and a plug-in for pytest",
    "terminals over plain TCP",
    "help is quick",
    "Go's programs and ours",
    "references and tutorial",
)
STRAIN = (
    "a broken config file",
    "a half-written config file",
    "a foreign config file",
    "a huge config file",
    "two visors on one config",
    "RPC garbage",
    "unknown methods",
    "1,000 idle RPC connections",
    "services all down at start",
    "DNS dead",
    "disk full",
    "secrets in logs",
    "secrets in listings",
    "secrets in error texts",
)

FLEET = (
    "the HTTP API",
    "accounts",
    "sessions",
    "CSRF",
    "TLS",
    "rate limit on login",
    "audit log",
    "OpenAPI",
    "a poll for each with its own deadline",
    "late answers",
    "the last known state",
    "1,000 visors",
    "nested: tree",
    "nested: proxied RPC",
    "nested: loops",
    "nested: terminal",
    "a dead or slow node never slows the page",
    "terminal: skynet, then dmsg",
    "terminal: session list",
    "terminal: several viewers",
    "terminal: looking on",
    "terminal: the node's own and the hypervisor's",
    "hv ls --load",
    "hv group",
    "page: nodes",
    "page: node",
    "page: map",
    "page: services, audit, accounts",
    "live updates",
    "sparklines",
    "every screen of the reference",
    "every action shows its command",
    "dark and light",
    "in a browser: log in, list, filter, act on many",
    "in a browser: add a transport",
    "in a browser: follow logs",
    "in a browser: nested terminal, cut, reconnect",
    "in a browser: keyboard only",
    "in a browser: 390 pixels",
    "in a browser: axe",
    "in a browser: no console errors",
    "scripts of 400 KB",
    "a Go visor in our page",
    "our visor at a Go hypervisor",
)
STORM = (
    "XSS: names, versions, logs, errors, labels",
    "XSS: sessions, results, nodes behind",
    "XSS: words of the language",
    "XSS: terminal titles",
    "CSRF",
    "session fixation",
    "brute force",
    "path traversal",
    "oversized bodies",
    "slow-loris",
    "a visor answering garbage",
    "a visor answering 100 MB",
    "a key twice",
    "a hypervisor restart under open terminals",
)


def flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def wanted() -> set[str]:
    return {
        *(f"traps.dmsg.{number}" for number in range(1, 17)),
        *(f"traps.pty.{number}" for number in range(1, 11)),
        *(f"traps.transports.{number}" for number in range(1, 17)),
        *(f"acceptance.3085.{letter}" for letter in "abcdefghi"),
        "acceptance.3085.order",
        *(f"acceptance.3087.{letter}" for letter in "abcdefgh"),
        *(f"acceptance.3088.{letter}" for letter in "abcdefgh"),
        *(f"acceptance.3093.{letter}" for letter in "abcdefghijk"),
        *(f"acceptance.3089.{letter}" for letter in "abcdefg"),
        *(f"acceptance.3090.{letter}" for letter in "abcdefg"),
        *(f"acceptance.3092.{letter}" for letter in "abcdefg"),
        *(f"scenarios.T{number}" for number in range(1, 41)),
        *(f"faults.{fault}" for fault in FAULTS),
        *(f"routes.{fault}" for fault in ROUTE_FAULTS),
        *(f"building.{part}" for part in BUILDING),
        *(f"people.{part}" for part in PEOPLE),
        *(f"node.{part}" for part in NODE),
        *(f"strain.{part}" for part in STRAIN),
        *(f"fleet.{part}" for part in FLEET),
        *(f"storm.{part}" for part in STORM),
    }


@cache
def functions(file: Path) -> frozenset[str]:
    """The tests of a file, by its syntax tree: nothing is imported."""
    if not file.is_file():
        return frozenset()
    return frozenset(
        node.name
        for node in ast.parse(file.read_bytes()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def tables() -> dict[str, list[str]]:
    return dict(flat({name: table for name, table in COVERS.items() if name != "later"}))


def test_every_line_has_a_test_or_a_reason() -> None:
    covered, later = tables(), COVERS["later"]
    assert set(covered) | set(later) == wanted()
    assert set(covered) & set(later) == set()
    assert [line for line, tests in covered.items() if not tests] == []
    assert all(later.values())


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name in functions(TESTS / file)


def test_every_named_test_exists() -> None:
    missing = {
        line: lost
        for line, tests in tables().items()
        if (lost := [test for test in tests if not exists(test)])
    }
    assert missing == {}
    assert exists("test_covers.py::test_every_named_test_exists")
    assert not exists("test_covers.py::test_nothing")
    assert not exists("test_nothing.py::test_nothing")


def loads(call: ast.Call, names: dict[str, list[str]]) -> Iterator[str]:
    """The names a `vectors.load(…)` may be given: a text, or one part of it from a loop."""
    match call.args:
        case [ast.Constant(value=str(name))]:
            yield name
        case [
            ast.JoinedStr(
                values=[ast.Constant(value=str(begin)), ast.FormattedValue(value=ast.Name(id=loop))]
            )
        ]:
            yield from (begin + end for end in names.get(loop, ()))
        case [ast.Name(id=loop)]:
            yield from names.get(loop, ())


def texts(node: ast.AST) -> list[str]:
    return [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def loaded(file: Path) -> set[str]:
    """The vector files that a test module loads."""
    tree = ast.parse(file.read_bytes())
    constants = {
        target.id: texts(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension | ast.For) and isinstance(node.target, ast.Name):
            source = node.iter
            listed = constants.get(source.id, []) if isinstance(source, ast.Name) else texts(source)
            names.setdefault(node.target.id, []).extend(listed)
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "vectors"
        for name in loads(node, names)
    }


def test_every_vector_file_is_a_test() -> None:
    files = {
        f"{folder}/{path.stem}"
        for folder in VECTORS
        for path in (TESTS / "vectors" / folder).glob("*.json")
    }
    assert len(files) >= 29
    used = {name for path in TESTS.rglob("test_*.py") for name in loaded(path)}
    assert files - used == set()
