"""Answers of a proxy before the server, and replies that are errors."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.refusals import server_busy
from preannotation_assets.simulator.replies import encode

__all__ = [
    "LOGIN_PATH",
    "edge_response",
    "error_response",
    "html_page",
    "json_response",
    "login_redirect",
    "streamed_error_response",
]

LOGIN_PATH = "/cdn-cgi/access/login/stand-in.cloudflareaccess.com"
"""Where a denied request is sent: on this server, so that no test leaves the machine."""

_JSON = "application/json"
_BUFFERED_BYTES = 2_048


def json_response(reply: bytes, status: int = 200) -> web.Response:
    """A reply in JSON; one above 2 KB comes in chunks, as from Go's server, which buffers that much."""
    response = web.Response(status=status, body=reply, content_type=_JSON, charset="utf-8")
    if len(reply) > _BUFFERED_BYTES:
        response.enable_chunked_encoding()
    return response


def error_response(status: int, text: str) -> web.Response:
    """Ollama's error object."""
    return json_response(encode({"error": text}), status)


def streamed_error_response(status: int, text: str) -> web.Response:
    """Ollama's error object where a stream was asked for and the runner fails before the first token."""
    response = web.Response(status=status, body=encode({"error": text}), content_type=_JSON)
    response.enable_chunked_encoding()
    return response


def html_page(status: int, title: str) -> web.Response:
    """A page for people where a client expects JSON."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return web.Response(status=status, text=text, content_type="text/html")


def login_redirect(host: str) -> web.Response:
    """302 to the login page of Cloudflare Access, as for a missing or wrong service token."""
    return web.Response(
        status=302,
        headers={"Location": f"http://{host}{LOGIN_PATH}", "WWW-Authenticate": "Cloudflare-Access"},
    )


def edge_response(rule: FaultRule, host: str) -> web.Response:
    """The answer of an edge fault; ``host`` is the server's own, for the login page."""
    fault = rule.fault
    if fault is Fault.BUSY:
        refusal = server_busy()
        return error_response(refusal.status, refusal.text)
    if fault is Fault.LOGIN_REDIRECT:
        return login_redirect(host)
    if fault is Fault.LOGIN_PAGE:
        return html_page(200, "Sign in - Cloudflare Access")
    if fault is Fault.FORBIDDEN_PAGE:
        return html_page(403, "Forbidden - Cloudflare Access")
    if fault is Fault.EDGE_TIMEOUT:
        return html_page(524, "524: A timeout occurred")
    response = error_response(429, "too many requests")
    if fault is Fault.RATE_LIMIT_SECONDS:
        response.headers["Retry-After"] = str(max(round(rule.seconds), 0))
    if fault is Fault.RATE_LIMIT_DATE:
        moment = datetime.now(UTC) + timedelta(seconds=rule.seconds)
        response.headers["Retry-After"] = format_datetime(moment, usegmt=True)
    return response
