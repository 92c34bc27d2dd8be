"""Arguments of apps, as the config keeps them. Source: apps.md §4, config.md §3.

A text option is two elements, "--srv" and its value. A switch is one, "--secure=true": the Go
programs write "--secure true" or "-secure=true", which are read, but as "--secure false" to their
apps means true.
"""

from collections.abc import Iterable, Sequence

_TRUTH = ("true", "false")


def with_text(arguments: Sequence[str], option: str, value: str) -> list[str]:
    """With another value of the option, in its place; without it, when `value` is ""."""
    changed, replaced = [], False
    rest = iter(arguments)
    for each in rest:
        if each != option and not each.startswith(f"{option}="):
            changed.append(each)
            continue
        if each == option:
            next(rest, None)  # its old value
        if value and not replaced:
            changed += [option, value]
            replaced = True
    return changed if replaced or not value else [*changed, option, value]


def with_switch(arguments: Sequence[str], option: str, value: bool | None) -> list[str]:
    """With the switch on or off, in its place; without it, when `value` is None."""
    wanted = None if value is None else f"{option}={_TRUTH[0] if value else _TRUTH[1]}"
    changed: list[str] = []
    placed = after = False
    for each in arguments:
        name, equals, _ = each.lstrip("-").partition("=")
        found = each.startswith("-") and name == option.lstrip("-")
        stray = after and each in _TRUTH
        after = found and not equals
        if found and wanted and not placed:
            changed.append(wanted)
            placed = True
        elif not found and not stray:
            changed.append(each)
    return [*changed, wanted] if wanted and not placed else changed


def value_of(arguments: Iterable[str], option: str) -> str:
    """The value of a text option; "" when it is not there."""
    rest = iter(arguments)
    for each in rest:
        if each == option:
            return next(rest, "")
        if each.startswith(f"{option}="):
            return each.removeprefix(f"{option}=")
    return ""
