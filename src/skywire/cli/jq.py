"""jq filters on results, for `--jq` and `util jq`. Source: cli.md §B0."""

import json
from collections.abc import Iterator
from typing import Any

from skywire.errors import InvalidValue, NotSupported


def filtered(program: str, text: str) -> Iterator[str]:
    """Lines to print: each value the filter gives, a text as it is, all else as one line of JSON.

    `text` is JSON. Raises InvalidValue with jq's own words for a filter that does not fit.
    """
    try:
        import jq  # type: ignore[import-not-found,unused-ignore]  # no wheels on some machines
    except ImportError as error:
        missing = NotSupported("--jq needs the package jq, which is not installed here")
        missing.add_note('Install "jq" with pip, or pipe --json into the program jq.')
        raise missing from error
    try:
        values: list[Any] = jq.compile(program).input_text(text).all()
    except ValueError as error:
        raise InvalidValue(f"jq filter {program!r}: {' '.join(str(error).split())}") from error
    for value in values:
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
