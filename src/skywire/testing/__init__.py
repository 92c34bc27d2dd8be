"""Fakes and harnesses for our tests and for authors of apps; shipped.

`skywire.testing.network` is a whole network in this process; `pytest_plugin` has it as fixtures.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from skywire.testing.embedded import TestNetwork as TestNetwork
    from skywire.testing.embedded import network as network

__all__ = ["TestNetwork", "network"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'skywire.testing' has no attribute {name!r}")
    from skywire.testing import embedded

    return getattr(embedded, name)
