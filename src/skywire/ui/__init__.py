"""The pages: plain ES modules and CSS, served as they are. `SKYWIRE_UI` names a working copy."""

import os
from pathlib import Path

from aiohttp import web

STATIC_PREFIX = "/ui"

# Nothing but our own files; no inline script or style. A page never needs to be framed.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def root() -> Path:
    return Path(os.environ.get("SKYWIRE_UI") or Path(__file__).parent)


def page(name: str) -> web.FileResponse:
    """One of the HTML files, with the headers every page has."""
    return web.FileResponse(root() / name, headers=HEADERS)


def add_static(router: web.UrlDispatcher) -> None:
    """Serve scripts, styles and icons under `/ui/`; Python and HTML files are not among them."""
    for folder in ("css", "js", "vendor"):
        router.add_static(f"{STATIC_PREFIX}/{folder}", root() / folder)
