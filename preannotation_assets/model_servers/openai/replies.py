"""Chat completions as they come back, whole or as a stream of events. Pure.

Fields as vLLM 0.32 and llama-server b10434 send them; each may be missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from preannotation_assets.contracts import LogprobSource
from preannotation_assets.extraction.surrogates import without_surrogates
from preannotation_assets.model_servers.json_values import (
    as_count,
    as_mapping,
    as_seconds,
    as_text,
    load_object,
)
from preannotation_assets.model_servers.openai.variant import Variant
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.token_scores import TokenScores, read_token_scores

__all__ = ["BrokenStreamError", "event_delta", "join_events", "parse_reply", "thought_instead"]

_MILLISECONDS: Final = 1e3
_END: Final = b"[DONE]"


class BrokenStreamError(Exception):
    """A stream holds something other than events with JSON objects."""


def parse_reply(payload: Mapping[str, object], variant: Variant) -> ChatReply | None:
    """Reads a completion; None where it is none. What a model thought is no part of its answer."""
    choice = _choice(payload)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return None
    content = message.get("content")
    if not isinstance(content, str | None):
        return None
    content = without_surrogates(content or "")
    reason = as_text(choice.get("finish_reason"))
    usage, timings = as_mapping(payload.get("usage")), as_mapping(payload.get("timings"))
    durations = _durations(timings, as_mapping(payload.get("metrics")))
    lengths, logprobs = _scores(choice, timings, content)
    return ChatReply(
        content=content,
        done=reason is not None,
        done_reason=reason,
        prompt_tokens=as_count(usage.get("prompt_tokens")),
        answer_tokens=as_count(usage.get("completion_tokens")),
        total_seconds=None,
        load_seconds=None,
        prompt_seconds=durations["prompt"],
        answer_seconds=durations["answer"],
        queue_seconds=durations["queue"],
        token_lengths=lengths,
        token_logprobs=logprobs,
        cached_tokens=_cached_tokens(usage, timings),
        logprob_source=LogprobSource.MASKED if lengths and variant.scores_after_the_grammar else None,
    )


def thought_instead(payload: Mapping[str, object]) -> bool:
    """Whether there are thoughts (``reasoning`` of vLLM, else ``reasoning_content``) and no answer."""
    message = as_mapping(_choice(payload).get("message"))
    thoughts = message.get("reasoning") or message.get("reasoning_content")
    return bool(thoughts) and not message.get("content")


def event_delta(line: bytes) -> str:
    """The text that a line of a stream adds to the answer; "" for none, whatever the line is."""
    data = _data(line)
    return _delta(load_object(data) or {}) if data else ""


def join_events(content: bytes) -> dict[str, object]:
    """Puts the events of a stream together as the completion that ``stream: false`` would give.

    ``error`` is in it where an event has one, whatever came before: such a stream ends in ``[DONE]`` as
    others do. Without a finish_reason in a chunk there is none in the result.

    Raises:
        BrokenStreamError: an event is no JSON object.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    scores: list[object] = []
    joined: dict[str, object] = {}
    reason: object = None
    for chunk in _events(content.splitlines()):
        joined |= {key: value for key, value in chunk.items() if value is not None and key != "choices"}
        choice = _choice(chunk)
        delta = as_mapping(choice.get("delta"))
        texts.append(_delta(chunk))
        thoughts.append(as_text(delta.get("reasoning") or delta.get("reasoning_content")) or "")
        entries = as_mapping(choice.get("logprobs")).get("content")
        scores += entries if isinstance(entries, list) else []
        reason = choice.get("finish_reason") or reason
    message = {"role": "assistant", "content": "".join(texts), "reasoning": "".join(thoughts)}
    whole = {"message": message, "finish_reason": reason, "logprobs": {"content": scores}}
    return {**joined, "choices": [whole]}


def _events(lines: Sequence[bytes]) -> Iterator[dict[str, object]]:
    """The objects in the data of events (server-sent events, one line each)."""
    for data in filter(None, map(_data, lines)):
        chunk = load_object(data)
        if chunk is None:
            raise BrokenStreamError
        yield chunk


def _data(line: bytes) -> bytes:
    """What a ``data`` line holds; empty for comments, other fields, blank lines and the last event."""
    name, colon, value = line.partition(b":")
    data = value.strip()
    return b"" if not colon or name.strip() != b"data" or data == _END else data


def _delta(chunk: Mapping[str, object]) -> str:
    return as_text(as_mapping(_choice(chunk).get("delta")).get("content")) or ""


def _choice(payload: Mapping[str, object]) -> Mapping[str, object]:
    choices = payload.get("choices")
    return as_mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _scores(choice: Mapping[str, object], timings: Mapping[str, object], content: str) -> TokenScores:
    """Log-probabilities by token; none where llama-server accepted drafted tokens, which it scores 0.0."""
    if timings.get("draft_n_accepted"):
        return None, None
    return read_token_scores(as_mapping(choice.get("logprobs")).get("content"), content)


def _durations(timings: Mapping[str, object], metrics: Mapping[str, object]) -> dict[str, float | None]:
    """Seconds, from llama-server's ``timings`` or from vLLM's ``metrics`` (--enable-per-request-metrics)."""
    queue = _seconds(metrics.get("queue_time_ms"))
    first_token = _seconds(metrics.get("time_to_first_token_ms"))
    prompt = _seconds(timings.get("prompt_ms"))
    if prompt is None and first_token is not None:
        prompt = max(0.0, first_token - (queue or 0.0))
    answer = _seconds(timings.get("predicted_ms"))
    if answer is None:
        answer = _seconds(metrics.get("generation_time_ms"))
    return {"prompt": prompt, "answer": answer, "queue": queue}


def _seconds(value: object) -> float | None:
    return as_seconds(value, _MILLISECONDS)


def _cached_tokens(usage: Mapping[str, object], timings: Mapping[str, object]) -> int | None:
    cached = as_count(as_mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    return as_count(timings.get("cache_n")) if cached is None else cached
