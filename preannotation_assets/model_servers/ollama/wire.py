"""Ollama's ``/api/chat`` on the wire: request bodies out, replies in. Pure; no network.

Field names and semantics follow Ollama's ``api/types.go`` and ``server/routes.go``, version 0.33.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from preannotation_assets.extraction.prompt import Message, Prompt

__all__ = [
    "ChatReply",
    "ModelOptions",
    "RequestTemplate",
    "join_stream",
    "parse_reply",
    "request_key",
]

_NANOSECONDS: Final = 1e9
# Hot enough for an unsure model to say something else (docs/answers.md).
_SECOND_PASS_TEMPERATURE: Final = 0.7
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options of every request; the same in all of them, or Ollama would reload the model.

    ``num_ctx`` and ``num_predict`` are tokens. Temperature 0 and a seed do not make a batched server
    repeat itself to the bit, which is why answers are stored.
    """

    num_ctx: int
    num_predict: int
    temperature: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """Everything of a request but the page; picklable, so that Spark tasks can be given it.

    ``keep_alive`` is a Go duration: how long the model stays loaded after a request.
    """

    model: str
    digest: str
    prompt: Prompt
    options: ModelOptions
    keep_alive: str = "30m"

    @property
    def fingerprint(self) -> str:
        """Changes when a request with the same page would be another request."""
        content = json.dumps(
            {
                "digest": self.digest,
                "model": self.model,
                "prompt": self.prompt.fingerprint,
                "options": asdict(self.options),
            },
            sort_keys=True,
        )
        return hashlib.sha256(content.encode("utf-8")).hexdigest()

    def for_second_pass(self) -> "RequestTemplate":
        """The same question at another temperature, under another request key; it reloads nothing."""
        options = replace(self.options, temperature=_SECOND_PASS_TEMPERATURE, seed=self.options.seed + 100)
        return replace(self, options=options)

    def body(self, chunk_text: str, *, stream: bool, variation: int = 0) -> dict[str, object]:
        """The JSON body of a chat request.

        ``truncate`` and ``shift`` are off, because their defaults cut the prompt or the context
        without a word. ``think`` is off, because unset it is on for thinking models. A ``variation``
        above 0 is a retry of a request whose answer was unusable: it changes the seed and raises the
        temperature, which reloads nothing.
        """
        options = asdict(self.options)
        if variation:
            options |= {"seed": self.options.seed + variation, "temperature": self.options.temperature + 0.3}
        return {
            "model": self.model,
            "messages": _message_objects(self.prompt.messages(chunk_text)),
            "stream": stream,
            "format": self.prompt.answer_schema,
            "options": options,
            "think": False,
            "truncate": False,
            "shift": False,
            "keep_alive": self.keep_alive,
            "logprobs": True,
        }

    def preload_body(self) -> dict[str, object]:
        """The body that loads the model with the options of the run, and answers nothing.

        ``shift`` is part of it: a request that differs in it would reload the model.
        """
        return {
            "model": self.model,
            "messages": [],
            "stream": False,
            "options": asdict(self.options),
            "shift": False,
            "keep_alive": self.keep_alive,
        }


def request_key(fingerprint: str, chunk_sha256: str) -> str:
    """Names a request by what it asks: the same key means the same question to the same model."""
    return hashlib.sha256(f"{fingerprint}:{chunk_sha256}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a server answered with status 200.

    Durations are seconds, counts are tokens; each is None where the server left it out.
    ``token_lengths`` (code points) and ``token_logprobs`` are None unless the tokens join to exactly
    the content. ``prompt_tokens`` includes cached ones since Ollama 0.30.1; ``prompt_seconds`` and
    ``answer_seconds`` are for the tokens the model read and wrote.
    """

    content: str
    done: bool
    done_reason: str | None
    prompt_tokens: int | None
    answer_tokens: int | None
    total_seconds: float | None
    load_seconds: float | None
    prompt_seconds: float | None
    answer_seconds: float | None
    queue_seconds: float | None
    token_lengths: tuple[int, ...] | None
    token_logprobs: tuple[float, ...] | None


def parse_reply(payload: Mapping[str, object]) -> ChatReply | None:
    """Reads a reply's JSON object; None where it is not one of Ollama's chat replies."""
    message = payload.get("message")
    content = message.get("content", "") if isinstance(message, Mapping) else None
    if not isinstance(content, str) or not isinstance(payload.get("done"), bool):
        return None
    content = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", content)
    reason = payload.get("done_reason")
    lengths, logprobs = _token_scores(payload.get("logprobs"), content)
    return ChatReply(
        content=content,
        done=payload["done"] is True,
        done_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=_count(payload.get("prompt_eval_count")),
        answer_tokens=_count(payload.get("eval_count")),
        total_seconds=_seconds(payload.get("total_duration")),
        load_seconds=_seconds(payload.get("load_duration")),
        prompt_seconds=_seconds(payload.get("prompt_eval_duration")),
        answer_seconds=_seconds(payload.get("eval_duration")),
        queue_seconds=_queue_seconds(payload),
        token_lengths=lengths,
        token_logprobs=logprobs,
    )


def join_stream(lines: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Puts the objects of an NDJSON stream together as the reply that ``stream: false`` would give.

    The result has ``done`` false where the stream ended without its last object.
    """
    contents: list[str] = []
    logprobs: list[object] = []
    last: Mapping[str, object] = {}
    for line in lines:
        message = line.get("message")
        if isinstance(message, Mapping) and isinstance(message.get("content"), str):
            contents.append(message["content"])
        scores = line.get("logprobs")
        if isinstance(scores, list):
            logprobs.extend(scores)
        last = line
    joined = {"done": False, **last, "message": {"role": "assistant", "content": "".join(contents)}}
    return joined | ({"logprobs": logprobs} if logprobs else {})


def _message_objects(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _token_scores(
    entries: object, content: str
) -> tuple[tuple[int, ...], tuple[float, ...]] | tuple[None, None]:
    if not isinstance(entries, list) or not entries:
        return None, None
    lengths: list[int] = []
    logprobs: list[float] = []
    tokens: list[str] = []
    for entry in entries:
        token = entry.get("token") if isinstance(entry, Mapping) else None
        logprob = entry.get("logprob") if isinstance(entry, Mapping) else None
        if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            return None, None
        tokens.append(token)
        lengths.append(len(token))
        logprobs.append(float(logprob))
    if _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", "".join(tokens)) != content:
        return None, None
    return tuple(lengths), tuple(logprobs)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: object) -> float | None:
    count = _count(value)
    return None if count is None else count / _NANOSECONDS


def _queue_seconds(payload: Mapping[str, object]) -> float | None:
    """Ollama does not report the wait for a slot: it is what the other durations leave of the total.

    Durations of zero are left out of a reply, so a missing one counts as zero.
    """
    total = _seconds(payload.get("total_duration"))
    if total is None:
        return None
    parts = ("load_duration", "prompt_eval_duration", "eval_duration")
    return max(0.0, total - sum(_seconds(payload.get(part)) or 0.0 for part in parts))
