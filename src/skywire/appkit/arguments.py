"""The arguments of an app, as its visor edits them. Source: apps.md §4."""

from collections.abc import Sequence

PREFIX = "app"  # `skywire app NAME …` is how one program contains all apps


def set_text(arguments: Sequence[str], flag: str, value: str) -> list[str]:
    """With `--flag value`; an empty value removes both. `flag` comes with its dashes."""
    kept: list[str] = []
    done = False
    rest = iter(arguments)
    for argument in rest:
        is_joined = argument.startswith(f"{flag}=")
        if argument != flag and not is_joined:
            kept.append(argument)
            continue
        if not is_joined:
            next(rest, None)
        if value and not done:
            kept += [flag, value]
            done = True
    return kept if done or not value else [*kept, flag, value]


def get_text(arguments: Sequence[str], flag: str) -> str:
    """The value of `--flag`, "" without one."""
    for index, argument in enumerate(arguments):
        if argument == flag:
            return arguments[index + 1] if index + 1 < len(arguments) else ""
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return ""


def set_switch(arguments: Sequence[str], name: str, value: bool) -> list[str]:
    """With `-name=true` or `-name=false`, one element, as Go's flags want it."""
    element = f"-{name}={'true' if value else 'false'}"
    kept: list[str] = []
    done = after_bare = False
    for argument in arguments:
        bare = argument.lstrip("-") if argument.startswith("-") else ""
        if bare == name or bare.startswith(f"{name}="):
            if not done:
                kept.append(element)
            done, after_bare = True, bare == name
            continue
        if not (after_bare and argument in ("true", "false")):
            kept.append(argument)
        after_bare = False
    return kept if done else [*kept, element]


def set_all(name: str, values: Sequence[tuple[str, str | bool]]) -> list[str]:
    """`app NAME` and then these: what DoCustomSetting makes of its map.

    A key comes with or without its dashes; the key "app" replaces `name`.
    """
    named = [str(value) for key, value in values if key == PREFIX and value]
    arguments = [PREFIX, named[0] if named else name]
    for key, value in values:
        if key == PREFIX:
            continue
        if isinstance(value, bool):
            arguments = set_switch(arguments, key.lstrip("-"), value)
        else:
            flag = key if key.startswith("-") else f"--{key}"
            arguments = set_text(arguments, flag, value)
    return arguments


def kind_of(name: str, arguments: Sequence[str]) -> str:
    """Which app it is: several may run the same one under names of their own."""
    return arguments[1] if len(arguments) > 1 and arguments[0] == PREFIX else name


def own_arguments(arguments: Sequence[str]) -> list[str]:
    """Those behind `app NAME`."""
    return list(arguments[2:] if arguments[:1] == [PREFIX] else arguments)
