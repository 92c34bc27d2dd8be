"""Option values with a form of their own: a bad one is told with the option's name."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import click

from skywire.config.values import Duration, HostPort, is_host
from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue


class Parsed(click.ParamType[Any]):
    """The type of a parameter whose own class reads it from a text."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except (InvalidValue, ValueError) as error:
            self.fail(str(error), param, ctx)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidValue(f'"{text[:100]}": expected an id such as {UUID(int=0)}') from None


def _nanoseconds(text: str) -> int:
    return round(duration(None, None, text) * 1e9)


def _keys(text: str) -> list[PubKey]:
    return [PubKey.parse(word) for word in text.replace(",", " ").split()]


KEY = Parsed("PK", PubKey.parse)
KEYS = Parsed("PK,…", _keys)
IDENTIFIER = Parsed("ID", _uuid)
NANOSECONDS = Parsed("DURATION", _nanoseconds)


def host_port(_: click.Context, __: click.Parameter, text: str) -> HostPort:
    """A click callback: "host:port" or ":port", which is every address."""
    try:
        place = HostPort.parse(text)
    except InvalidValue:
        place = HostPort()
    if not place:
        raise click.BadParameter(f'"{text}": expected host:port or :port')
    return place


def optional_host_port(context: click.Context, parameter: click.Parameter, text: str) -> HostPort:
    """A click callback: as `host_port`, and nothing is nowhere."""
    return host_port(context, parameter, text) if text else HostPort("")


def host(_: click.Context, __: click.Parameter, text: str) -> str:
    """A click callback: a name or an address; nothing is allowed."""
    if text and not is_host(text):
        raise click.BadParameter(f'"{text[:100]}": expected a host name or an address')
    return text


def http_url(_: click.Context, __: click.Parameter, text: str) -> str:
    """A click callback: the URL of a service; nothing is allowed."""
    try:
        parts = urlsplit(text)
        place = parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else ""
    except ValueError:
        place = ""
    if text and not (place and is_host(place)):
        raise click.BadParameter(f'"{text[:100]}": expected http://host or https://host')
    return text


def duration(_: click.Context | None, __: click.Parameter | None, text: str) -> float:
    """A click callback: seconds, more than none, from a text such as "1h30m"."""
    try:
        seconds = Duration.parse(text)
    except InvalidValue as error:
        raise click.BadParameter(f'"{text}": {error}') from error
    if seconds <= 0:
        raise click.BadParameter(f'"{text}": expected more than nothing')
    return float(seconds)
