"""Which apps there are: ours, and those of other packages. Source: architecture.md §12.

A package offers an app by an entry point of the group `skywire.apps`:

    [project.entry-points."skywire.apps"]
    echo = "my_package:Echo"
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from skywire.appkit.app import App
from skywire.errors import InvalidValue, NotFound

GROUP = "skywire.apps"
# A table rather than entry points: these are imported when one is used, and need no installation.
OURS: Mapping[str, str] = {"example-server-app": "skywire.appkit.example:ExampleServer"}


def find_app(name: str) -> type[App]:
    """Imports it. Raises NotFound, InvalidValue for an entry point that cannot be imported."""
    place = OURS.get(name, "")
    for found in () if place else entry_points(group=GROUP, name=name):
        place = found.value
    if not place:
        raise NotFound(f'no app "{name[:60]}": known are {", ".join(known_apps())}')
    module, _, attribute = place.partition(":")
    try:
        return cast(type[App], getattr(import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f'app "{name}": {place} cannot be imported: {error}') from error


def known_apps() -> list[str]:
    return sorted({*OURS, *(found.name for found in entry_points(group=GROUP))})


def is_known(name: str) -> bool:
    """Whether `find_app` has a place for it."""
    return name in OURS or bool(entry_points(group=GROUP, name=name))
