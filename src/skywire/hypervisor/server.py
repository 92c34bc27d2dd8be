"""The hypervisor: pages and API over HTTP, visors over dmsg. Source: hypervisor.md §1, §2."""

import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from skywire import ui
from skywire.config.model import HypervisorConfig
from skywire.errors import InvalidValue
from skywire.http import app as http
from skywire.hypervisor import accounts, api, audit, bulk, events, fleet_api, openapi, terminals
from skywire.hypervisor.answers import MAX_BODY, finish
from skywire.hypervisor.context import CONTEXT, Context
from skywire.hypervisor.guard import (
    add_headers,
    check_csrf,
    check_login,
    check_origin,
)
from skywire.hypervisor.visor_routes import visor_routes

log = logging.getLogger(__name__)


def build_app(context: Context) -> web.Application:
    """The application; without accounts their routes do not exist."""
    app = http.new_app(max_body=MAX_BODY)
    app.middlewares.insert(0, finish)
    app.middlewares.extend([check_origin, check_login, check_csrf, audit.write_down])
    app[CONTEXT] = context
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_end_what_lasts)
    app.on_cleanup.append(_close_log)
    app.add_routes(api.routes)
    app.add_routes(audit.routes)
    app.add_routes(bulk.routes)
    app.add_routes(events.routes)
    app.add_routes(fleet_api.routes)
    app.add_routes(terminals.routes)
    app.add_routes(openapi.routes)
    app.add_routes(visor_routes())
    if context.config.enable_auth:
        app.add_routes(accounts.routes)
    ui.add_static(app.router)
    return app


async def _end_what_lasts(app: web.Application) -> None:
    app[CONTEXT].followers.close()
    await app[CONTEXT].terminals.close()
    await app[CONTEXT].tree.close()


async def _close_log(app: web.Application) -> None:
    await app[CONTEXT].audit.close()


@asynccontextmanager
async def serving(context: Context) -> AsyncIterator[str]:
    """Answer on the configured address; gives the URL of the first page.

    Raises an error naming the port when it cannot be had, InvalidValue for a bad certificate.
    """
    address = context.config.http_addr
    tls = _tls(context.config)
    async with http.running(build_app(context)) as runner:
        port = await http.listen(runner, address.host, address.port, what="hypervisor", tls=tls)
        url = f"{'http' if tls is None else 'https'}://{_reachable(address.host)}:{port}/"
        log.info("hypervisor up url=%s auth=%s", url, context.config.enable_auth)
        if not context.config.enable_auth and not address.is_loopback:
            log.warning(
                "hypervisor asks for no password address=%s: whoever reaches it gets a shell on "
                "every visor; set hypervisor.enable_auth",
                address,
            )
        yield url


def _reachable(host: str) -> str:
    """For a URL on this machine: an address for "every address", brackets for IPv6."""
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")  # noqa: S104 - compared, not bound
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{host}]" if address.version == 6 else host


def _tls(config: HypervisorConfig) -> ssl.SSLContext | None:
    if not config.enable_tls:
        return None
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        tls.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidValue(
            f"hypervisor.tls_cert_file {config.tls_cert_file}, tls_key_file "
            f"{config.tls_key_file}: {error}; expected a certificate and its key as PEM"
        ) from error
    return tls
