"""Sending an answer: in one piece, or as server-sent events while it is written."""

import asyncio

from aiohttp import web

from preannotation_assets.simulator.edge import json_response
from preannotation_assets.simulator.openai.engine import Engine
from preannotation_assets.simulator.openai.refusals import EngineDeadError, error_body
from preannotation_assets.simulator.openai.replies import ReplyForm
from preannotation_assets.simulator.openai.sequence import Sequence
from preannotation_assets.simulator.openai.settings import Flavour
from preannotation_assets.simulator.replies import encode
from preannotation_assets.simulator.values import JsonObject

__all__ = ["EventStream", "send_whole"]

_DONE = b"data: [DONE]\n\n"
_SERVER_ERROR = 500


def send_whole(form: ReplyForm, finish_reason: str | None) -> web.Response:
    """The reply in one piece."""
    return json_response(encode(form.whole(finish_reason)))


class EventStream:
    """The events of one answer. vLLM sends headers at once, llama.cpp's server with the first token."""

    def __init__(self, http: web.Request, form: ReplyForm, engine: Engine) -> None:
        """Send nothing yet."""
        self._http = http
        self._form = form
        self._engine = engine
        self._sent = 0
        self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        self._has_begun = False

    async def send(self, most_tokens: int) -> None:
        """Send tokens as they are written, ``most_tokens`` at most; raises ``EngineDeadError``."""
        if self._form.settings.flavour is Flavour.VLLM:
            await self._response.prepare(self._http)
        while self._sent < most_tokens:
            end = min(await self._next_end(), most_tokens)
            events = b"" if self._has_begun else _event(self._form.first_chunk())
            await self._write(events + self._tokens(end))
            self._sent = end

    async def finish(self) -> web.StreamResponse:
        """The end: what is left of the chunks, the usage if asked for, and ``[DONE]``."""
        form = self._form
        events = [_event(form.last_chunk(form.completion.finish_reason))] if form.is_llama else []
        if form.request.has_usage:
            events.append(_event(form.usage_chunk()))
        await self._write(b"".join(events) + _DONE)
        return await self._end()

    async def fail(self, text: str) -> web.StreamResponse:
        """An error under the status 200, and still ``[DONE]``."""
        body = error_body(self._form.settings.flavour, _SERVER_ERROR, text, "InternalServerError")
        await self._write(_event(body) + _DONE)
        return await self._end()

    async def break_off(self) -> web.StreamResponse:
        """The end of the stream without a finish reason and without ``[DONE]``."""
        await self._write(b"")
        return await self._end()

    async def _next_end(self) -> int:
        """Wait for more than was sent; how many tokens there are."""
        sequence = self._form.sequence
        while True:
            if sequence.ended.done() and sequence.ended.exception() is not None:
                raise EngineDeadError
            steps = self._engine.written(sequence)
            end = self._form.completion.step_ends[steps - 1] if steps else 0
            if end > self._sent:
                return end
            await _moved(sequence)

    def _tokens(self, end: int) -> bytes:
        form, count = self._form, self._form.completion.count
        is_last = end >= count and not form.is_llama
        return _event(form.chunk(self._sent, end, form.completion.finish_reason if is_last else None))

    async def _write(self, events: bytes) -> None:
        if not self._response.prepared:
            await self._response.prepare(self._http)
        self._has_begun = self._has_begun or bool(events)
        if events:
            await self._response.write(events)

    async def _end(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response


async def _moved(sequence: Sequence) -> None:
    if sequence.moved is None:
        await asyncio.wait([sequence.ended])
        return
    await sequence.moved.wait()
    sequence.moved.clear()


def _event(reply: JsonObject) -> bytes:
    return b"data: " + encode(reply) + b"\n\n"
