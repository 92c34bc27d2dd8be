"""`skywire keys`: make and check keys. A secret key is read from stdin, never from an argument."""

import os
import sys
from getpass import getpass
from pathlib import Path

import click

from skywire.cli import output
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Conflict, Unavailable

MAX_PAIRS = 100_000
MAX_INPUT = 4096  # bytes read from stdin for a secret key


@click.command(epilog="Example: skywire keys gen -n 3")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, MAX_PAIRS),
    default=1,
    show_default=True,
    help="How many pairs.",
)
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file, readable by you only; print the public keys alone.",
)
@output.json_option(shape=[{"public_key": str, "secret_key": str}])
def gen(count: int, file: Path | None, as_json: bool) -> None:
    """Make new key pairs.

    Prints the public key and the secret key, each on a line of its own. Whoever has the secret key
    is you: keep it to yourself.
    """
    pairs = [key_pair() for _ in range(count)]
    result: list[dict[str, object]]
    if file is not None:
        _write_secret(file, "".join(f"{pk}\n{sk.hex()}\n" for pk, sk in pairs))
        result = [{"public_key": pk} for pk, _ in pairs]
        text = "\n".join(str(pk) for pk, _ in pairs)
    else:
        result = [{"public_key": pk, "secret_key": sk.hex()} for pk, sk in pairs]
        text = "\n".join(f"{pk}\n{sk.hex()}" for pk, sk in pairs)
    output.emit(result, as_json=as_json, text=text)


@click.command(epilog="Example: skywire keys pk < secret-key")
@output.json_option(shape={"public_key": str})
def pk(as_json: bool) -> None:
    """Print the public key of a secret key.

    The secret key is read from standard input, 64 hexadecimal characters: skywire keys pk < FILE
    """
    if sys.stdin.isatty():
        secret = getpass("Secret key: ", stream=sys.stderr)
    else:
        secret = sys.stdin.readline(MAX_INPUT)
    public = SecKey.parse(secret.strip()).public()
    output.emit({"public_key": public}, as_json=as_json, text=str(public))


@click.command(epilog="Example: skywire keys check PK")
@click.argument("public_key", metavar="PK")
@output.json_option(shape={"public_key": str})
def check(public_key: str, as_json: bool) -> None:
    """Check that a text is a valid public key.

    The exit code is 0 when PK is 66 hexadecimal characters that are a point of the curve.
    """
    key = PubKey.parse(public_key)
    output.emit({"public_key": key}, as_json=as_json, text=f"Valid public key: {key}")


def _write_secret(file: Path, text: str) -> None:
    """To a file that did not exist, with mode 0600 from its first moment."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict(f"{file} exists, and may hold keys in use; name another file") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(text)
    except OSError as error:
        file.unlink(missing_ok=True)  # half a key helps nobody
        raise Unavailable(f"cannot write {file}: {error.strerror}") from error
