"""Commands that are made from declarations, and every declared one has its place in the tree."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from skywire.cli.from_operations import command_of, shown
from skywire.cli.lazy import LazyGroup
from skywire.cli.main import root
from skywire.cli.output import Facts, Table
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import LocalProtocolError
from skywire.operations import Argument, Cli, Operation, Option, operation, operations
from skywire.visor import ops_info, rpc
from skywire.wire.gob_types import BOOL, DURATION, PUBKEY, STRING, UINT16, Go, Slice
from tests.cli.fake_rpc import Function, fake_rpc

PK = deterministic_key_pair(b"one")[0]
TEST_ONLY = "TestOnly"  # begins the RPC names of what is declared here


@dataclass
class Wish:
    GO_NAME: ClassVar[str] = "Wish"
    pk: Annotated[PubKey, Go("PK", PUBKEY), Argument()] = NULL_KEY
    port: Annotated[int, Go("Port", UINT16), Option("A port.", ("-p", "--port"))] = 0
    pause: Annotated[int, Go("Pause", DURATION), Option("How long.")] = 0
    really: Annotated[bool, Go("Really", BOOL), Option("Do it.")] = False
    words: Annotated[list[str], Go("Words", Slice(STRING)), Option("Some.", required=True)] = field(
        default_factory=list
    )
    hidden: Annotated[str, Go("Hidden", STRING)] = ""


@operation(rpc=f"{TEST_ONLY}Grant", cli=Cli("test grant", "PK -p 1", done="granted"))
async def grant(visor: object, request: Wish) -> None:
    """Grant a wish.

    More about it.
    """


@operation(rpc=f"{TEST_ONLY}Count", cli="test count")
async def count(visor: object, keys: Annotated[list[PubKey], Slice(PUBKEY)]) -> int:
    """Count keys."""
    return 0


@operation(rpc=f"{TEST_ONLY}Unnamed")
async def unnamed(visor: object) -> None:
    """No command."""


def call(function: Function, answer: Any, *words: str) -> tuple[Result, Any]:
    """What the command says, and what the visor was asked."""
    with fake_rpc({function: answer}) as fake:
        arguments = [*words, "--rpc", fake.address]
        result = CliRunner().invoke(command_of(function), arguments, standalone_mode=False)
    return result, fake.asked[-1][1] if fake.asked else None


def test_fields_become_arguments_and_options() -> None:
    words = [str(PK), "--pause", "2s", "--really", "--words", "a", "--words", "b"]
    result, asked = call(grant, None, *words)
    assert result.stdout == "granted\n"
    assert asked == Wish(PK, 0, 2_000_000_000, True, ["a", "b"], "")
    result, asked = call(grant, None, str(PK), "--words", "a", "-p", "9", "--json")
    assert json.loads(result.stdout) == {"output": "OK"}
    assert asked.port == 9


@pytest.mark.parametrize(
    "words",
    [
        [],  # no key
        [str(PK)],  # no words
        ["00", "--words", "a"],
        [str(PK), "--words", "a", "-p", "65536"],
        [str(PK), "--words", "a", "--pause", "soon"],
    ],
)
def test_bad_values_are_refused_before_anybody_is_asked(words: list[str]) -> None:
    result, asked = call(grant, None, *words)
    assert isinstance(result.exception, click.UsageError)
    assert asked is None


def test_help_has_the_words_and_an_example() -> None:
    text = CliRunner().invoke(command_of(grant), ["--help"]).stdout
    assert "Grant a wish." in text
    assert "More about it." in text
    assert "Example: skywire cli test grant PK -p 1" in text


def test_a_list_is_one_argument() -> None:
    result, asked = call(count, 2, str(PK), str(PK))
    assert result.stdout == "2\n"
    assert asked == [PK, PK]
    assert "KEYS" in CliRunner().invoke(command_of(count), ["--help"]).stdout


def test_what_declares_no_command_has_none() -> None:
    with pytest.raises(LocalProtocolError, match="unnamed"):
        command_of(unnamed)
    with pytest.raises(LocalProtocolError):
        command_of(ops_info.summary)


def test_how_answers_look() -> None:
    rows = shown([{"a": 1, "b": True}, {"a": None, "b": ["x", "y"]}])
    assert isinstance(rows, Table)
    assert list(rows.rows) == [["1", "yes"], ["", "x y"]]
    assert shown([]) == "none"
    assert shown(["a", "b"]) == "a\nb"
    facts = shown({"a": {"b": 1}})
    assert isinstance(facts, Facts)
    assert list(facts.pairs) == [("a", "b=1")]
    assert shown(False) == "no"


DECLARED = [
    known for known in operations() if known.cli is not None and not known.rpc.startswith(TEST_ONLY)
]


@pytest.mark.parametrize("known", DECLARED, ids=lambda known: known.name)
def test_every_declared_command_is_in_the_tree(known: Operation) -> None:
    assert rpc.OPERATIONS  # they are declared when this module is imported
    assert known.cli is not None
    context, group = click.Context(root), root.get_command(click.Context(root), "cli")
    for word in known.cli.words.split():
        assert isinstance(group, LazyGroup)
        found = group.get_command(context, word)
        assert found is not None, f"no line in the tree for: {known.cli.words}"
        group = found
