"""The HTTP server: the routes of vLLM or of llama.cpp's server, and its own under ``/simulator``."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from preannotation_assets.simulator.connections import reset_connection
from preannotation_assets.simulator.edge import LOGIN_PATH, html_page, json_response
from preannotation_assets.simulator.faults import Fault
from preannotation_assets.simulator.introspection import OWN_PATH, Introspection
from preannotation_assets.simulator.journal import RequestRecord
from preannotation_assets.simulator.openai.answering import Answering
from preannotation_assets.simulator.openai.bodies import parse_chat, parse_json
from preannotation_assets.simulator.openai.information import metrics_text, model_list, properties, slots
from preannotation_assets.simulator.openai.refusals import (
    EngineDeadError,
    QueueFullError,
    ReplyError,
    error_body,
    unauthorized,
)
from preannotation_assets.simulator.openai.settings import Flavour, OpenAiSettings
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.replies import encode
from preannotation_assets.simulator.tokens import split_tokens, token_id
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["OpenAiServer"]

_BODY_LIMIT = 256 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0
_DYING_SECONDS = 0.2
# Both servers close a connection that idles so long, at times just when a client writes to it.
_KEEP_ALIVE_SECONDS = 5.0
_NOT_FOUND, _SERVER_ERROR, _UNAVAILABLE = 404, 500, 503
_VLLM_OPEN = ("/health", "/version", "/metrics", "/load", "/ping")
_LLAMA_OPEN = ("/health", "/v1/health", "/v1/models", "/models")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpenAiServer:
    """One server with its engine, faults and journal; lives in one event loop."""

    def __init__(self, settings: OpenAiSettings) -> None:
        """Prepare; ``start`` listens."""
        self.settings = settings
        is_llama = settings.flavour is Flavour.LLAMA
        self.stands_for = "llama.cpp server" if is_llama else "vLLM"
        self.address = f"{settings.host}:{settings.port}"
        self.answering = Answering(settings)
        self.introspection = Introspection(
            self.stands_for,
            self.answering.journal,
            self.answering.faults,
            settings.faults,
            self.answering.forget,
        )
        self._port = settings.port
        self._runner: web.AppRunner | None = None
        self._engine_task: asyncio.Task[None] | None = None
        self._death: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen; returns the URL. Raises ``OSError`` where the port is taken."""
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
        )
        await runner.setup()
        await web.TCPSite(runner, self.settings.host, self._port, backlog=2048).start()
        self._runner = runner
        self._engine_task = asyncio.create_task(self.answering.engine.run())
        self._engine_task.add_done_callback(self._engine_ended)
        host, self._port = runner.addresses[0][:2]
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def _engine_ended(self, task: "asyncio.Task[None]") -> None:
        """A mistake of the stand-in itself fails what is in flight; nothing waits for ever."""
        if not task.cancelled() and task.exception() is not None:
            self.answering.engine.die()

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._death is not None:
            self._death.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._death
        await self._close()

    async def _close(self) -> None:
        if self._engine_task is not None:
            self._engine_task.cancel()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.shutdown()
            await runner.cleanup()

    async def _die(self) -> None:
        """After the engine the server ends too: refused connections, until it is started again."""
        await asyncio.sleep(_DYING_SECONDS)
        await self._close()
        if self.settings.restart_seconds is not None:
            await asyncio.sleep(self.settings.restart_seconds)
            self.answering.restart()
            await self.start()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_BODY_LIMIT, middlewares=[self._guard])
        router = application.router
        router.add_post("/v1/chat/completions", self._chat)
        router.add_get("/v1/models", self._models)
        router.add_get("/health", self._health)
        router.add_post("/tokenize", self._tokenize)
        router.add_get(LOGIN_PATH, self._login)
        if self.settings.has_metrics:
            router.add_get("/metrics", self._metrics)
        if self.settings.flavour is Flavour.LLAMA:
            router.add_get("/props", self._props)
            router.add_get("/slots", self._slots)
            router.add_post("/v1/chat/completions/input_tokens", self._count_messages)
        else:
            router.add_get("/version", self._version)
        self.introspection.add_routes(router)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The API key, texts of 404, and refusals as replies."""
        try:
            self._check_key(request)
            return await handler(request)
        except web.HTTPNotFound:
            return json_response(self._unknown_path(), _NOT_FOUND)
        except ReplyError as refused:
            return json_response(refused.body.encode(), refused.status)
        except RefusedError as refused:
            return json_response(self._error(refused.status, refused.text, "BadRequestError"), refused.status)
        except QueueFullError as full:
            return json_response(self._error(full.status, full.text, "Service Unavailable"), full.status)
        except EngineDeadError as dead:
            if self.settings.flavour is Flavour.LLAMA:
                reset_connection(request)
            return json_response(self._error(dead.status, dead.text, "InternalServerError"), dead.status)

    def _unknown_path(self) -> bytes:
        """What 404 says; vLLM leaves that to its web framework."""
        if self.settings.flavour is Flavour.VLLM:
            return encode({"detail": "Not Found"})
        return self._error(_NOT_FOUND, "File Not Found", "not_found_error")

    def _error(self, status: int, text: str, kind: str) -> bytes:
        return encode(error_body(self.settings.flavour, status, text, kind))

    def _check_key(self, request: web.Request) -> None:
        is_llama = self.settings.flavour is Flavour.LLAMA
        is_open = request.path in (_LLAMA_OPEN if is_llama else _VLLM_OPEN)
        if self.settings.api_key is None or is_open or request.path.startswith((OWN_PATH, LOGIN_PATH)):
            return
        if request.headers.get("Authorization") != f"Bearer {self.settings.api_key}":
            raise unauthorized(self.settings.flavour)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        journal = self.answering.journal
        record = journal.arrived("chat")
        try:
            response = await self.answering.answer(request, record)
            record.status = response.status
        except (ReplyError, QueueFullError, EngineDeadError) as refused:
            record.status = refused.status
            raise
        except asyncio.CancelledError:
            record.is_disconnected = True
            raise
        except ConnectionResetError:
            record.is_disconnected = record.fault != Fault.SOCKET_RESET
            return web.Response(status=_SERVER_ERROR)
        finally:
            self._ended(record)
        return response

    def _ended(self, record: RequestRecord) -> None:
        self.answering.journal.ended(record)
        if self.answering.engine.is_dead and (self._death is None or self._death.done()):
            self._death = asyncio.create_task(self._die())

    async def _models(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode(model_list(self.answering)))

    async def _health(self, _: web.Request) -> web.StreamResponse:
        if self.answering.engine.is_dead:
            return web.Response(status=_UNAVAILABLE)
        if self.settings.flavour is Flavour.LLAMA:
            return json_response(encode({"status": "ok"}))
        return web.Response()

    async def _version(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode({"version": self.settings.version}))

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=metrics_text(self.answering), content_type="text/plain")

    async def _props(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode(properties(self.answering)))

    async def _slots(self, _: web.Request) -> web.StreamResponse:
        return json_response(encode(slots(self.answering)))

    async def _tokenize(self, request: web.Request) -> web.StreamResponse:
        """vLLM: a prompt or messages; llama.cpp: ``content`` only, in which special tokens are text."""
        body = parse_json(await request.read(), self.settings.flavour)
        if self.settings.flavour is Flavour.LLAMA:
            plain = str(body.get("content", "")).replace("<|", "< |")
            return json_response(encode({"tokens": _ids(split_tokens(plain))}))
        if "messages" in body:
            tokens = list(self.answering.render(parse_chat(body, self.settings)).tokens)
        else:
            tokens = split_tokens(str(body.get("prompt", "")))
        reply: JsonObject = {
            "count": len(tokens),
            "max_model_len": self.settings.window,
            "tokens": _ids(tokens),
            "token_strs": None,
        }
        return json_response(encode(reply))

    async def _count_messages(self, request: web.Request) -> web.StreamResponse:
        body = parse_json(await request.read(), self.settings.flavour)
        prompt = self.answering.render(parse_chat(body, self.settings))
        return json_response(encode({"input_tokens": len(prompt.tokens)}))

    async def _login(self, _: web.Request) -> web.StreamResponse:
        return html_page(200, "Sign in - Cloudflare Access")


def _ids(tokens: list[str]) -> list[JsonValue]:
    return [token_id(token) for token in tokens]
