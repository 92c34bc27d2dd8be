"""What a visor fetches for others. Source: update-2026-06-12.md 3087.

The reference of 2026 has a method of this name, whose types are not known here: these are ours.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from skywire.operations import operation
from skywire.wire.dmsg_url import parse_url
from skywire.wire.gob_types import BYTES, INT, STRING, Go

if TYPE_CHECKING:
    from skywire.visor.visor import Visor


@dataclass(slots=True)
class DmsgHTTPRequest:
    GO_NAME: ClassVar[str] = "DmsgHTTPRequest"
    url: Annotated[str, Go("URL", STRING)] = ""  # dmsg://<pk>[:port]/path


@dataclass(slots=True)
class DmsgHTTPResponse:
    GO_NAME: ClassVar[str] = "DmsgHTTPResponse"
    status: Annotated[int, Go("StatusCode", INT)] = 0
    body: Annotated[bytes, Go("Body", BYTES)] = b""


@operation(rpc="DmsgHTTP")
async def dmsg_http(visor: "Visor", request: DmsgHTTPRequest) -> DmsgHTTPResponse:
    """GET a dmsg:// URL with this visor's key and return the answer, whatever its status."""
    status, body = await visor.fetching.get(parse_url(request.url))
    return DmsgHTTPResponse(status, body)
