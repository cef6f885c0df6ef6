"""Where an answer goes: into one reply, or line by line.

No header is sent before the first token, so that whatever fails until then has its own status.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.edge import error_response, json_response, streamed_error_response
from preannotation_assets.simulator.logprobs import LogprobScale, logprob_entries
from preannotation_assets.simulator.replies import Metrics, answer_piece, encode, final_piece
from preannotation_assets.simulator.requests import Endpoint
from preannotation_assets.simulator.values import JsonObject

__all__ = ["AnswerForm", "AnswerSink", "StreamedAnswer", "WholeAnswer"]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a request wants its answer: the endpoint, and log-probabilities where it asks for them."""

    endpoint: Endpoint
    model: str
    logprobs: LogprobScale | None
    top_logprobs: int

    def scored(self, piece: JsonObject, tokens: Sequence[AnswerToken], first: int) -> JsonObject:
        """``piece`` with the log-probabilities of its tokens, of which the first is number ``first``."""
        if self.logprobs is None or not tokens:
            return piece
        return {**piece, "logprobs": logprob_entries(tokens, first, self.top_logprobs, self.logprobs)}


class AnswerSink(Protocol):
    """Takes an answer as it comes."""

    async def think(self, text: str) -> None:
        """Take what the model thinks before it answers."""

    async def add(self, tokens: Sequence[AnswerToken]) -> None:
        """Take the next tokens."""

    async def finish(self, done_reason: str, metrics: Metrics, context: Sequence[int]) -> web.StreamResponse:
        """End the answer well."""

    async def abandon(self) -> web.StreamResponse:
        """End it with ``done`` false, as Ollama does after a repeat-abort."""

    async def fail(self, status: int, text: str) -> web.StreamResponse:
        """End it with an error."""


@dataclass(slots=True)
class WholeAnswer:
    """One reply with everything."""

    form: AnswerForm
    tokens: list[AnswerToken] = field(default_factory=list)
    thinking: str = ""

    async def think(self, text: str) -> None:
        """Keep what the model thinks."""
        self.thinking += text

    async def add(self, tokens: Sequence[AnswerToken]) -> None:
        """Keep the next tokens."""
        self.tokens.extend(tokens)

    async def finish(self, done_reason: str, metrics: Metrics, context: Sequence[int]) -> web.StreamResponse:
        """The reply."""
        return json_response(encode(final_piece(self._piece(True), done_reason, metrics, context)))

    async def abandon(self) -> web.StreamResponse:
        """The reply, not done."""
        return json_response(encode(self._piece(False)))

    async def fail(self, status: int, text: str) -> web.StreamResponse:
        """An error instead of the reply."""
        return error_response(status, text)

    def _piece(self, is_done: bool) -> JsonObject:
        text = "".join(token.shown for token in self.tokens)
        piece = answer_piece(self.form.endpoint, self.form.model, text, self.thinking, is_done)
        return self.form.scored(piece, self.tokens, 0)


@dataclass(slots=True)
class StreamedAnswer:
    """A line of JSON for every token and one more at the end."""

    form: AnswerForm
    request: web.Request
    response: web.StreamResponse | None = None
    written: int = 0

    async def think(self, text: str) -> None:
        """A line with what the model thinks."""
        await self._write(answer_piece(self.form.endpoint, self.form.model, "", text, False))

    async def add(self, tokens: Sequence[AnswerToken]) -> None:
        """A line for each token that ends a character; one left out of the text has no text there."""
        lines = []
        for number, token in enumerate(tokens, self.written):
            if not token.text or (token.is_left_out and self.form.logprobs is None):
                continue
            piece = answer_piece(self.form.endpoint, self.form.model, token.shown, "", False)
            lines.append(encode(self.form.scored(piece, (token,), number)) + b"\n")
        self.written += len(tokens)
        response = await self._begun()
        await response.write(b"".join(lines))

    async def finish(self, done_reason: str, metrics: Metrics, context: Sequence[int]) -> web.StreamResponse:
        """The last line, with the metrics."""
        piece = answer_piece(self.form.endpoint, self.form.model, "", "", True)
        return await self._end(final_piece(piece, done_reason, metrics, context))

    async def abandon(self) -> web.StreamResponse:
        """The end of the stream without a last line."""
        response = await self._begun()
        await response.write_eof()
        return response

    async def fail(self, status: int, text: str) -> web.StreamResponse:
        """The error's own status before the first token, else a last line under HTTP 200."""
        if self.response is None:
            return streamed_error_response(status, text)
        return await self._end({"error": text})

    async def _end(self, line: JsonObject) -> web.StreamResponse:
        await self._write(line)
        response = await self._begun()
        await response.write_eof()
        return response

    async def _write(self, line: JsonObject) -> None:
        response = await self._begun()
        await response.write(encode(line) + b"\n")

    async def _begun(self) -> web.StreamResponse:
        if self.response is None:
            self.response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await self.response.prepare(self.request)
        return self.response
