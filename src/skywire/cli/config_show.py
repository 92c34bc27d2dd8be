"""`skywire cli config check|show|parse|pk|identity|priv`: read a config. Source: config.md §3."""

import re
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from skywire.cli import output
from skywire.cli.config_file import CHANGED, Target, target_options
from skywire.config.check import warnings, without_secrets
from skywire.config.document import plain
from skywire.config.load import MAX_SIZE, ConfigFile, write_private
from skywire.config.model import VisorConfig
from skywire.crypto.keys import SecKey
from skywire.errors import Conflict, InvalidValue, NotFound

STDIN = "-"
MAX_IDENTITY = 64 * 1024  # bytes
_PLAIN_PATH = re.compile(r"\.?[\w-]+(\.[\w-]+|\[\d+\])*", re.ASCII)
_HEX = re.compile(r"\b[0-9a-fA-F]{64}\b")
_reads = target_options(writes=False)
_writes = target_options(writes=True)
_secrets = click.option("--secrets", is_flag=True, help="Show secret keys and passcodes, too.")


@click.command(epilog="Example: skywire cli config check skywire-config.json")
@click.argument("file", metavar="[FILE]", required=False)
@_reads
@output.json_option(shape={"file": "", "pk": "", "warnings": [""]})
def check(target: Target, file: str | None, as_json: bool) -> None:
    """Check a config file; - is standard input.

    The exit code is 0 when a visor would start with it. What is wrong is told with the path of the
    key, its value and what was expected; what is only strange is listed, and changes no exit code.

    Example: skywire cli config check skywire-config.json
    """
    found = _load(target, file)
    told = warnings(found)
    result = {"file": file or target.source, "pk": found.config.pk, "warnings": told}
    output.emit(result, as_json=as_json, text=f"Valid config of {found.config.pk}")
    if not as_json:
        for each in told:
            output.say(f"Warning: {each}")


@click.command(epilog="Example: skywire cli config show .transport")
@click.argument("filter", metavar="[FILTER]", default="", required=False)
@click.option("--path", is_flag=True, help="Print the name of the file only.")
@_secrets
@_reads
@output.json_option(shape=object)
def show(target: Target, filter: str, path: bool, secrets: bool, as_json: bool) -> None:
    """Print the config file, or a part of it, without secrets.

    FILTER is the path of a key, or any jq filter when the Python package jq is installed.

    \b
      skywire cli config show
      skywire cli config show .dmsg.discovery
    """
    if path:
        output.emit({"file": target.source}, as_json=as_json, text=str(target.source))
        return
    document: Any = target.load().document
    if not secrets:
        document = without_secrets(document)
    if filter in ("", "."):
        output.emit(document, as_json=as_json, text=output.to_json(document))
    elif _PLAIN_PATH.fullmatch(filter):
        value = _value(document, filter)
        text = value if isinstance(value, str) else output.to_json(value)
        output.emit(value, as_json=as_json, text=text or '""')
    else:
        from skywire.cli.jq import filtered

        for line in filtered(filter, output.to_json(document)):
            click.echo(line)


@click.command(epilog="Example: skywire cli config parse skywire-config.json")
@click.argument("file", metavar="[FILE]", required=False)
@_secrets
@_reads
@output.json_option(shape=object)
def parse(target: Target, file: str | None, secrets: bool, as_json: bool) -> None:
    """Print a config as the visor understands it, with every key that it has.

    What the file leaves out is there with its default; what the visor does not know is not. - is
    standard input.

    Example: skywire cli config parse skywire-config.json
    """
    found = _load(target, file).config
    document = plain(found, everything=True)
    if not secrets:
        document = without_secrets(document)
    output.emit(document, as_json=as_json, text=output.to_json(document))


@click.command(epilog="Example: skywire cli config pk")
@_reads
@output.json_option(shape={"public_key": ""})
def pk(target: Target, as_json: bool) -> None:
    """Print the public key of a config file.

    Example: skywire cli config pk -i skywire-config.json
    """
    found = target.load()
    if found.new_key:
        raise NotFound(f"{target.source}: no sk in it, so the visor makes one at its first start")
    output.emit({"public_key": found.config.pk}, as_json=as_json, text=str(found.config.pk))


