"""Who asks for an operation: what an answer may hold can depend on that.

    with called_by(pk):                 # the calls of one connection
        await server.serve(stream)

The null key is whoever has the local RPC port: the node itself, as on the pty's control socket.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Forbidden
from skywire.rpc.server import RpcServer
from skywire.streams.stream import Stream

_caller: ContextVar[PubKey | None] = ContextVar("caller", default=None)  # of this task


@contextmanager
def called_by(pk: PubKey | None) -> Iterator[None]:
    """None: it is not known whom."""
    token = _caller.set(pk)
    try:
        yield
    finally:
        _caller.reset(token)


def caller() -> PubKey:
    """Raises Forbidden when it is not known who asks."""
    pk = _caller.get()
    if pk is None:
        raise Forbidden("not for an unknown caller")
    return pk


def is_one_of(keys: Collection[PubKey]) -> bool:
    """Whether one of these asks; no when it is not known who does."""
    pk = _caller.get()
    return pk is not None and pk in keys


async def serve_peer(server: RpcServer, stream: Stream) -> None:
    """Answer the far end of `stream`, by the key that it has proven."""
    pk = stream.remote.pk
    with called_by(None if pk is None or pk.is_null else pk):
        await server.serve(stream)


async def serve_node(server: RpcServer, stream: Stream) -> None:
    """Answer whoever reaches the local port."""
    with called_by(NULL_KEY):
        await server.serve(stream)
