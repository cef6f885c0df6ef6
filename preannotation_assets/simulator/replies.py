"""The JSON objects that Ollama answers with; zero values are left out as in Go's omitempty."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from preannotation_assets.simulator.requests import Endpoint
from preannotation_assets.simulator.runner import Runner
from preannotation_assets.simulator.settings import SimulatedModel
from preannotation_assets.simulator.tokens import token_id
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = [
    "Metrics",
    "answer_piece",
    "encode",
    "final_piece",
    "loaded_models",
    "model_card",
    "model_details",
    "model_list",
    "token_ids",
]

_NANOSECONDS = 1_000_000_000
_FAR_FUTURE = "2318-11-22T00:00:00Z"
_MODIFIED_AT = "2025-01-01T00:00:00Z"
_NOTICE = "Stand-in for Ollama: answers come from rules, not from a language model. No claim of quality."


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an answer cost: simulated seconds and tokens."""

    total_seconds: float
    load_seconds: float
    prompt_tokens: int
    prompt_seconds: float
    output_tokens: int
    output_seconds: float

    def reply(self) -> JsonObject:
        """The fields of a last reply: whole nanoseconds and counts, without zeros."""
        values = {
            "total_duration": _nanoseconds(self.total_seconds),
            "load_duration": _nanoseconds(self.load_seconds),
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": _nanoseconds(self.prompt_seconds),
            "eval_count": self.output_tokens,
            "eval_duration": _nanoseconds(self.output_seconds),
        }
        return {name: value for name, value in values.items() if value}


def encode(value: JsonValue) -> bytes:
    """Compact JSON in UTF-8; a lone surrogate, as in a name of a schema, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def answer_piece(endpoint: Endpoint, model: str, text: str, thinking: str, is_done: bool) -> JsonObject:
    """A reply that holds a piece of an answer, or all of it."""
    reply: JsonObject = {"model": model, "created_at": _now()}
    thought: JsonObject = {"thinking": thinking} if thinking else {}
    if endpoint is Endpoint.CHAT:
        reply["message"] = {"role": "assistant", "content": text, **thought}
    else:
        reply.update({"response": text, **thought})
    reply["done"] = is_done
    return reply


def final_piece(
    piece: JsonObject, done_reason: str, metrics: Metrics | None, context: Sequence[int]
) -> JsonObject:
    """``piece`` with the reason of its end, what it cost and (generate only) the ids of all tokens."""
    reply: JsonObject = {**piece, "done_reason": done_reason}
    if context:
        reply["context"] = list(context)
    return {**reply, **(metrics.reply() if metrics else {})}


def token_ids(tokens: Iterable[str]) -> list[int]:
    """The ids of tokens, for ``context``."""
    return [token_id(token) for token in tokens]


def model_list(models: Iterable[tuple[SimulatedModel, str]]) -> JsonObject:
    """``/api/tags``: models with their digests."""
    return {"models": [_listed(model, digest) for model, digest in models]}


def loaded_models(loaded: Iterable[tuple[SimulatedModel, str, Runner]]) -> JsonObject:
    """``/api/ps``: models in memory."""
    return {
        "models": [
            {
                "name": model.shown_name,
                "model": model.shown_name,
                "size": model.size,
                "digest": digest,
                "details": model_details(model),
                "expires_at": _time(runner.expires_at),
                "size_vram": model.size_vram,
                "context_length": runner.demand.context,
            }
            for model, digest, runner in loaded
        ]
    }


def model_details(model: SimulatedModel) -> JsonObject:
    """The details of a model, which say openly that it is a stand-in."""
    return {
        "parent_model": "",
        "format": "rules",
        "family": "stand-in",
        "families": ["stand-in"],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def model_card(model: SimulatedModel) -> JsonObject:
    """``/api/show``."""
    return {
        "license": _NOTICE,
        "modelfile": f"# {_NOTICE}\nFROM {model.name}\n",
        "parameters": "",
        "template": "{{ if .System }}{{ .System }}{{ end }}{{ .Prompt }}",
        "details": model_details(model),
        "model_info": {
            "general.architecture": "llama",
            "general.basename": "stand-in",
            "general.description": _NOTICE,
            "llama.context_length": model.context_length,
            "llama.embedding_length": model.embedding_length,
        },
        "capabilities": _capabilities(model),
        "modified_at": _MODIFIED_AT,
    }


def _listed(model: SimulatedModel, digest: str) -> JsonObject:
    lengths: JsonObject = {
        "context_length": model.context_length,
        "embedding_length": model.embedding_length,
    }
    listed: JsonObject = {
        "name": model.shown_name,
        "model": model.shown_name,
        "modified_at": _MODIFIED_AT,
        "size": model.size,
        "digest": digest,
        "details": {**model_details(model), **lengths},
        "capabilities": _capabilities(model),
    }
    if model.is_cloud:
        listed.update({"remote_model": model.name.partition(":")[0], "remote_host": "https://ollama.com:443"})
    return listed


def _capabilities(model: SimulatedModel) -> list[JsonValue]:
    return ["completion", "tools", *(["thinking"] if model.is_thinking else [])]


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return _FAR_FUTURE
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(seconds, 10_000_000_000))
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
