"""The JSON of answers: whole ones, the chunks of a stream, and what they cost."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from preannotation_assets.simulator.openai.bodies import ChatRequest
from preannotation_assets.simulator.openai.completions import Completion
from preannotation_assets.simulator.openai.scores import Scorer
from preannotation_assets.simulator.openai.sequence import Sequence
from preannotation_assets.simulator.openai.settings import Flavour, OpenAiSettings
from preannotation_assets.simulator.tokens import token_id
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["ReplyForm"]

_MILLISECONDS = 1_000.0
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """How the reply to one request is written."""

    settings: OpenAiSettings
    request: ChatRequest
    completion: Completion
    sequence: Sequence
    scorer: Scorer | None
    fingerprint: str
    identity: str

    @property
    def is_llama(self) -> bool:
        """Whether llama.cpp's server speaks."""
        return self.settings.flavour is Flavour.LLAMA

    def whole(self, finish_reason: str | None) -> JsonObject:
        """The reply in one piece."""
        completion = self.completion
        choice: JsonObject = {
            "index": 0,
            "message": self._message(),
            "logprobs": self._logprobs(0, completion.count),
            "finish_reason": finish_reason,
        }
        if not self.is_llama:
            choice["stop_reason"] = None
            choice["token_ids"] = self._token_ids() if self.request.returns_token_ids else None
        if choice["logprobs"] is None and self.is_llama:
            del choice["logprobs"]
        reply: JsonObject = {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": self.usage(),
        }
        if not self.is_llama and self.request.returns_token_ids:
            reply["prompt_token_ids"] = _ids(self.sequence.tokens)
        return {**reply, **self.costs()}

    def first_chunk(self) -> JsonObject:
        """The chunk with the role."""
        content = None if self.is_llama else ""
        return self._chunk({"role": "assistant", "content": content}, None, None)

    def chunk(self, start: int, end: int, finish_reason: str | None) -> JsonObject:
        """The chunk with the tokens from ``start`` to before ``end``."""
        tokens = self.completion.tokens[start:end]
        text = "".join(token.text for token in tokens)
        is_last = end >= self.completion.count
        if is_last and self.is_llama and self.completion.ends_in_letter:
            text += _REPLACEMENT
        return self._chunk({"content": text}, self._logprobs(start, end), finish_reason)

    def last_chunk(self, finish_reason: str) -> JsonObject:
        """The empty chunk by which llama.cpp's server ends."""
        chunk = self._chunk({}, None, finish_reason)
        return chunk if self.request.has_usage else {**chunk, **self.costs()}

    def usage_chunk(self) -> JsonObject:
        """The chunk without choices that tells the usage."""
        # vLLM leaves out what is null here, and only here.
        usage: JsonObject = {name: value for name, value in self.usage().items() if value is not None}
        chunk = {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}
        return {**chunk, **self.costs()} if self.is_llama else chunk

    def usage(self) -> JsonObject:
        """Tokens of prompt and answer, and those found in the cache where they are told."""
        prompt, answer = self.sequence.prompt_tokens, self.completion.count
        usage: JsonObject = {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "total_tokens": prompt + answer,
        }
        if self.is_llama or self.settings.tells_cached_tokens:
            usage["prompt_tokens_details"] = {"cached_tokens": self.sequence.cached}
        else:
            usage["prompt_tokens_details"] = None
        return usage

    def costs(self) -> JsonObject:
        """llama.cpp's ``timings``, vLLM's ``metrics`` (null unless the server tells them)."""
        if self.is_llama:
            return {"timings": self._timings()}
        return {"metrics": self._metrics() if self.settings.tells_request_metrics else None}

    def _message(self) -> JsonObject:
        text = self.completion.text
        if self.is_llama:
            return {
                "role": "assistant",
                "content": text + (_REPLACEMENT if self.completion.ends_in_letter else ""),
            }
        return {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": None,
        }

    def _logprobs(self, start: int, end: int) -> JsonValue:
        is_broken = self.is_llama and self.completion.ends_in_letter and end >= self.completion.count
        if self.scorer is None or is_broken:
            return None
        return {"content": self.scorer.entries(self.completion, start, end)}

    def _token_ids(self) -> list[JsonValue]:
        return _ids([token.text for token in self.completion.tokens])

    def _chunk(self, delta: JsonObject, logprobs: JsonValue, finish_reason: str | None) -> JsonObject:
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        if logprobs is not None or not self.is_llama:
            choice["logprobs"] = logprobs
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> JsonObject:
        names = self.settings.model.names
        model = self.request.model if not self.is_llama and self.request.model else names[0]
        return {
            "id": self.identity,
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": self.fingerprint,
        }

    def _timings(self) -> JsonObject:
        sequence, count = self.sequence, self.completion.count
        reading = _between(sequence.admitted, sequence.first_token)
        writing = _between(sequence.first_token, sequence.finished)
        timings: JsonObject = {
            "cache_n": sequence.cached,
            "prompt_n": sequence.prompt_tokens - sequence.cached,
            "prompt_ms": reading * _MILLISECONDS,
            "predicted_n": count,
            "predicted_ms": writing * _MILLISECONDS,
            "predicted_per_second": count / writing if writing else 0.0,
        }
        if self.settings.speculates:
            timings.update(draft_n=self.completion.drafted, draft_n_accepted=len(self.completion.drafts))
        return timings

    def _metrics(self) -> JsonObject:
        sequence, count = self.sequence, self.completion.count
        writing = _between(sequence.first_token, sequence.finished)
        return {
            "time_to_first_token_ms": _between(sequence.arrived, sequence.first_token) * _MILLISECONDS,
            "generation_time_ms": writing * _MILLISECONDS,
            "queue_time_ms": _between(sequence.arrived, sequence.admitted) * _MILLISECONDS,
            "mean_itl_ms": writing * _MILLISECONDS / max(count - 1, 1),
            "tokens_per_second": count / writing if writing else 0.0,
        }


def _ids(tokens: Iterable[str]) -> list[JsonValue]:
    return [token_id(token) for token in tokens]


def _between(start: float | None, end: float | None) -> float:
    """Simulated seconds between two moments; 0 where one has not come."""
    return 0.0 if start is None or end is None else end - start
