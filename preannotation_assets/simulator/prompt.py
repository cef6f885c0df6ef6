"""The prompt a model sees: rendered turns, counted in tokens, cut when too long.

The turns are set in Llama 3's chat form. The document to answer about is what stands between
``<page>`` and ``</page>`` (or tags that begin so, ``<page-1f3c9a20>``) in the last user turn, or that
whole turn.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.refusals import context_exceeded
from preannotation_assets.simulator.requests import Message
from preannotation_assets.simulator.tokens import split_tokens

__all__ = ["FittedPrompt", "Prompt", "document_of", "fit_prompt", "render_prompt"]

_PAGE_START = re.compile(r"<page(?:-\w+)?>")
_PAGE_END = re.compile(r"</(page(?:-\w+)?)>")
_ANSWER_TURN = "<|start_header_id|>assistant<|end_header_id|>\n\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt; ``text[question_start:question_end]`` is the last user turn."""

    text: str
    question_start: int
    question_end: int


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """A prompt that fits the context.

    ``tokens`` are its pieces after a cut; ``question`` is what is left of the last user turn.
    """

    tokens: tuple[str, ...]
    question: str
    is_truncated: bool


def render_prompt(messages: Sequence[Message], is_raw: bool) -> Prompt:
    """Set the turns in the chat form; a raw prompt is taken as it is."""
    if is_raw:
        text = "".join(message.content for message in messages if message.role == "user")
        return Prompt(text, 0, len(text))
    parts = ["<|begin_of_text|>"]
    length = len(parts[0])
    question = (length, length)
    for message in messages:
        header = f"<|start_header_id|>{message.role}<|end_header_id|>\n\n"
        if message.role == "user":
            question = (length + len(header), length + len(header) + len(message.content))
        parts.append(f"{header}{message.content}<|eot_id|>")
        length += len(parts[-1])
    return Prompt("".join([*parts, _ANSWER_TURN]), *question)


def fit_prompt(prompt: Prompt, context: int, truncate: bool, cuts_to_half: bool) -> FittedPrompt:
    """Cut the oldest tokens where the prompt has more than ``context - 1``.

    What is left is half the context (all but one token of it before Ollama 0.30.11). Raises
    ``RefusedError`` (400, ``exceed_context_size_error``) where ``truncate`` is false.
    """
    tokens = split_tokens(prompt.text)
    if len(tokens) < context:
        return FittedPrompt(tuple(tokens), prompt.text[prompt.question_start : prompt.question_end], False)
    if not truncate:
        raise context_exceeded(len(tokens), context)
    kept = tokens[-(context // 2 if cuts_to_half else context - 1) :]
    cut = len(prompt.text) - sum(map(len, kept))
    question = prompt.text[max(cut, prompt.question_start) : max(cut, prompt.question_end)]
    return FittedPrompt(tuple(kept), question, True)


def document_of(question: str) -> str:
    """The text between ``<page>`` and ``</page>``, or the question itself without them.

    The last closing tag counts and the last opening tag of that name before it. One tag may be missing,
    as after a cut.
    """
    end = _last(_PAGE_END, question)
    text = question if end is None else question[: end.start()]
    start = _last(_PAGE_START if end is None else re.compile(f"<{end[1]}>"), text)
    return text if start is None else text[start.end() :]


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)
