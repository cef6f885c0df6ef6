"""The HTTP server: Ollama's routes, and its own under ``/simulator``."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from preannotation_assets.simulator.answering import Answering
from preannotation_assets.simulator.edge import (
    LOGIN_PATH,
    error_response,
    html_page,
    json_response,
    login_redirect,
)
from preannotation_assets.simulator.faults import Fault
from preannotation_assets.simulator.introspection import OWN_PATH, Introspection
from preannotation_assets.simulator.models import ModelShelf
from preannotation_assets.simulator.refusals import GenerationBrokenError, RefusedError, RunnerStoppedError
from preannotation_assets.simulator.replies import encode, loaded_models, model_card, model_list
from preannotation_assets.simulator.requests import Endpoint, parse_body
from preannotation_assets.simulator.settings import SimulatorSettings

__all__ = ["StandInServer"]

_SHUTDOWN_SECONDS = 1.0
_BODY_LIMIT = 256 * 1024 * 1024
_NOT_FOUND = 404
_NOT_ALLOWED = 405
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StandInServer:
    """One server with its models, queue, faults and journal; lives in one event loop."""

    def __init__(self, settings: SimulatorSettings) -> None:
        """Prepare the routes; ``start`` listens."""
        self.settings = settings
        self.stands_for = "Ollama"
        self.address = f"{settings.host}:{settings.port}"
        self._shelf = ModelShelf(settings.models)
        self._answering = Answering(settings, self._shelf)
        self.introspection = Introspection(
            "Ollama", self._answering.journal, self._answering.faults, settings.faults, self._shelf.reset
        )
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )

    async def start(self) -> str:
        """Listen; returns the URL. Raises ``OSError`` where the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port, backlog=1024)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        self._answering.scheduler.stop_all()
        await self._runner.shutdown()
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_BODY_LIMIT, middlewares=[self._guard])
        application.router.add_get("/", self._root)
        application.router.add_get("/api/version", self._version)
        application.router.add_get("/api/tags", self._tags)
        application.router.add_get("/api/ps", self._ps)
        application.router.add_post("/api/show", self._show)
        application.router.add_post("/api/generate", self._generate)
        application.router.add_post("/api/chat", self._chat)
        application.router.add_get(LOGIN_PATH, self._login)
        self.introspection.add_routes(application.router)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Host check, Cloudflare Access, Ollama's texts for 404 and 405, and refusals as replies."""
        is_own = request.path == LOGIN_PATH or request.path.startswith(OWN_PATH)
        if not is_own and not self._is_admitted(request):
            return login_redirect(request.host)
        if _is_loopback(self.settings.host) and not _is_local(request.host):
            return web.Response(status=403)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=_NOT_FOUND, text="404 page not found")
        except web.HTTPMethodNotAllowed as refused:
            allowed = {"Allow": ", ".join(sorted(refused.allowed_methods))}
            return web.Response(status=_NOT_ALLOWED, text="405 method not allowed", headers=allowed)
        except (RefusedError, RunnerStoppedError, GenerationBrokenError) as refused_request:
            return error_response(refused_request.status, refused_request.text)

    def _is_admitted(self, request: web.Request) -> bool:
        access = self.settings.access
        if access is None:
            return True
        return (
            request.headers.get("CF-Access-Client-Id") == access.client_id
            and request.headers.get("CF-Access-Client-Secret") == access.client_secret
        )

    async def _root(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="Ollama is running")

    async def _version(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode({"version": self.settings.version}))

    async def _tags(self, _: web.Request) -> web.StreamResponse:
        listed = [(model, self._shelf.digest(model)) for model in self._shelf.models]
        return json_response(encode(model_list(listed)))

    async def _ps(self, _: web.Request) -> web.StreamResponse:
        loaded = [
            (model, self._shelf.digest(model), runner)
            for runner in self._answering.scheduler.runners
            for model in (self._shelf.find(runner.demand.name),)
        ]
        return json_response(encode(loaded_models(loaded)))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        body = parse_body(await request.read())
        name = body.get("model") or body.get("name") or ""
        return json_response(encode(model_card(self._shelf.find(str(name)))))

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(Endpoint.GENERATE, request)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(Endpoint.CHAT, request)

    async def _answer(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        journal = self._answering.journal
        record = journal.arrived(endpoint.value)
        try:
            response = await self._answering.answer(endpoint, request, record)
            record.status = record.status or response.status
        except (RefusedError, RunnerStoppedError, GenerationBrokenError) as refused:
            record.status = refused.status
            raise
        except asyncio.CancelledError:
            record.is_disconnected = True
            raise
        except ConnectionResetError:
            record.is_disconnected = record.fault != Fault.SOCKET_RESET
            return web.Response(status=500)
        finally:
            journal.ended(record)
        return response

    async def _login(self, _: web.Request) -> web.StreamResponse:
        return html_page(200, "Sign in - Cloudflare Access")


def _host_name(host: str) -> str:
    """The name or address in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_local(host: str) -> bool:
    """Whether Ollama on loopback answers to this Host header: local names and addresses only."""
    name = _host_name(host).lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in {"", "localhost", socket.gethostname().lower()} or name.endswith(_LOCAL_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_unspecified
