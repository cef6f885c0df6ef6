"""Who may speak to Dagster's web server: this machine's users and its own pages, not other sites.

Dagster 1.13 asks nobody who they are. It executes mutations that come by GET, by a form with the query in
the address, and with a content type such as ``text/plain;application/json``, each of which any site may have
a visitor's browser send without asking. It answers to any ``Host``, so a site whose name is made to point
to this machine (DNS rebinding) may even read what comes back.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "Gate", "Refusal", "refusal"]

LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))
"""The names by which a browser on this machine calls it; also through a tunnel, hence with any port."""

_WRONG_NAME: Final = 421
_FORBIDDEN: Final = 403
_WRONG_METHOD: Final = 405
_WRONG_TYPE: Final = 415
_READING: Final = ("GET", "HEAD")
_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::[0-9]*)?", re.ASCII)
# What browsers say of themselves (Fetch Metadata): a request by the page's own site, or by the user's hand.
_OWN_SITES: Final = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is turned away; the reason repeats nothing of it."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """ASGI middleware that lets through what is addressed to one of ``names`` and comes from its own pages.

    Other sites cannot show the interface in a frame either, to have somebody click in it.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket, or the server's own start and stop."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = refusal(scope, self._names)
        if refused is None:
            await self._app(scope, receive, _without_frames(send))
        elif scope["type"] == "websocket":
            # Before it is accepted: the server answers 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            reply = PlainTextResponse(f"{refused.reason}\n", refused.status, refused.headers)
            await reply(scope, receive, send)


def refusal(scope: Scope, names: Iterable[str]) -> Refusal | None:
    """Why a request or a websocket is turned away; None where it is let through."""
    headers = Headers(scope=scope)
    host = headers.getlist("host")
    if len(host) != 1 or _host_name(host[0]) not in names:
        return Refusal(_WRONG_NAME, "This is not the name of this server: see --name.")
    origins = headers.getlist("origin")
    if any(_place(origin) != host[0].lower() for origin in origins):
        return Refusal(_FORBIDDEN, "Requests of other sites are refused.")
    if headers.get("sec-fetch-site", "none") not in _OWN_SITES and not _follows_a_link(scope, headers):
        return Refusal(_FORBIDDEN, "Requests of other sites are refused.")
    if scope["type"] == "websocket":
        return None
    return _unsafe_method(scope["method"], scope["path"], headers)


def _unsafe_method(method: str, path: str, headers: Headers) -> Refusal | None:
    """GET changes nothing, and a POST is of a kind that no site may send without asking (CORS)."""
    if method == "POST":
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Refusal(_WRONG_TYPE, "Send application/json.")
        return None
    if method not in _READING:
        return Refusal(_WRONG_METHOD, "There is no such method here.", {"Allow": "GET, HEAD, POST"})
    # With this header Dagster shows its page for queries and executes none.
    if path.rstrip("/").endswith("/graphql") and "text/html" not in headers.get("accept", ""):
        return Refusal(_WRONG_METHOD, "Send queries by POST.", {"Allow": "POST"})
    return None


def _follows_a_link(scope: Scope, headers: Headers) -> bool:
    """A page of another site that links here, as a chat or a mail does."""
    is_reading = scope["type"] == "http" and scope["method"] in _READING
    return is_reading and headers.get("sec-fetch-mode") == "navigate"


def _host_name(host: str) -> str:
    """The name in a Host field, in small letters; empty where that holds more than a name and a port."""
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"]).lower() if found else ""


def _place(origin: str) -> str:
    """The host and port of an origin; empty for ``null``, which pages without an address send."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def _without_frames(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["X-Frame-Options"] = "SAMEORIGIN"
        await send(message)

    return send_on
