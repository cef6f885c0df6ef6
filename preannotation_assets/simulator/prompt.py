"""The prompt a model sees: rendered turns, counted in tokens, cut when too long.

The turns are set in Llama 3's chat form, and special tokens are special wherever they stand: one that ends a
turn, on a page, ends the turn there. The document to answer about is what stands between
``<page>`` and ``</page>`` (or tags that begin so, ``<page-1f3c9a20>``) in the last user turn, or that
whole turn.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.refusals import context_exceeded, prompt_too_long
from preannotation_assets.simulator.requests import Message
from preannotation_assets.simulator.tokens import split_tokens

__all__ = [
    "FittedPrompt",
    "Prompt",
    "cut_prompt",
    "document_of",
    "fit_prompt",
    "render_fitting",
    "render_prompt",
]

_PAGE_START = re.compile(r"<page(?:-\w+)?>")
_PAGE_END = re.compile(r"</(page(?:-\w+)?)>")
_TURN_END = re.compile(r"<\|(?:eot_id|im_end|endoftext|end_of_text)\|>|<end_of_turn>|<eos>")
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
    """Set the turns in the chat form; a raw prompt is taken as it is.

    A last turn of the assistant stays open: the answer goes on with it.
    """
    if is_raw:
        text = "".join(message.content for message in messages if message.role == "user")
        return Prompt(text, 0, len(text))
    parts = ["<|begin_of_text|>"]
    length = len(parts[0])
    question = (length, length)
    for message in messages:
        header = f"<|start_header_id|>{message.role}<|end_header_id|>\n\n"
        if message.role == "user":
            start = length + len(header)
            question = (start, start + _turn_length(message.content))
        parts.append(f"{header}{message.content}<|eot_id|>")
        length += len(parts[-1])
    if messages and messages[-1].role == "assistant":
        parts[-1] = parts[-1].removesuffix("<|eot_id|>")
    else:
        parts.append(_ANSWER_TURN)
    return Prompt("".join(parts), *question)


def render_fitting(messages: Sequence[Message], context: int) -> Prompt:
    """Set the turns that fit ``context`` tokens: the oldest go first, never the last one nor the system's.

    As Ollama does where ``truncate`` is true (server/prompt.go).
    """
    for start in range(len(messages)):
        system = [message for message in messages[:start] if message.role == "system"]
        prompt = render_prompt([*system, *messages[start:]], is_raw=False)
        if start == len(messages) - 1 or len(split_tokens(prompt.text)) <= context:
            return prompt
    return render_prompt(messages, is_raw=False)


def fit_prompt(prompt: Prompt, context: int) -> FittedPrompt:
    """The prompt as it is.

    Raises ``RefusedError`` (400, ``exceed_context_size_error``) where it has more than ``context - 1``
    tokens.
    """
    tokens = split_tokens(prompt.text)
    if len(tokens) >= context:
        raise context_exceeded(len(tokens), context)
    return FittedPrompt(tuple(tokens), prompt.text[prompt.question_start : prompt.question_end], False)


def cut_prompt(prompt: Prompt, context: int, shift: bool, cuts_to_half: bool) -> FittedPrompt:
    """Cut the oldest tokens where the prompt has more than ``context - 1``.

    What is left is half the context (all but one token of it before Ollama 0.30.11). Raises
    ``RefusedError`` (400) where ``shift`` is off and there is anything to cut.
    """
    tokens = split_tokens(prompt.text)
    if len(tokens) < context:
        return FittedPrompt(tuple(tokens), prompt.text[prompt.question_start : prompt.question_end], False)
    if not shift:
        raise prompt_too_long()
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


def _turn_length(content: str) -> int:
    end = _TURN_END.search(content)
    return len(content) if end is None else end.start()


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)
