"""Replies as no server should give them, by name, and a front that gives them to pages that ask for one.

Each is written for both kinds of servers where both can send it. A page asks for one by its mark.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from shared.http_servers import QuietHandler, serving

__all__ = ["OLLAMA", "OPENAI", "Front", "HostileReply", "front", "hostile_page"]

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_MARK: Final = re.compile(rb"CASE-(\d\d)\.")
_GOOD: Final = '{"spans":[{"vessel_name":"ORION"},{"port":"Hull"}]}'
_HUGE: Final = int("9" * 400)
# json.dumps cannot write it; what stands for it is replaced.
_THOUSANDS_OF_DIGITS: Final = 1234567890987654321


@dataclass(frozen=True, slots=True)
class HostileReply:
    """What is sent, and what becomes of the text: ``answered``, or the reason of its failure."""

    becomes: str
    body: bytes = field(repr=False)
    status: int = 200
    media_type: str = _JSON


def hostile_page(number: int) -> str:
    """A page of one chunk that gets the reply with that number of a table."""
    return f"CASE-{number:02d}. MV ORION left Hull."


def _encode(payload: object) -> bytes:
    return json.dumps(payload).replace(str(_THOUSANDS_OF_DIGITS), "9" * 5000).encode()


def _ollama(content: str = _GOOD, **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return _encode({"model": "m", "message": message, "done": True, "done_reason": "stop", **more})


def _openai(content: str = _GOOD, logprobs: Any = None, reason: Any = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": logprobs}
    return _encode({"object": "chat.completion", "choices": [choice], **more})


def _scores(*scores: Any) -> list[dict[str, Any]]:
    """Scores of the tokens that the good answer is cut into."""
    cut = len(_GOOD) // len(scores)
    places = [cut * number for number in range(len(scores))] + [len(_GOOD)]
    return [
        {"token": _GOOD[start:end], "logprob": score}
        for start, end, score in zip(places, places[1:], scores, strict=False)
    ]


_PARTS: Final = [
    {"token": '{"spans":[{"vessel_name":"ORION"},{"port":"', "logprob": -0.5},
    {"token": "\N{REPLACEMENT CHARACTER}", "logprob": -0.1},
    {"token": "", "logprob": -0.1},
    {"token": '"}]}', "logprob": -0.5},
]
_WITH_PARTS: Final = '{"spans":[{"vessel_name":"ORION"},{"port":"龍"}]}'

_ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    "other keys": ("invalid_answer", '{"spans":[{"label":"vessel_name","text":"ORION"}]}'),
    "another word for each label": ("invalid_answer", '{"spans":[{"ship":"ORION"},{"harbour":"Hull"}]}'),
    "a key beside the label": ("invalid_answer", '{"spans":[{"port":"Hull","confidence":"high"}]}'),
    "another root": ("invalid_answer", '{"entities":[{"vessel_name":"ORION"}]}'),
    "no root": ("invalid_answer", '[{"vessel_name":"ORION"}]'),
    "labels with nothing": ("invalid_answer", '{"spans":[{"vessel_name":null},{"port":null}]}'),
    "labels with numbers": ("invalid_answer", '{"spans":[{"port":7}]}'),
    "objects without a key": ("invalid_answer", '{"spans":[{}]}'),
    "brackets": ("invalid_answer", "[" * 100_000),
    "blanks": ("empty_answer", "   "),
    "half of a pair": ("answered", _GOOD.replace("Hull", "Hull\ud83d")),
    "an unknown label among good ones": ("answered", _GOOD.replace("]}", ',{"harbour":"Hull"}]}')),
}

_BEFORE_A_SERVER: Final[Mapping[str, HostileReply]] = {
    "a firewall's page": HostileReply("refused", b"<html>blocked</html>", 403, _HTML),
    "another firewall's page": HostileReply("refused", b"<html>Not Acceptable</html>", 406, _HTML),
    "a challenge under 200": HostileReply("refused", b"<html>Are you human?</html>", 200, _HTML),
    "a redirect": HostileReply("refused", b"", 302, _HTML),
    "an error nested too deep": HostileReply("server_error", b'{"error":' + b"[" * 100_000, 500),
    "a refusal nested too deep": HostileReply("refused", b'{"error":' + b"[" * 100_000, 400),
    "a body of nothing": HostileReply("invalid_answer", b""),
    "a body that is no text": HostileReply("invalid_answer", b"\x00\xff\xfe" * 50),
    "a body nested too deep": HostileReply("invalid_answer", b'{"x":' + b"[" * 100_000),
    "a list": HostileReply("invalid_answer", b"[]"),
}

OLLAMA: Final[Mapping[str, HostileReply]] = {
    **{name: HostileReply(becomes, _ollama(answer)) for name, (becomes, answer) in _ANSWERS.items()},
    **_BEFORE_A_SERVER,
    "a count that no column holds": HostileReply(
        "answered", _ollama(prompt_eval_count=2**31, eval_count=2**70)
    ),
    "a count of thousands of digits": HostileReply("answered", _ollama(eval_count=_THOUSANDS_OF_DIGITS)),
    "counts that are none": HostileReply("answered", _ollama(prompt_eval_count=[], eval_count=True)),
    "counts below zero": HostileReply("answered", _ollama(prompt_eval_count=-1, eval_count=-0.5)),
    "a count that is no number": HostileReply("answered", _ollama(eval_count=float("nan"))),
    "a duration that no float holds": HostileReply("answered", _ollama(total_duration=2**1100)),
    "durations that are none": HostileReply(
        "answered", _ollama(total_duration={}, load_duration=-5, eval_duration="1s")
    ),
    "a log-probability that no float holds": HostileReply(
        "answered", _ollama(logprobs=_scores(-0.5, -_HUGE))
    ),
    "log-probabilities that are none": HostileReply("answered", _ollama(logprobs=_scores(None, "x", True))),
    "scores that are none": HostileReply("answered", _ollama(logprobs={"content": 7})),
    "parts of characters": HostileReply("answered", _ollama(_WITH_PARTS, logprobs=_PARTS)),
    "names that are lists": HostileReply("answered", _ollama(model=[], created_at={"a": []})),
    "a reason that is a list": HostileReply("not_done", _ollama(done_reason=["stop"])),
    "a reason without an end": HostileReply("answered", _ollama().replace(b'"done": true, ', b"")),
    "no end": HostileReply("not_done", _ollama(done=False, done_reason=None)),
    "no message": HostileReply("invalid_answer", _ollama(message=[])),
    "a media type in capitals": HostileReply(
        "answered", _ollama(), media_type="Application/JSON; Charset=UTF-8"
    ),
    "too long, of old": HostileReply(
        "context_exceeded", b'{"error":"the input length exceeds the context length"}', 400
    ),
    "too long, of MLX": HostileReply(
        "context_exceeded",
        b'{"error":"input length (9000 tokens) exceeds the model\'s maximum context length (8192 tokens)"}',
        400,
    ),
}
"""What may come instead of a reply of Ollama's ``/api/chat``, not streamed."""

