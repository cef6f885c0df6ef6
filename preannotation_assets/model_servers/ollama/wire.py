"""Ollama's ``/api/chat`` on the wire: request bodies out, replies in. Pure; no network.

Field names and semantics follow Ollama's ``api/types.go`` and ``server/routes.go``, version 0.33.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from preannotation_assets.extraction.prompt import Message
from preannotation_assets.extraction.surrogates import without_surrogates
from preannotation_assets.model_servers.json_values import (
    as_count,
    as_seconds,
    as_text,
)
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.model_servers.token_scores import read_token_scores

__all__ = [
    "chat_body",
    "join_stream",
    "message_content",
    "parse_reply",
    "preload_body",
    "probe_body",
    "warm_up_body",
]

_NANOSECONDS: Final = 1e9
# With one of these an answer has come to its end.
_ENDS: Final = frozenset({"stop", "length"})


def chat_body(
    template: RequestTemplate, chunk_text: str, keep_alive: str, *, stream: bool, variation: int = 0
) -> dict[str, object]:
    """The JSON body of a chat request; ``keep_alive`` is a Go duration.

    ``truncate`` and ``shift`` are off, because their defaults cut the prompt or the context without a
    word. ``think`` is off, because unset it is on for thinking models. The options are the same in all
    requests, up to seed and temperature: another context would reload the model.
    """
    return {
        "model": template.model,
        "messages": _message_objects(template.prompt.messages(chunk_text)),
        "stream": stream,
        "format": template.prompt.answer_schema,
        "options": _options(template.options.varied(variation)),
        "think": False,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "logprobs": True,
    }


def preload_body(template: RequestTemplate, keep_alive: str) -> dict[str, object]:
    """The body that loads the model with the options of the run, and answers nothing.

    ``shift`` is part of it: a request that differs in it would reload the model.
    """
    return {
        "model": template.model,
        "messages": [],
        "stream": False,
        "options": _options(template.options),
        "shift": False,
        "keep_alive": keep_alive,
    }


def warm_up_body(template: RequestTemplate, keep_alive: str) -> dict[str, object] | None:
    """The body of a request that reads what all requests begin with, and writes one token.

    None where that does not end in a turn of the model: the template would add something behind it that no
    other request has there.
    """
    messages = template.prompt.constant_messages
    if not messages or messages[-1].role != "assistant":
        return None
    body = probe_body(template, keep_alive, stream=False)
    return {**body, "messages": _message_objects(messages), "logprobs": False}


def probe_body(template: RequestTemplate, keep_alive: str, *, stream: bool) -> dict[str, object]:
    """The body of a request about an empty page, which writes one token."""
    body = chat_body(template, "", keep_alive, stream=stream)
    return {**body, "options": {**_options(template.options), "num_predict": 1}}


def parse_reply(payload: Mapping[str, object]) -> ChatReply | None:
    """Reads a reply's JSON object; None where it is not one of Ollama's chat replies.

    A reply that says why it ended has ended: of models that run on MLX ``done`` may be missing or false
    beside the reason, and the answer is whole all the same.
    """
    content, reason = message_content(payload), as_text(payload.get("done_reason"))
    if content is None or not (isinstance(payload.get("done"), bool) or reason in _ENDS):
        return None
    content = without_surrogates(content)
    done = payload.get("done") is True or reason in _ENDS
    lengths, logprobs = read_token_scores(payload.get("logprobs"), content)
    return ChatReply(
        content=content,
        done=done,
        done_reason=reason,
        prompt_tokens=as_count(payload.get("prompt_eval_count")),
        answer_tokens=_answer_tokens(payload, done),
        total_seconds=_seconds(payload, "total_duration"),
        load_seconds=_seconds(payload, "load_duration"),
        prompt_seconds=_seconds(payload, "prompt_eval_duration"),
        answer_seconds=_seconds(payload, "eval_duration"),
        queue_seconds=_queue_seconds(payload),
        token_lengths=lengths,
        token_logprobs=logprobs,
    )


def message_content(payload: Mapping[str, object]) -> str | None:
    """What the assistant says in a reply or a piece of one; None where it is none of Ollama's."""
    message = payload.get("message")
    return as_text(message.get("content", "")) if isinstance(message, Mapping) else None


def join_stream(lines: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Puts the objects of an NDJSON stream together as the reply that ``stream: false`` would give.

    The result has ``done`` false where the stream ended without its last object; its ``eval_count`` then is
    the number of objects with a text, because each has one token or a few.
    """
    contents: list[str] = []
    logprobs: list[object] = []
    last: Mapping[str, object] = {}
    for line in lines:
        contents.append(message_content(line) or "")
        scores = line.get("logprobs")
        if isinstance(scores, list):
            logprobs.extend(scores)
        last = line
    joined = {"done": False, **last, "message": {"role": "assistant", "content": "".join(contents)}}
    if joined["done"] is False and contents:
        joined.setdefault("eval_count", sum(map(bool, contents)))
    return joined | ({"logprobs": logprobs} if logprobs else {})


def _answer_tokens(payload: Mapping[str, object], done: bool) -> int | None:
    """The server's count; of an answer that it broke off it gives none, but the tokens' probabilities.

    After 31 equal tokens Ollama ends an answer so (``llm/llama_server.go``, "token repeat limit").
    """
    scores = payload.get("logprobs")
    if not done and isinstance(scores, list) and scores:
        return len(scores)
    return as_count(payload.get("eval_count"))


def _options(options: ModelOptions) -> dict[str, object]:
    return {
        "num_ctx": options.context_tokens,
        "num_predict": options.answer_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
    }


def _message_objects(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _seconds(payload: Mapping[str, object], name: str) -> float | None:
    return as_seconds(payload.get(name), _NANOSECONDS)


def _queue_seconds(payload: Mapping[str, object]) -> float | None:
    """Ollama does not report the wait for a slot: it is what the other durations leave of the total.

    Durations of zero are left out of a reply, so a missing one counts as zero.
    """
    total = _seconds(payload, "total_duration")
    if total is None:
        return None
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    return max(0.0, total - sum(_seconds(payload, part) or 0.0 for part in parts))
