"""A dmsg client that knows where the services of a deployment are, and asks no discovery."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import Unavailable

if TYPE_CHECKING:
    from skywire.config.deployment import Deployment
    from skywire.dmsg.client import DmsgClient


@asynccontextmanager
async def direct_client(
    services: "Deployment", keys: Iterable[PubKey], secret: SecKey | None = None
) -> "AsyncIterator[DmsgClient]":
    """A client, with a new key unless one is given, that can dial `keys`. Raises Unavailable."""
    from skywire.crypto.generate import key_pair
    from skywire.dmsg.client import DmsgClient
    from skywire.dmsg.direct import StaticDirectory, delegate_to_all

    servers = services.server_entries()
    if not servers:
        raise Unavailable("the deployment names no dmsg server")
    secret = secret or key_pair()[1]
    directory = StaticDirectory(delegate_to_all(keys, servers))
    async with DmsgClient(secret.public(), secret, directory) as client:
        yield client
