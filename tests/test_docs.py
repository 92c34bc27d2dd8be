"""The documentation: its reference is up to date, its links lead somewhere, its examples parse."""

import json
import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest

from skywire import log
from skywire.cli.docs import command_reference, config_reference
from skywire.cli.main import root
from skywire.config.load import ConfigFile
from skywire.crypto.generate import key_pair

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN = {"commands.md", "configuration.md", "library.md"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
JSON_BLOCK = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
MODULE = re.compile(
    r"(?<![\w./-])(?:cli|crypto|demo|dmsg|http|hypervisor|platform|pty|rpc|streams|ui|visor|wire)"
    r"/[\w/]*\.(?:py|js)\b"
)
INLINE = re.compile(r"`((?:\.venv/bin/)?skywire [^`]+)`")


def examples(text: str) -> list[str]:
    """Every `skywire …` line of a text: in shell blocks, and inside sentences."""
    lines = [
        line.strip()
        for block in SHELL_BLOCK.findall(text)
        for line in re.sub(r"\\\n", " ", block).splitlines()
    ]
    found = [line for line in lines if re.match(r"(\.venv/bin/)?skywire ", line)]
    return found + INLINE.findall(text)


EXAMPLES = [
    pytest.param(line, id=f"{path.relative_to(ROOT)}: {line}")
    for path in DOCS
    if path.name not in WRITTEN
    for line in examples(path.read_text())
]


def parse(line: str) -> None:
    """Parse the arguments of a command line and run nothing. Raises a ClickException."""
    line = re.sub(r"\$[A-Z]\b", str(key_pair()[0]), line)  # variables with keys
    arguments = shlex.split(line.split(" | ")[0].split(" > ")[0].split(" < ")[0], comments=True)
    command: click.Command | None = root
    context: click.Context | None = None
    name, *rest = arguments
    while command is not None:
        context = command.make_context(name, rest, parent=context)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *context.args]
        if not rest:
            assert command.invoke_without_command, f"{line}: which command?"
            return
        found, command, rest = command.resolve_command(context, rest)
        name = found or ""


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_parse(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(log, "setup", lambda *_: None)
    Path("my-key").write_text("{}\n{}\n".format(*(key.hex() for key in key_pair())))
    parse(line)


@pytest.mark.parametrize(
    "line",
    ["skywire nonsense", "skywire keys gen --nonsense", "skywire demo break", "skywire keys"],
)
def test_a_wrong_example_would_be_found(line: str) -> None:
    with pytest.raises((click.ClickException, click.exceptions.Exit)):
        parse(line)


CONFIGS = [
    pytest.param(block, id=f"{path.name} {index}")
    for path in DOCS
    for index, block in enumerate(JSON_BLOCK.findall(path.read_text()))
]


@pytest.mark.parametrize("text", CONFIGS)
def test_the_configurations_are_valid(text: str) -> None:
    """Each value is one that has a field: nothing in them is silently ignored."""
    key = str(key_pair()[0])
    file = ConfigFile(text.replace("02ab…", key), "documentation")
    written = json.loads(text.replace("02ab…", key))
    known = msgspec.to_builtins(file.config, enc_hook=str)
    for section, values in written.items():
        assert section in known
        if isinstance(values, dict):
            assert known[section] | values == known[section]
        else:
            assert known[section] == values


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path: Path) -> None:
    targets = [link for link in LINK.findall(path.read_text()) if "://" not in link]
    missing = [link for link in targets if not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_are_named_exist(path: Path) -> None:
    named = MODULE.findall(path.read_text())
    assert [name for name in named if not (ROOT / "src" / "skywire" / name).exists()] == []


@pytest.mark.parametrize("path", [path for path in DOCS if path.parts[-2] != ROOT.name])
def test_every_page_is_in_the_contents(path: Path) -> None:
    contents = ROOT / "docs" / "index.md"
    linked = {(contents.parent / link).resolve() for link in LINK.findall(contents.read_text())}
    assert path == contents or path in linked


@pytest.mark.parametrize(
    ("name", "text"),
    [("commands.md", command_reference(root)), ("configuration.md", config_reference())],
    ids=["commands", "configuration"],
)
def test_the_reference_is_what_make_docs_writes(name: str, text: str) -> None:
    file = ROOT / "docs" / "reference" / name
    assert file.read_text() == text, f'{name} is not up to date: "make docs"'