OPENAI: Final[Mapping[str, HostileReply]] = {
    **{name: HostileReply(becomes, _openai(answer)) for name, (becomes, answer) in _ANSWERS.items()},
    **_BEFORE_A_SERVER,
    "counts that no column holds": HostileReply(
        "answered", _openai(usage={"prompt_tokens": 2**31, "completion_tokens": _THOUSANDS_OF_DIGITS})
    ),
    "usage that is none": HostileReply("answered", _openai(usage=[], timings="x", metrics=7)),
    "durations that no float holds": HostileReply(
        "answered", _openai(timings={"prompt_ms": 2**1100, "predicted_ms": -1})
    ),
    "a log-probability that no float holds": HostileReply(
        "answered", _openai(logprobs={"content": _scores(-0.5, -_HUGE)})
    ),
    "log-probabilities that are none": HostileReply(
        "answered", _openai(logprobs={"content": _scores(None, "x", True)})
    ),
    "bytes that are none": HostileReply(
        "answered", _openai(logprobs={"content": [{"token": "?", "logprob": -1, "bytes": [256, -1, "a"]}]})
    ),
    "parts of characters": HostileReply("answered", _openai(_WITH_PARTS, {"content": _PARTS})),
    "a reason that is a list": HostileReply("not_done", _openai(reason=["stop"])),
    "choices that are none": HostileReply("invalid_answer", _openai(choices={"0": []})),
    "a media type in capitals": HostileReply("answered", _openai(), media_type="APPLICATION/JSON"),
    "too long, of the engine": HostileReply(
        "context_exceeded",
        b'{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length"}}',
        400,
    ),
}
"""What may come instead of a reply of ``/v1/chat/completions``, not streamed."""


@dataclass
class Front:
    """Stands before a server and answers for it where a page asks for a hostile reply.

    ``asked`` counts the requests about such pages, by the name of the reply.
    """

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)


@contextmanager
def front(server: str, replies: Mapping[str, HostileReply]) -> Iterator[Front]:
    """A front before the server at a URL; pages number the replies from 0."""
    names = list(replies)
    running = Front()

    class Handler(QuietHandler):
        def answer(self) -> None:
            body = self.taken()
            mark = _MARK.search(body)
            if mark is None:
                self._pass_on(body)
                return
            name = names[int(mark[1])]
            running.asked[name] += 1
            reply = replies[name]
            self.reply(reply.status, reply.media_type, reply.body)

        def _pass_on(self, body: bytes) -> None:
            reply = httpx.request(
                self.command,
                server + self.path,
                content=body or None,
                headers={"content-type": _JSON},
                timeout=60,
                trust_env=False,
            )
            self.reply(reply.status_code, reply.headers["content-type"], reply.content)

    with serving(Handler) as running.url:
        yield running
