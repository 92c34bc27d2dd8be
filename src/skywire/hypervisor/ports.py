"""The forwarded ports of a visor over HTTP. Paths of 2026 (hypervisor.md §4.3), forms of ours."""

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.appkit.forward_server import ForwardedPort
from skywire.crypto.keys import PubKey
from skywire.hypervisor import audit
from skywire.hypervisor.forms import Adapter, by_body, form
from skywire.operations import operation_of
from skywire.visor import ops_ports
from skywire.visor.ops_ports import StartForwardIn

CONNECT_LIMIT = 25.0  # seconds for a route to the other visor

Number = Annotated[int, Meta(ge=1, le=0xFFFF)]


class PortBody(msgspec.Struct, forbid_unknown_fields=True):
    port: Number


class ForwardedPortBody(msgspec.Struct, forbid_unknown_fields=True):
    """Others reach `port`; where it leads is `target`, or the same port of this machine."""

    port: Number
    name: str = ""
    label: str = ""
    description: str = ""
    target: str = ""
    whitelist: Annotated[list[str], Meta(max_length=1024)] = []
    inject_pk: bool = False
    preserve_host: bool = False
    dmsg: bool = False
    no_skynet: bool = False

    def entry(self) -> ForwardedPort:
        values = msgspec.structs.asdict(self)
        return ForwardedPort(
            **values | {"whitelist": [PubKey.parse(key) for key in self.whitelist]}
        )


class ConnectBody(msgspec.Struct, forbid_unknown_fields=True):
    """`local_port` 0 is any free one."""

    remote_pk: str
    remote_port: Number
    local_port: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    name: str = ""

    def request(self) -> StartForwardIn:
        pk = PubKey.parse(self.remote_pk)
        return StartForwardIn(pk, self.remote_port, self.local_port, self.name)


class NameBody(msgspec.Struct, forbid_unknown_fields=True):
    name: str


_register = by_body(ForwardedPortBody, ForwardedPortBody.entry)

ADAPTERS: dict[Any, Adapter] = {
    ops_ports.register_http_port: by_body(PortBody, lambda body: body.port),
    ops_ports.deregister_http_port: by_body(PortBody, lambda body: body.port),
    ops_ports.add_forwarded_port: _register,
    ops_ports.start_forward: by_body(ConnectBody, ConnectBody.request, limit=CONNECT_LIMIT),
    ops_ports.stop_forward: by_body(NameBody, lambda body: body.name),
}
MORE = [
    web.put(  # an entry of the same port takes the place of the older one
        "/api/visors/{pk}/forwarded-ports/update",
        audit.change("update forwarded port")(
            form(help="Change a forwarded port; see /register.")(
                _register(operation_of(ops_ports.add_forwarded_port))
            )
        ),
    )
]
