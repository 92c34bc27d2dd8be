"""Skywire: a mesh network whose addresses are public keys.

    async with skywire.Node() as node:
        connection = await node.dial(pk, 80)

What a program needs is here by its name; each is imported when it is first used, so that
`import skywire` itself costs nothing. `skywire.testing` has a whole network for tests.
"""

from importlib import import_module

TYPE_CHECKING = False  # not typing's: its import would cost more than all else here
if TYPE_CHECKING:
    from skywire import errors as errors
    from skywire import testing as testing
    from skywire.config.deployment import Deployment as Deployment
    from skywire.crypto.generate import key_pair as key_pair
    from skywire.crypto.keys import PubKey as PubKey
    from skywire.crypto.keys import SecKey as SecKey
    from skywire.errors import Conflict as Conflict
    from skywire.errors import DialFailed as DialFailed
    from skywire.errors import InvalidValue as InvalidValue
    from skywire.errors import NotFound as NotFound
    from skywire.errors import Refused as Refused
    from skywire.errors import SkywireError as SkywireError
    from skywire.errors import StreamClosed as StreamClosed
    from skywire.errors import StreamError as StreamError
    from skywire.errors import StreamReset as StreamReset
    from skywire.errors import Unavailable as Unavailable
    from skywire.http.over_stream import remote_pk as remote_pk
    from skywire.node import Node as Node
    from skywire.node import Serving as Serving
    from skywire.streams.connection import Connection as Connection
    from skywire.streams.connection import ConnectionListener as ConnectionListener
    from skywire.streams.relay import copy_both as copy_both
    from skywire.streams.stream import Address as Address
    from skywire.streams.stream import Stream as Stream
    from skywire.streams.tcp import dial_tcp as dial_tcp
    from skywire.streams.tcp import listen_tcp as listen_tcp

__version__ = "0.1.0"

_HOMES = {
    "Deployment": "config.deployment",
    "key_pair": "crypto.generate",
    "PubKey": "crypto.keys",
    "SecKey": "crypto.keys",
    "Conflict": "errors",
    "DialFailed": "errors",
    "InvalidValue": "errors",
    "NotFound": "errors",
    "Refused": "errors",
    "SkywireError": "errors",
    "StreamClosed": "errors",
    "StreamError": "errors",
    "StreamReset": "errors",
    "Unavailable": "errors",
    "remote_pk": "http.over_stream",
    "Node": "node",
    "Serving": "node",
    "Connection": "streams.connection",
    "ConnectionListener": "streams.connection",
    "copy_both": "streams.relay",
    "Address": "streams.stream",
    "Stream": "streams.stream",
    "dial_tcp": "streams.tcp",
    "listen_tcp": "streams.tcp",
}
_MODULES = ("errors", "testing")

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"skywire.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'skywire' has no attribute {name!r}")
    return getattr(import_module(f"skywire.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