@click.command(epilog="Example: skywire cli config identity export -f my-key")
@click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="New file to write, readable by you only. Default: print.",
)
@_reads
@output.json_option(shape={"file": "", "public_key": ""})
def identity_export(target: Target, file: Path | None, as_json: bool) -> None:
    """Write the key pair of a config to a file of its own.

    Whoever has it is you: keep it to yourself.

    Example: skywire cli config identity export --file identity.json
    """
    found = target.load()
    if found.new_key:
        raise NotFound(f"{target.source}: no sk in it")
    public, secret_text = found.config.pk, found.config.sk.hex()
    text = output.to_json({"pk": public, "sk": secret_text})
    if file is None:
        click.echo(text)
        return
    if file.exists():
        raise Conflict(f"{file} exists, and may hold a key in use; name another file")
    write_private(file, f"{text}\n".encode())
    output.emit(
        {"file": file, "public_key": public}, as_json=as_json, text=f"Key pair of {public}: {file}"
    )


@click.command(epilog="Example: skywire cli config identity import my-key")
@click.argument("file")
@_writes
@output.json_option(shape=CHANGED)
def identity_import(target: Target, file: str, as_json: bool) -> None:
    """Give a config the key pair of a file; - is standard input.

    FILE is one of `identity export`, or of `gen-keys`, or a config. The old key is kept in the file
    with .bak after its name.

    Example: skywire cli config identity import identity.json
    """
    secret = _secret_of(_read(file, MAX_IDENTITY).decode(errors="replace"), file)

    def change(config: VisorConfig) -> VisorConfig:
        return replace(config, sk=secret, pk=secret.public())

    target.change(change, as_json=as_json)


@click.command(epilog="Example: skywire cli config priv get")
@_reads
@output.json_option(shape={"display_node_ip": False, "reward_address": ""})
def priv_get(target: Target, as_json: bool) -> None:
    """Print what a visor tells of itself: its address with its services, where rewards go."""
    from skywire.visor.reward import RewardAddress

    config = target.load().config
    result = {
        "display_node_ip": config.launcher.display_node_ip,
        "reward_address": RewardAddress(config.local_path).get(),
    }
    output.emit(result, as_json=as_json, text=output.Facts(list(result.items())))


@click.command(epilog="Example: skywire cli config priv set --publicip true")
@click.argument("address", required=False)
@click.option(
    "--publicip", type=bool, metavar="BOOL", help="Publish the IP address with the services."
)
@_writes
@output.json_option(shape=CHANGED)
def priv_set(target: Target, address: str | None, publicip: bool | None, as_json: bool) -> None:
    """Set where rewards go, and whether the IP address is published.

    Example: skywire cli config priv set --publicip false
    """
    from skywire.visor.reward import RewardAddress

    if address is None and publicip is None:
        raise click.UsageError("nothing to do: give an address or --publicip")
    config = target.load().config
    if address is not None:
        place = RewardAddress(config.local_path)
        place.set(address)
        output.say(f"Reward address: {place.path}")

    def change(old: VisorConfig) -> VisorConfig:
        wanted = old.launcher.display_node_ip if publicip is None else publicip
        return replace(old, launcher=replace(old.launcher, display_node_ip=wanted))

    target.change(change, as_json=as_json)


def _load(target: Target, file: str | None) -> ConfigFile:
    if file == STDIN:
        return ConfigFile(_read(STDIN, MAX_SIZE), "standard input")
    return ConfigFile.load(file) if file else target.load()


def _read(file: str, limit: int) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(limit + 1)
    except OSError as error:
        raise InvalidValue(f"{file}: {error.strerror}") from error


def _secret_of(text: str, source: str) -> SecKey:
    """The only text in it that looks like a secret key; a public key is two digits longer."""
    found = set(_HEX.findall(text))
    named = set(re.findall(r'"sk"\s*:\s*"([^"]*)"', text))
    if len(named or found) != 1:
        raise InvalidValue(
            f"{source}: {len(named or found)} secret keys in it; expected one, of 64 hexadecimal "
            "characters"
        )
    try:
        return SecKey.parse((named or found).pop())
    except InvalidValue as error:
        raise InvalidValue(f"{source}: its secret key: {error}") from error


def _value(document: Any, path: str) -> Any:
    """Raises NotFound naming what is there instead."""
    value = document
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, ValueError, TypeError):
            known = f"; there are {', '.join(list(value)[:30])}" if isinstance(value, dict) else ""
            raise NotFound(f'no "{step}" in the config{known}') from None
    return value
